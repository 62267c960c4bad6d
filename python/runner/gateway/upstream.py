"""The way to the API server: one request on, with the operator's credentials instead of the run's.

Promises: a write asks the fence twice, the second time when the connection stands and the first byte would leave;
a write is sent once, whatever becomes of its answer; the answer is handed on open, whatever its status; a failure is a
`Refusal`. Does not retry, but for a renewed token and a read that met a connection which the server had just closed.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict
from yarl import URL

from runner.gateway import connections
from runner.gateway.answers import Refusal
from runner.kube.client import KubeClient
from runner.kube.errors import Fenced
from runner.kube.once import AnswerLost, once

__all__ = ["Upstream"]

_CONNECT_S = 10.0
_SILENCE_S = 90.0
"""Above the minute after which the API server itself gives up on a request."""
_CHUNK = 65536


class Upstream:
    """Sends requests through the operator's own client."""

    def __init__(self, client: KubeClient, *, check_fence: Callable[[], None]) -> None:
        """Args:
        check_fence: raises `Fenced` where the lease is not surely ours.
        """
        self._client = client
        self._check_fence = check_fence

    async def send(
        self,
        method: str,
        target: str,
        headers: CIMultiDict[str],
        body: bytes | None,
        *,
        is_write: bool,
        is_long: bool,
    ) -> aiohttp.ClientResponse:
        """Send one request and return the open answer; the caller releases it.

        Args:
            target: path and query as they are to stand in the request line.
            headers: without hop-by-hop headers and credentials.
            is_long: the answer may rightly be silent for any time.

        Raises:
            Refusal: fenced, or no answer.
        """
        url = URL(self._client.connection.server + target, encoded=True)
        silence_s = None if is_long else _SILENCE_S
        await self._client.pace()
        response = await self._attempt(method, url, headers, body, silence_s, is_write=is_write, renew=False)
        if response.status == HTTPStatus.UNAUTHORIZED:
            response.release()  # the token may have been rotated under us: read it again, once
            response = await self._attempt(method, url, headers, body, silence_s, is_write=is_write, renew=True)
        return response

    async def _attempt(
        self,
        method: str,
        url: URL,
        headers: CIMultiDict[str],
        body: bytes | None,
        silence_s: float | None,
        *,
        is_write: bool,
        renew: bool,
    ) -> aiohttp.ClientResponse:
        guarded = _Guarded(body or b"", self._check_fence) if is_write and method != "GET" else None
        try:
            credentials = await self._client.connection.credentials.headers(renew=renew)
            if is_write:
                self._check_fence()
            response = await self._client.session().request(
                method,
                url,
                headers=[*headers.items(), *credentials.items()],
                data=guarded,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=silence_s),
                allow_redirects=False,
                skip_auto_headers=("Content-Type", "Accept", "User-Agent"),
                middlewares=(once,) if is_write else (),
            )
        except asyncio.CancelledError:
            if guarded is not None:
                guarded.drop()
            raise
        except Fenced as error:
            raise Refusal.fenced(str(error)) from error
        except TimeoutError as error:
            raise Refusal.timed_out("the API server does not answer") from error
        except AnswerLost as error:
            raise Refusal.bad_gateway(
                f"the connection to the API server was lost before its answer: {error}; the write is not sent again,"
                " and may have taken effect"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            if guarded is not None and guarded.refused is not None:
                raise Refusal.fenced(str(guarded.refused)) from error
            raise Refusal.bad_gateway(f"no answer from the API server: {error or type(error).__name__}") from error
        if guarded is not None and not guarded.sent:
            # The server refused the body before it had all of it; there is no use in the rest.
            response.content.on_eof(guarded.drop)
        return response


class _Guarded(aiohttp.Payload):
    """A request body that asks the fence when it is about to leave; the head leaves together with its first bytes.

    Opening a connection may take seconds, in which the lease can be lost.
    """

    _autoclose = True  # nothing but bytes to close

    def __init__(self, body: bytes, check_fence: Callable[[], None]) -> None:
        super().__init__(body, content_type="application/json")
        self._size = len(body)
        self._check_fence = check_fence
        self.refused: Fenced | None = None
        self.sent = False
        self._transport: asyncio.WriteTransport | None = None

    def drop(self) -> None:
        """Send nothing more of it."""
        if self._transport is not None:
            connections.reset(self._transport)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        body: bytes = self._value
        return body.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        try:
            self._check_fence()
        except Fenced as error:
            self.refused = error
            raise
        self._transport = writer.transport
        body = memoryview(self._value)[:content_length]
        for start in range(0, len(body), _CHUNK):
            await writer.write(body[start : start + _CHUNK])
            if len(body) > _CHUNK:
                await asyncio.sleep(0)
        self.sent = True
