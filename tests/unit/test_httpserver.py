"""The servers of probes and metrics: addresses, answers, and clients that mean no good. Over real sockets, on port 0."""

import asyncio
import contextlib
import socket
import ssl
from http import HTTPStatus

import aiohttp
import pytest

from certificates import write_pair
from runner.health import Probe
from runner.httpserver import connections as httpconnections
from runner.httpserver import server as httpserver
from runner.httpserver.server import Address, AddressError, Answer, HttpServer, parse_address

LOCAL = Address("127.0.0.1", 0)
FLAG = "--metrics-bind-address"


class TestAddress:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (":8443", Address("", 8443)),
            ("127.0.0.1:0", Address("127.0.0.1", 0)),
            ("0.0.0.0:8080", Address("0.0.0.0", 8080)),
            ("localhost:80", Address("localhost", 80)),
            ("[::]:8080", Address("::", 8080)),
            ("[::1]:0", Address("::1", 0)),
            ("[fe80::1%eth0]:1", Address("fe80::1%eth0", 1)),
            (":65535", Address("", 65535)),
            ("0", None),
        ],
    )
    def test_controller_runtime_s_forms(self, text, expected):
        """The flags of existing deployments are passed on as they are."""
        assert parse_address(text, flag=FLAG) == expected

    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("", "write HOST:PORT"),
            ("8443", r"\(:8443\?\)"),
            ("localhost", "write HOST:PORT"),
            (":", "write HOST:PORT"),
            (":http", "write HOST:PORT"),
            ("::1:8080", r"brackets around an IPv6 address: \[::1\]:8080\?"),
            ("http://127.0.0.1:80", "write HOST:PORT"),
            (":65536", "the highest is 65535"),
            (":-1", "write HOST:PORT"),
            (":٣", "write HOST:PORT"),  # an Arabic three, which int() would take
            ("a b:80", "write HOST:PORT"),
        ],
    )
    def test_anything_else_is_refused_with_the_flag_and_a_hint(self, text, hint):
        with pytest.raises(AddressError, match=hint) as caught:
            parse_address(text, flag=FLAG)

        assert str(caught.value).startswith(FLAG)

    @pytest.mark.parametrize("text", [":8443", "127.0.0.1:0", "[::]:8080"])
    def test_is_shown_as_it_is_written(self, text):
        assert str(parse_address(text, flag=FLAG)) == text


@contextlib.asynccontextmanager
async def serving(routes, *, address=LOCAL, admit=None, tls=None):
    server = HttpServer(address, routes, flag=FLAG, admit=admit, tls=tls)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def ask(server, path, *, method="GET", headers=None, host="127.0.0.1"):
    """One request; the status, the body and the headers."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{host}:{server.port}{path}", headers=headers) as response,
    ):
        return response.status, await response.text(), response.headers


def probes():
    return httpserver.probe_routes(
        [Probe("healthz", {"ping": lambda: True}), Probe("readyz", {"informers": lambda: False, "lease": lambda: True})]
    )


def metrics():
    return httpserver.metrics_routes(lambda accept: (f"accept={accept}".encode(), "text/made-up; version=1"))


class TestProbes:
    @pytest.mark.parametrize(
        ("path", "status", "text"),
        [
            ("/healthz", 200, "ok"),
            ("/healthz/", 200, "ok"),
            ("/healthz?verbose", 200, "[+]ping ok\nhealthz check passed\n"),
            ("/healthz/ping", 200, "ok"),
            ("/healthz/none", 404, "not found\n"),
            ("/readyz", 500, "[-]informers failed: reason withheld\n[+]lease ok\nreadyz check failed\n"),
            ("/readyz?exclude=informers", 200, "ok"),
            ("/readyz/informers", 500, "informers failed: reason withheld\n"),
            ("/readyz/lease", 200, "ok"),
            ("/", 404, "not found\n"),
            ("/healthzz", 404, "not found\n"),
            ("/healthzping", 404, "not found\n"),
            ("/metrics", 404, "not found\n"),
            ("/healthz/../metrics", 404, "not found\n"),
        ],
    )
    async def test_paths(self, path, status, text):
        async with serving(probes()) as server:
            answered, body, _ = await ask(server, path)

        assert (answered, body) == (status, text)


class TestMetrics:
    async def test_renders_for_what_the_client_accepts(self):
        async with serving(metrics()) as server:
            status, body, headers = await ask(server, "/metrics", headers={"Accept": "x/y"})

        assert (status, body) == (200, "accept=x/y")
        assert headers["Content-Type"] == "text/made-up; version=1"

    async def test_path_is_a_setting(self):
        """The Go echoperator has METRICS_PATH."""
        routes = httpserver.metrics_routes(lambda _: (b"here", "text/plain"), path="/stats")
        async with serving(routes) as server:
            assert (await ask(server, "/stats"))[:2] == (200, "here")
            assert (await ask(server, "/metrics"))[0] == 404

    async def test_nothing_below_metrics(self):
        async with serving(metrics()) as server:
            assert (await ask(server, "/metrics/more"))[0] == 404


class TestRequests:
    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    async def test_only_get_and_head(self, method):
        async with serving(metrics()) as server:
            status, _, headers = await ask(server, "/metrics", method=method)

        assert (status, headers["Allow"]) == (405, "GET, HEAD")

    async def test_head_has_no_body(self):
        async with serving(metrics()) as server:
            assert (await ask(server, "/metrics", method="HEAD"))[:2] == (200, "")

    async def test_library_and_versions_are_not_told(self):
        async with serving(metrics()) as server:
            _, _, headers = await ask(server, "/metrics")

        assert headers["Server"] == "ansible-operator"
        assert headers["Connection"] == "close"

    async def test_filter_sees_every_request_first(self):
        """Where the token review will be: it must not even tell which paths there are."""
        seen = []

        async def admit(request):
            seen.append(request.path)
            if request.headers.get("Authorization") == "Bearer good":
                return None
            return Answer(status=HTTPStatus.UNAUTHORIZED, body=b"who are you\n")

        async with serving(metrics(), admit=admit) as server:
            assert (await ask(server, "/metrics"))[:2] == (401, "who are you\n")
            assert (await ask(server, "/nothing"))[0] == 401
            assert (await ask(server, "/metrics", headers={"Authorization": "Bearer good"}))[0] == 200
        assert seen == ["/metrics", "/nothing", "/metrics"]


class TestListening:
    async def test_free_port_is_known_once_started(self):
        server = HttpServer(LOCAL, probes(), flag=FLAG)
        with pytest.raises(RuntimeError, match="not started"):
            _ = server.port

        await server.start()
        assert server.port > 0
        await server.stop()

    async def test_taken_port_is_an_error_that_names_the_flag(self):
        async with serving(probes()) as server:
            second = HttpServer(Address("127.0.0.1", server.port), probes(), flag=FLAG)
            with pytest.raises(AddressError, match=f"^{FLAG}: cannot listen on 127.0.0.1:{server.port}: Address"):
                await second.start()
            await second.stop()

    async def test_every_interface_means_both_families_on_one_port(self):
        """Clusters of either family probe the Pod's address."""
        async with serving(probes(), address=Address("", 0)) as server:
            assert (await ask(server, "/healthz"))[0] == 200
            if socket.has_dualstack_ipv6():
                assert (await ask(server, "/healthz", host="[::1]"))[0] == 200

    async def test_stop_ends_open_connections_and_frees_the_port(self):
        server = HttpServer(LOCAL, probes(), flag=FLAG)
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

        await asyncio.wait_for(server.stop(), httpserver._STOP_S / 2)

        assert await reader.read() == b""
        writer.close()
        async with serving(probes(), address=Address("127.0.0.1", server.port)):
            pass

    async def test_stop_twice_or_unstarted_is_harmless(self):
        server = HttpServer(LOCAL, probes(), flag=FLAG)
        await server.stop()
        await server.start()
        await server.stop()
        await server.stop()


class TestBadClients:
    async def open(self, server, count):
        return [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(count)]

    async def close(self, connections):
        for _, writer in connections:
            writer.close()
        for _, writer in connections:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def test_many_that_send_nothing_do_not_keep_the_kubelet_out(self):
        """Of too many the oldest goes: whoever asks at once has its answer before its turn comes."""
        async with serving(probes()) as server:
            idle = await self.open(server, 3 * httpconnections.MOST_CONNECTIONS)

            assert (await ask(server, "/healthz"))[0] == 200

            assert await asyncio.wait_for(idle[0][0].read(), 2) == b""
            await self.close(idle)

    @pytest.mark.parametrize("start", [b"", b"GET /healthz HTTP/1.1\r\nX: "])
    async def test_connection_ends_even_if_the_request_never_does(self, start, monkeypatch):
        """The library alone would wait for ever."""
        monkeypatch.setattr(httpconnections, "LONGEST_S", 0.05)
        async with serving(probes()) as server:
            (connection,) = await self.open(server, 1)
            connection[1].write(start)

            assert await asyncio.wait_for(connection[0].read(), 1) == b""
            await self.close([connection])

    async def test_client_that_does_not_read_is_cut(self, monkeypatch):
        """Its answer would stay in memory."""
        monkeypatch.setattr(httpconnections, "LONGEST_S", 0.05)
        large = httpserver.metrics_routes(lambda _: (b"x" * 50_000_000, "text/plain"))
        async with serving(large) as server:
            with socket.create_connection(("127.0.0.1", server.port)) as deaf:
                deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                await self.until(lambda: server._handlers.connections)

                await self.until(lambda: not server._handlers.connections)

    async def until(self, reached):
        async with asyncio.timeout(2):
            while not reached():  # noqa: ASYNC110 - the library tells nobody
                await asyncio.sleep(0)

    @pytest.mark.parametrize(
        "headers",
        [
            b"X: " + b"a" * 10_000,
            b"\r\n".join(b"X%d: a" % number for number in range(200)),
        ],
    )
    async def test_huge_headers_are_refused(self, headers):
        async with serving(probes()) as server:
            (connection,) = await self.open(server, 1)
            connection[1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n")

            status = await connection[0].readline()

            await self.close([connection])
        assert status.split()[1] == b"400"

    async def test_garbage_is_refused(self):
        async with serving(probes()) as server:
            (connection,) = await self.open(server, 1)
            connection[1].write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not http\r\n\r\n")

            status = await connection[0].readline()

            await self.close([connection])
        assert status.split()[1] == b"400"

    async def test_body_of_a_refused_post_is_not_read(self):
        """405 comes at once, and the connection ends."""
        async with serving(probes()) as server:
            (connection,) = await self.open(server, 1)
            connection[1].write(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")

            answer = await asyncio.wait_for(connection[0].read(), 2)

            await self.close([connection])
        assert answer.startswith(b"HTTP/1.1 405")


@pytest.fixture
def tls(tmp_path):
    """What the server is given, and what a client trusts because of it."""
    certificate, key = write_pair(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, ssl.create_default_context(cafile=certificate)


async def ask_tls(server, path, trust):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://localhost:{server.port}{path}", ssl=trust) as response,
    ):
        return response.status, await response.text()


class TestTls:
    async def test_serves_those_who_trust_its_certificate(self, tls):
        context, trust = tls
        async with serving(probes(), tls=lambda: context) as server:
            assert await ask_tls(server, "/healthz", trust) == (200, "ok")
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await ask_tls(server, "/healthz", ssl.create_default_context())

    async def test_certificate_is_asked_for_each_time(self, tls, tmp_path):
        """So a rotation counts without a restart."""
        context, trust = tls
        asked = []

        def ask():
            asked.append(context)
            return context

        async with serving(probes(), tls=ask) as server:
            await ask_tls(server, "/healthz", trust)
            await ask_tls(server, "/healthz", trust)
        assert len(asked) == 2

    async def test_filter_and_long_answers_work_as_without(self, tls):
        context, trust = tls

        async def admit(request):
            return None if request.path == "/metrics" else Answer(status=HTTPStatus.UNAUTHORIZED, body=b"no\n")

        large = httpserver.metrics_routes(lambda _: (b"x" * 5_000_000, "text/plain"))
        async with serving(large, admit=admit, tls=lambda: context) as server:
            assert await ask_tls(server, "/other", trust) == (401, "no\n")
            assert await ask_tls(server, "/metrics", trust) == (200, "x" * 5_000_000)

    async def test_request_in_the_packet_that_ends_the_handshake(self, tls):
        """Clients send both at once; the library learns of the connection a moment later."""
        context, trust = tls
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trust.wrap_bio(back, there, server_hostname="localhost")
        async with serving(probes(), tls=lambda: context) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            writer.write(there.read())
            while True:
                back.write(await asyncio.wait_for(reader.read(65536), 2))
                try:
                    client.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                break
            client.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            writer.write(there.read())
            back.write(await asyncio.wait_for(reader.read(), 2))
            answer = client.read(65536)
            writer.close()
        assert answer.startswith(b"HTTP/1.1 200 OK")

    async def test_plain_http_is_not_answered(self, tls):
        context, _ = tls
        async with serving(probes(), tls=lambda: context) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

            answer = await asyncio.wait_for(reader.read(), 2)

            writer.close()
        assert b"HTTP" not in answer

    async def test_handshakes_that_never_begin_do_not_keep_others_out(self, tls):
        """They count among the connections, so there are never more than there may be."""
        context, trust = tls
        async with serving(probes(), tls=lambda: context) as server:
            idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(150)]
            assert await ask_tls(server, "/healthz", trust) == (200, "ok")

            assert await asyncio.wait_for(idle[0][0].read(), 2) == b""
            assert len(server._door._inside) <= httpconnections.MOST_CONNECTIONS
            for _, writer in idle:
                writer.close()

    @pytest.mark.parametrize("start", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
    async def test_handshake_that_never_ends_is_cut(self, tls, start, monkeypatch):
        monkeypatch.setattr(httpconnections, "LONGEST_S", 0.05)
        context, _ = tls
        async with serving(probes(), tls=lambda: context) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(start)

            assert await asyncio.wait_for(reader.read(), 1) == b""
            assert not server._door._inside
            writer.close()

    async def test_stop_does_not_wait_for_a_client_s_farewell(self, tls):
        context, trust = tls
        server = HttpServer(LOCAL, probes(), flag=FLAG, tls=lambda: context)
        await server.start()
        silent = await asyncio.open_connection("127.0.0.1", server.port)
        shaken = await asyncio.open_connection("127.0.0.1", server.port, ssl=trust, server_hostname="localhost")

        await asyncio.wait_for(server.stop(), 2 * httpserver._STOP_S)

        for _, writer in (silent, shaken):
            writer.close()


async def test_refusal_says_how_to_come_in():
    async def admit(request):
        return Answer(status=HTTPStatus.UNAUTHORIZED, body=b"who are you\n")

    async with serving(metrics(), admit=admit) as server:
        _, _, headers = await ask(server, "/metrics")
    assert headers["WWW-Authenticate"] == "Bearer"
