"""What a protocol behind the door sees of a connection. `test_httpserver` has the bounds, over a whole server."""

import asyncio
import contextlib
import ssl

import pytest

from certificates import write_pair
from runner.httpserver import connections as httpconnections
from runner.httpserver.connections import Door


class Recorder(asyncio.Protocol):
    """Writes down what it is told, and echoes."""

    def __init__(self, told):
        self.told = told

    def connection_made(self, transport):
        self.transport = transport
        self.told.append("made")

    def data_received(self, data):
        self.told.append(data)
        self.transport.write(data)

    def connection_lost(self, exc):
        self.told.append("lost")


@contextlib.asynccontextmanager
async def listening(told, tls=None):
    door = Door(lambda: Recorder(told), tls=tls)
    server = await asyncio.get_running_loop().create_server(door, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], door
    finally:
        server.close()
        door.clear()
        await server.wait_closed()


async def until(reached):
    async with asyncio.timeout(2):
        while not reached():  # noqa: ASYNC110 - a transport tells nobody but its protocol
            await asyncio.sleep(0)


@pytest.fixture
def tls(tmp_path):
    certificate, key = write_pair(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, ssl.create_default_context(cafile=certificate)


async def test_plain():
    told = []
    async with listening(told) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        await until(lambda: "lost" in told)
    assert told == ["made", b"hello", "lost"]


@pytest.mark.parametrize("more", [b"", b"and more"])
async def test_data_in_the_packet_that_ends_the_handshake_comes_after_the_connection(tls, more):
    """asyncio hands it over before `start_tls` returns; a protocol without a transport could not answer it."""
    context, trust = tls
    told = []
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(back, there, server_hostname="localhost")
    async with listening(told, lambda: context) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        done = False
        while not done:
            try:
                client.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                writer.write(there.read())
                back.write(await asyncio.wait_for(reader.read(65536), 2))
        client.write(b"hello")
        writer.write(there.read())
        await until(lambda: told == ["made", b"hello"])
        if more:
            client.write(more)
            writer.write(there.read())
            await until(lambda: told == ["made", b"hello", more])
        writer.close()
        await until(lambda: "lost" in told)


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\n\r\n"])
async def test_who_does_not_shake_hands_is_never_shown(tls, start, monkeypatch):
    monkeypatch.setattr(httpconnections, "LONGEST_S", 0.05)
    told = []
    async with listening(told, lambda: tls[0]) as (port, door):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 2)
        await until(lambda: not door._inside)
        writer.close()
    assert told == []


async def test_certificate_that_cannot_be_had_ends_the_connection(tls):
    """And only that: the next one may have it."""
    answers = iter([OSError("no more memory"), tls[0]])

    def ask():
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    told = []
    async with listening(told, ask) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        _, second = await asyncio.open_connection("127.0.0.1", port, ssl=tls[1], server_hostname="localhost")
        await until(lambda: told == ["made"])
        second.close()
