"""Small HTTP servers for probes and metrics: fixed paths, GET only, one answer for each connection.

Promises: whatever clients do (hold connections open, send slowly, read slowly, send huge headers), memory and
descriptors are bounded and a well-behaved client is answered: each connection ends after a while, and of too many
the oldest is cut for the newest, those that never finish a TLS handshake included. Does not decide who may ask; a
`Filter` does.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPMethod, HTTPStatus

from aiohttp import web

from runner.health import Probe
from runner.httpserver.connections import Door

__all__ = [
    "Address",
    "AddressError",
    "Answer",
    "Filter",
    "HttpServer",
    "metrics_routes",
    "parse_address",
    "probe_routes",
]

_MOST_HEADERS = 50
_LONGEST_LINE = 8190
"""Bytes of the request line, and of each header."""
_STOP_S = 1.0
_TEXT = "text/plain; charset=utf-8"


class AddressError(Exception):
    """An address that cannot be read or listened on; the message names the flag and the remedy."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. An empty host is every interface, port 0 any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, *, flag: str) -> Address | None:
    """Read `:8443`, `127.0.0.1:0` or `[::]:8080`; `None` for `0`, which turns the server off.

    Raises:
        AddressError: it is neither.
    """
    if text == "0":
        return None
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:\s/]*)):(?P<port>\d{1,5})", text, re.ASCII)
    if match is None:
        raise AddressError(
            f"{flag}: {text!r} is no address; write HOST:PORT, :PORT, [IPV6]:PORT, or 0 for none{_hint(text)}"
        )
    port = int(match["port"])
    if port > 65535:
        raise AddressError(f"{flag}: {text!r}: there is no port {port}; the highest is 65535")
    return Address(match["v6"] or match["host"] or "", port)


def _hint(text: str) -> str:
    if text.isdecimal():
        return f" (:{text}?)"
    if text.count(":") > 1:
        return f" (brackets around an IPv6 address: [{text.rpartition(':')[0]}]:{text.rpartition(':')[2]}?)"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a path answers."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes
    content_type: str = _TEXT


Route = Callable[[web.BaseRequest, str], Answer | None]
"""Given the request and what follows the route's path; `None` is a 404."""

Filter = Callable[[web.BaseRequest], Awaitable[Answer | None]]
"""Sees each request before its path is looked at; an answer refuses it, `None` lets it pass."""


def metrics_routes(render: Callable[[str], tuple[bytes, str]], *, path: str = "/metrics") -> Mapping[str, Route]:
    """Args:
    render: from the Accept header, the body and its content type: `Metrics.render`.
    """

    def answer(request: web.BaseRequest, rest: str) -> Answer | None:
        if rest:
            return None
        body, content_type = render(request.headers.get("Accept", ""))
        return Answer(body=body, content_type=content_type)

    return {path: answer}


def probe_routes(probes: Sequence[Probe]) -> Mapping[str, Route]:
    """`/NAME` with `?verbose` and `?exclude=CHECK`, and `/NAME/CHECK` for a single one."""

    def route(probe: Probe) -> Route:
        def answer(request: web.BaseRequest, rest: str) -> Answer | None:
            query = request.rel_url.query
            if rest.strip("/"):
                report = probe.report_one(rest.strip("/"))
            else:
                report = probe.report(verbose="verbose" in query, exclude=query.getall("exclude", []))
            return Answer(status=report.status, body=report.text.encode()) if report else None

        return answer

    return {f"/{probe.name}": route(probe) for probe in probes}


class HttpServer:
    """Serves some routes on one address."""

    def __init__(
        self,
        address: Address,
        routes: Mapping[str, Route],
        *,
        flag: str,
        admit: Filter | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """Args:
        routes: by path, without a slash at the end; the paths below belong to it too.
        flag: which setting gave the address, for messages.
        admit: `None`: everybody may ask.
        tls: asked for each connection; `None`: plain HTTP.
        """
        self._address = address
        self._routes = dict(routes)
        self._flag = flag
        self._admit = admit
        self._tls = tls
        self._port: int | None = None
        self._handlers: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._door: Door | None = None

    @property
    def port(self) -> int:
        """The port in use, which for port 0 is known once started.

        Raises:
            RuntimeError: not started.
        """
        if self._port is None:
            raise RuntimeError("not started")
        return self._port

    async def start(self) -> None:
        """Listen.

        Raises:
            AddressError: the address is taken, not ours or not allowed.
        """
        try:
            listening = _listen(self._address)
        except OSError as error:
            raise AddressError(f"{self._flag}: cannot listen on {self._address}: {error.strerror or error}") from error
        self._port = listening.getsockname()[1]
        self._handlers = web.Server(
            self._serve,
            access_log=None,
            lingering_time=0.0,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            max_headers=_MOST_HEADERS,
        )
        self._door = Door(self._handlers, tls=self._tls)
        self._listener = await asyncio.get_running_loop().create_server(self._door, sock=listening)

    async def stop(self) -> None:
        """Take no more requests, and end those there are."""
        if self._listener is not None and self._handlers is not None and self._door is not None:
            self._listener.close()
            self._handlers.pre_shutdown()  # closes what waits for a request; what is being answered gets its time
            await self._handlers.shutdown(_STOP_S)
            self._door.clear()  # a TLS connection would wait for the other side's farewell
            await self._listener.wait_closed()
        self._listener = self._handlers = self._door = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = await self._admit(request) if self._admit else None
        response = _response(answer or self._answer(request))
        response.force_close()
        return response

    def _answer(self, request: web.BaseRequest) -> Answer:
        path = request.rel_url.path
        for prefix, route in self._routes.items():
            if path != prefix and not path.startswith(f"{prefix}/"):
                continue
            if request.method not in {HTTPMethod.GET, HTTPMethod.HEAD}:
                return Answer(status=HTTPStatus.METHOD_NOT_ALLOWED, body=b"method not allowed\n")
            answer = route(request, path.removeprefix(prefix))
            if answer is not None:
                return answer
        return Answer(status=HTTPStatus.NOT_FOUND, body=b"not found\n")


def _response(answer: Answer) -> web.Response:
    headers = {
        "Content-Type": answer.content_type,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Server": "ansible-operator",  # or the library would name itself, Python and both versions
    }
    if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = "GET, HEAD"
    if answer.status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def _listen(address: Address) -> socket.socket:
    """Open the socket here, not in the loop: it would open one for each family, on port 0 with two different ports."""
    if not address.host or address.host == "::":
        if socket.has_dualstack_ipv6():
            return socket.create_server(("::", address.port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("0.0.0.0", address.port))  # noqa: S104 - every interface was asked for
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family)
