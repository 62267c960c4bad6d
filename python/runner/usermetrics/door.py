"""How roles reach the operator's metrics: a POST of JSON, answered with nothing or with why not.

A run's own address is a path of the gateway, told in `OSDK_METRICS_URL` with the run's token. `OpenDoor` is the Go
runtime's fixed address without a token, for projects that bring their own copy of `operator_sdk.util`. Bodies are
bounded. Does not know what a metric is.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from http import HTTPMethod, HTTPStatus

from aiohttp import web

from runner.logs import fields
from runner.usermetrics.registry import UserMetrics
from runner.usermetrics.spec import BadMetric, parse

__all__ = ["PATH", "VARIABLE", "MetricsDoor", "OpenDoor", "variables"]

logger = logging.getLogger(__name__)

PATH = "/operator/metrics"
"""Below the gateway's address; nothing that an API server serves begins so."""
VARIABLE = "OSDK_METRICS_URL"
_OPEN_PATH = "/metrics"
_MOST_BYTES = 256 * 1024
_STOP_S = 1.0
_HEADERS = {"X-Content-Type-Options": "nosniff", "Server": "ansible-operator"}


def variables(url: str) -> dict[str, str]:
    """What a run's environment says of its address.

    Args:
        url: the gateway's, with the run's token as its user info.
    """
    return {VARIABLE: url + PATH}


class MetricsDoor:
    """Answers the requests of roles. Who may ask was decided before."""

    def __init__(self, metrics: UserMetrics) -> None:
        self._metrics = metrics

    async def __call__(self, request: web.BaseRequest, dry_run: bool) -> web.StreamResponse:  # noqa: FBT001 - a gateway's `Local`
        """Count what is asked for; in a dry run only say whether it could be."""
        if request.method != HTTPMethod.POST:
            return _answer(HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed")
        body = await _read(request)
        if body is None:
            return _answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a metric takes at most {_MOST_BYTES} bytes")
        try:
            self._metrics.apply(parse(json.loads(body)), dry_run=dry_run)
        except BadMetric as error:
            return _answer(HTTPStatus.BAD_REQUEST, str(error))
        except (ValueError, RecursionError):  # json's, and Unicode's, which is a ValueError
            return _answer(HTTPStatus.BAD_REQUEST, "the body is no JSON")
        return _answer(HTTPStatus.OK, "")


class OpenDoor:
    """Listens without asking who comes, so on the loopback interface only."""

    def __init__(self, door: MetricsDoor, *, host: str, port: int, fail: Callable[[OSError], Exception]) -> None:
        """Args:
        fail: the error to raise where the address cannot be had.
        """
        self._door = door
        self._host = host
        self._port = port
        self._fail = fail
        self._http: web.Server | None = None
        self._listener: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        return self._port

    async def start(self) -> None:
        """Listen.

        Raises:
            Exception: what `fail` made of it.
        """
        self._http = web.Server(self._serve, access_log=None)
        try:
            self._listener = await asyncio.get_running_loop().create_server(self._http, self._host, self._port)
        except OSError as error:
            raise self._fail(error) from error
        self._port = self._listener.sockets[0].getsockname()[1]
        logger.warning("metrics are taken from anybody in this Pod", extra=fields(host=self._host, port=self._port))

    async def stop(self) -> None:
        if self._listener is not None and self._http is not None:
            self._listener.close()
            await self._http.shutdown(_STOP_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._listener.wait_closed(), _STOP_S)
        self._listener = self._http = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != _OPEN_PATH:
            return _answer(HTTPStatus.NOT_FOUND, "not found")
        return await self._door(request, False)


async def _read(request: web.BaseRequest) -> bytes | None:
    """The body, or nothing where it is too long to be read."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            return None
    return bytes(body)


def _answer(status: HTTPStatus, text: str) -> web.Response:
    headers = _HEADERS | ({"Allow": "POST"} if status is HTTPStatus.METHOD_NOT_ALLOWED else {})
    return web.Response(status=status, text=text, headers=headers)
