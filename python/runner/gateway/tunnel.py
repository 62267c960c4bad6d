"""WebSockets through the gateway: after the handshake, bytes both ways, unread and unchanged.

Either end that closes closes the other; a slow reader on one side slows the writer on the other. Does not know
frames, so any subprotocol passes. It takes both sockets over from aiohttp, which would otherwise parse them.
"""

import asyncio
from typing import NoReturn

import aiohttp
from aiohttp import web

from runner.gateway.answers import Refusal

__all__ = ["is_websocket", "join", "refuse_other_upgrades"]


def is_websocket(request: web.BaseRequest) -> bool:
    return _upgrade(request) == "websocket"


def refuse_other_upgrades(request: web.BaseRequest) -> None:
    """Raise a `Refusal` for SPDY, which old clients ask for and which has no future."""
    if _upgrade(request).startswith("spdy"):
        raise Refusal.bad_request(
            "SPDY is not tunnelled, WebSockets are: use kubectl 1.31 or newer with KUBECTL_REMOTE_COMMAND_WEBSOCKETS"
            " and KUBECTL_PORT_FORWARD_WEBSOCKETS not set to false, or kubernetes.core.k8s_exec"
        )


def _upgrade(request: web.BaseRequest) -> str:
    tokens = {token.strip().lower() for token in request.headers.get("Connection", "").split(",")}
    return request.headers.get("Upgrade", "").lower() if "upgrade" in tokens else ""


async def join(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> NoReturn:
    """Carry bytes between a client and a server that has agreed to switch protocols, until cancelled.

    The end of either connection cancels: it is reported to aiohttp, which then ends the request's task.
    """
    client, connection = request.transport, answer.connection
    if client is None or connection is None or connection.protocol is None or connection.transport is None:
        raise Refusal.bad_gateway("the connection was lost before the tunnel stood")
    server = connection.transport
    try:
        client_early, server_early = _Early(), _Early()
        request.protocol.set_parser(client_early)  # type: ignore[arg-type]  # all it needs is feed_data and feed_eof
        connection.protocol.set_parser(server_early, None)
        client.set_protocol(_End(server, request.protocol))
        server.set_protocol(_End(client, connection.protocol))
        client.write(_head(answer) + bytes(server_early.data))
        server.write(bytes(client_early.data))
        client.resume_reading()
        server.resume_reading()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable")
    finally:
        server.close()
        client.close()


def _head(answer: aiohttp.ClientResponse) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{key}: {value}" for key, value in answer.headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


class _Early:
    """Takes over what arrived after the handshake and before the tunnel stood."""

    def __init__(self) -> None:
        self.data = bytearray()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Nothing to finish."""


class _End(asyncio.Protocol):
    """One end of the tunnel: what arrives here leaves at the other."""

    def __init__(self, other: asyncio.Transport, former: asyncio.BaseProtocol) -> None:
        """Args:
        former: the protocol this one replaced; hears of the connection's end.
        """
        self._other = other
        self._former = former

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def pause_writing(self) -> None:
        self._other.pause_reading()

    def resume_writing(self) -> None:
        self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._other.close()
        self._former.connection_lost(exc)
