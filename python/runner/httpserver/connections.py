"""The connections of a small HTTP server, kept in bounds.

Promises: no more than `MOST_CONNECTIONS` at a time, of which the oldest is cut for the newest, and none longer than
`LONGEST_S`. Both count from the first packet, so a TLS handshake that never ends is bounded like any request. Does not
speak HTTP.
"""

import asyncio
import ssl
from collections.abc import Callable

__all__ = ["LONGEST_S", "MOST_CONNECTIONS", "Door"]

MOST_CONNECTIONS = 100
LONGEST_S = 10.0
_FAREWELL_S = 1.0


class Door:
    """Makes the protocol of each connection: what `create_server` takes."""

    def __init__(
        self, make: Callable[[], asyncio.Protocol], *, tls: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        """Args:
        tls: asked for each connection; `None`: none is encrypted.
        """
        self._make = make
        self._tls = tls
        self._inside: dict[_Connection, None] = {}  # in the order of their coming

    def __call__(self) -> asyncio.Protocol:
        if self._tls is None:
            return _Connection(self, self._make())
        return _TlsConnection(self, self._make(), self._tls)

    def enter(self, connection: "_Connection") -> None:
        if len(self._inside) >= MOST_CONNECTIONS:
            next(iter(self._inside)).cut()
        self._inside[connection] = None

    def leave(self, connection: "_Connection") -> None:
        self._inside.pop(connection, None)

    def clear(self) -> None:
        """Cut all there are."""
        for connection in list(self._inside):
            connection.cut()


class _Connection(asyncio.Protocol):
    """Passes everything on to the library's protocol, which by itself waits for ever for a request."""

    def __init__(self, door: Door, inner: asyncio.Protocol) -> None:
        self._door = door
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def cut(self) -> None:
        self._door.leave(self)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # what create_server makes
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(LONGEST_S, self.cut)
        self._door.enter(self)
        self._begin(transport)

    def _begin(self, transport: asyncio.Transport) -> None:
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._inner.connection_lost(exc)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._door.leave(self)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


class _TlsConnection(_Connection):
    """Shakes hands first; the library's protocol sees only those that come through.

    `create_server(ssl=...)` would show a connection to its protocol after the handshake, where nobody could count it.
    """

    def __init__(self, door: Door, inner: asyncio.Protocol, tls: Callable[[], ssl.SSLContext]) -> None:
        super().__init__(door, inner)
        self._tls = tls
        self._handshake: asyncio.Task[None] | None = None
        self._joined = False
        self._lost = False
        self._early: list[bytes] = []

    def _begin(self, transport: asyncio.Transport) -> None:
        transport.pause_reading()  # what comes is the handshake's, not ours
        self._handshake = asyncio.create_task(self._secure(transport), name="TLS handshake")

    async def _secure(self, transport: asyncio.Transport) -> None:
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                self._tls(),
                server_side=True,
                ssl_handshake_timeout=LONGEST_S,
                ssl_shutdown_timeout=_FAREWELL_S,
            )
        except OSError:  # whatever the other side sent or did not send; ssl.SSLError and TimeoutError are among it
            transport.abort()
            self._end()
            return
        if secured is None or self._lost:  # cut meanwhile
            self._end()
            return
        self._inner.connection_made(secured)
        self._joined = True
        for data in self._early:
            self._inner.data_received(data)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        # The request may come in the same packet as the end of the handshake, before `start_tls` returns.
        if self._joined:
            super().data_received(data)
        else:
            self._early.append(data)

    def eof_received(self) -> bool | None:
        return super().eof_received() if self._joined else None

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._lost = True
        if self._joined:
            self._inner.connection_lost(exc)
