"""The gateway against an API server that does what a real one rarely does, and clients that mean no good."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from fakes import FakeClock
from runner.gateway import relay
from runner.gateway.discovery import DiscoveryMemory, Source
from runner.gateway.ownership import Owner
from runner.gateway.policy import ApiRequest, Restriction
from runner.gateway.server import Access, Gateway, Grant
from runner.httpserver.server import AddressError
from runner.kube.client import KubeClient
from runner.kube.config import Connection
from runner.kube.discovery import Discovery
from runner.kube.errors import Fenced
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource, RunId, Uid

MAPS = "/api/v1/namespaces/n/configmaps"
ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")
REFERENCE = {"apiVersion": "mmontes.io/v1alpha1", "kind": "Echo", "name": "x", "uid": "u-1"}
KINDS = {
    "resources": [
        {"name": "configmaps", "kind": "ConfigMap", "namespaced": True, "verbs": ["get", "list", "watch", "create"]},
        {"name": "reviews", "kind": "Review", "namespaced": True, "verbs": ["create"]},
    ]
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Tokens:
    """Credentials whose token changes when it is asked for anew."""

    def __init__(self) -> None:
        self.renewed = 0

    async def headers(self, *, renew: bool = False) -> dict[str, str]:
        self.renewed += renew
        return {"Authorization": f"Bearer operator-{self.renewed}"}


class ApiServer:
    """Serves discovery, answers the rest with the handler the test sets, and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any, bytes]] = []
        self.handler: Handler = says({"kind": "ConfigMap"})
        self.served = {"/api/v1": KINDS}
        self.discovery_status = 200
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path in self.served:
            return web.json_response(self.served[request.path], status=self.discovery_status)
        body = b"" if request.headers.get("Upgrade") else await request.read()
        self.requests.append((request.method, request.raw_path, request.headers.copy(), body))
        return await self.handler(request)

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _, _ in self.requests]


def says(body: Any, status: int = 200, **headers: str) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    return handler


class Door:
    """A gateway in front of that server."""

    def __init__(self, port: int) -> None:
        connection = Connection(
            server=f"http://127.0.0.1:{port}",
            tls=None,
            credentials=Tokens(),  # type: ignore[arg-type]  # what a client needs of them
            proxy=None,
            namespace="default",
            context="test",
        )
        self.client = KubeClient(connection, user_agent="operator/1")
        self.children: list[tuple[str, str]] = []
        self.discovered: list[Source] = []
        self.clock = clock = FakeClock()
        self.answers: list[tuple[str, int]] = []
        self.fence: Callable[[], None] = lambda: None
        self.gateway = Gateway(
            self.client,
            Discovery(self.client, clock=clock),
            check_fence=self._check_fence,
            on_child=self._on_child,
            memory=DiscoveryMemory(clock=clock, observe=self.discovered.append),
            observe=lambda verb, code: self.answers.append((verb, code)),
        )
        self.session = aiohttp.ClientSession(auto_decompress=False)
        self.access: Access

    def _check_fence(self) -> None:
        self.fence()

    def _on_child(self, owner: Owner, child: Resource, namespace: str) -> None:
        self.children.append((child.gvk.kind, namespace))

    def grant(self, **changes: Any) -> Access:
        values: dict[str, Any] = {
            "run_id": RunId("r"),
            "owner_gvk": ECHO,
            "owner_ref": ObjectRef("n", "x"),
            "owner_uid": Uid("u-1"),
            "owner_namespaced": True,
        }
        return self.gateway.grant(Grant(**values | changes))

    def headers(self, more: dict[str, str] | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access.token}", **(more or {})}

    @asynccontextmanager
    async def open(
        self, method: str, path: str, headers: dict[str, str] | None = None, data: Any = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with (
            asyncio.timeout(5),
            self.session.request(method, self.access.server + path, headers=self.headers(headers), data=data) as answer,
        ):
            yield answer

    async def ask(
        self, method: str, path: str, body: Raw | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if body is not None else {}
        async with self.open(method, path, kind | (headers or {}), data) as answer:
            return answer.status, await answer.json(content_type=None)

    async def raw(self, text: str, *, until_eof: bool = False) -> bytes:
        """Send bytes as they are; `TOKEN` stands for the token. Returns what comes back, up to the body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port)
        try:
            writer.write(text.replace("\n", "\r\n").replace("TOKEN", self.access.token).encode("latin-1"))
            async with asyncio.timeout(5):
                return await reader.read() if until_eof else await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


@pytest.fixture
async def door(server: ApiServer) -> AsyncIterator[Door]:
    async with serving(server.port) as door:
        yield door


@asynccontextmanager
async def serving(port: int) -> AsyncIterator[Door]:
    door = Door(port)
    await door.gateway.start()
    door.access = door.grant()
    try:
        yield door
    finally:
        await door.session.close()
        await door.gateway.stop()
        await door.client.close()


async def eventually(check: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while True:
            if check():
                return
            await asyncio.sleep(0.01)


# What passes


async def test_requests_of_roles_wait_for_their_turn_as_the_operator_s_own(server: ApiServer, door: Door) -> None:
    """`--kube-api-qps` protects the API server, to which it is all the same who asks."""
    turns: list[str] = []

    async def pace() -> None:
        turns.append("turn")

    door.client.pace = pace
    server.handler = says({"kind": "Pod", "metadata": {"name": "p"}})
    for path in ("/api/v1/namespaces/n/pods/p", "/api/v1/namespaces/n/pods"):
        assert (await door.ask("GET", path))[0] == 200
    assert len(turns) == len(server.requests) == 2


async def test_a_request_goes_on_as_it_came_but_for_who_asks(server: ApiServer, door: Door):
    headers = {"User-Agent": "kubectl/v1", "X-Hop": "1", "Connection": "X-Hop", "TE": "trailers", "Accept": "a/b"}
    assert (await door.ask("GET", MAPS, headers=headers))[0] == 200
    ((_, _, sent, _),) = server.requests
    assert sent["Authorization"] == "Bearer operator-0"
    assert sent["Host"] == f"127.0.0.1:{server.port}"
    assert (sent["User-Agent"], sent["Accept"]) == ("kubectl/v1", "a/b")
    assert not {"X-Hop", "TE", "Content-Type"} & set(sent)
    assert door.answers == [("list", 200)]


async def test_the_target_is_sent_to_the_letter(server: ApiServer, door: Door):
    target = f"{MAPS}/a%3Ab?fieldSelector=x%3Dy&q=a+b%20c&limit&c=%2F%2e"
    head = await door.raw(f"GET {target} HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\n\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert server.asked == [("GET", target)]
    assert "Accept-Encoding" not in server.requests[0][2]


async def test_failures_and_their_headers_pass(server: ApiServer, door: Door):
    server.handler = says({"kind": "Status", "code": 429}, 429, **{"Retry-After": "4"})
    async with door.open("GET", MAPS) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "4")
        assert await answer.json() == {"kind": "Status", "code": 429}


async def test_a_rotated_token_is_read_again_once(server: ApiServer, door: Door):
    async def handler(request: web.Request) -> web.Response:
        good = request.headers["Authorization"] == "Bearer operator-1"
        return web.json_response({"body": await request.text()}, status=200 if good else 401)

    server.handler = handler
    assert await door.ask("PATCH", f"{MAPS}/c", {"a": 1}) == (200, {"body": '{"a": 1}'})
    server.handler = says({}, 401)
    server.requests.clear()
    assert await door.ask("GET", MAPS) == (401, {})
    assert len(server.requests) == 2


async def test_head_passes_with_its_length(server: ApiServer, door: Door):
    async with door.open("HEAD", f"{MAPS}/c") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len('{"kind": "ConfigMap"}')))
    assert (await door.ask("GET", MAPS))[0] == 200


async def test_an_answer_without_a_body_passes(server: ApiServer, door: Door):
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    server.handler = handler
    async with door.open("DELETE", f"{MAPS}/c") as answer:
        assert (answer.status, await answer.read()) == (204, b"")


async def test_a_watch_is_not_held_back_and_ends_with_its_client(server: ApiServer, door: Door):
    gone = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            for line in (b"one\n", b"two\n"):
                await go.wait()
                go.clear()
                await response.write(line)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            gone.set()
            raise
        return response

    go = asyncio.Event()
    server.handler = handler
    async with door.open("GET", f"{MAPS}?watch=1") as answer:
        for line in (b"one\n", b"two\n"):
            go.set()
            assert await answer.content.readany() == line
        answer.close()
    async with asyncio.timeout(5):
        await gone.wait()


async def test_a_body_announced_with_expect_is_asked_for(server: ApiServer, door: Door):
    text = f"PUT {MAPS}/c/status HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nExpect: 100-continue\nContent-Length: 2\n\n{{}}"
    assert await door.raw(text) == b"HTTP/1.1 100 Continue\r\n\r\n"
    await eventually(lambda: server.requests)
    assert server.requests[0][3] == b"{}"


async def test_no_content_type_is_made_up(server: ApiServer, door: Door):
    """Without one the API server takes a body for JSON; with a wrong one it answers 415."""
    head = f"PUT {MAPS}/c/status HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nContent-Length: 2\n\n{{}}"
    await door.raw(head)
    assert server.requests[0][3] == b"{}"
    assert "Content-Type" not in server.requests[0][2]


# What breaks


async def test_a_server_that_is_away_is_a_502():
    with_no_one = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = with_no_one.sockets[0].getsockname()[1]
    with_no_one.close()
    await with_no_one.wait_closed()
    async with serving(port) as door:
        status, body = await door.ask("GET", MAPS)
        assert (status, body["kind"], body["reason"]) == (502, "Status", "BadGateway")
        assert (await door.ask("POST", MAPS, {}))[0] == 503


async def hangs_up(request: web.Request) -> web.Response:
    """Close the connection after the request was read, as a server does that dies, or a balancer that tires of it."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize("kept_alive", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", f"{MAPS}/c/status", {}),
        ("DELETE", f"{MAPS}/c", {}),
        ("DELETE", f"{MAPS}/c", None),
        ("PATCH", f"{MAPS}/c/status", {}),
        ("POST", f"{MAPS}/c/token", {}),
    ],
)
async def test_a_write_whose_answer_is_lost_arrived_once(
    server: ApiServer, door: Door, method: str, path: str, body: Raw | None, kept_alive: bool
):
    """A replace that is sent again after it succeeded comes back as a conflict, a delete as not found."""
    if kept_alive:
        await door.ask("GET", MAPS)
        server.requests.clear()
    server.handler = hangs_up
    status, answer = await door.ask(method, path, body)
    assert (status, answer["reason"]) == (502, "BadGateway")
    assert "not sent again, and may have taken effect" in answer["message"]
    assert server.asked == [(method, path)]


async def test_a_command_whose_handshake_is_lost_was_started_once(server: ApiServer, door: Door):
    """It is a GET, which HTTP would allow to repeat."""
    await door.ask("GET", MAPS)
    server.requests.clear()
    server.handler = hangs_up
    status, _ = await door.ask("GET", EXEC, headers=WEBSOCKET)
    assert (status, server.asked) == (502, [("GET", EXEC)])


async def test_a_read_whose_connection_is_lost_is_repeated_once(server: ApiServer, door: Door):
    """Servers close idle connections at the very moment at which they are used again."""
    server.handler = hangs_up
    assert (await door.ask("GET", MAPS))[0] == 502
    assert server.asked == [("GET", MAPS)] * 2


@pytest.mark.parametrize("size", [10, relay.WHOLE_BYTES + 100_000])
async def test_an_answer_that_breaks_off_never_looks_complete(server: ApiServer, door: Door, size: int):
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * size)
        await asyncio.sleep(0.05)
        assert request.transport is not None
        request.transport.abort()
        return response

    server.handler = handler
    if size < relay.WHOLE_BYTES:
        assert (await door.ask("GET", MAPS))[0] == 502
        return
    with pytest.raises(aiohttp.ClientPayloadError):
        async with door.open("GET", MAPS) as answer:
            await answer.read()


# Discovery


class Discoverable:
    """Serves discovery with an ETag, and counts what it is asked."""

    def __init__(self, server: ApiServer) -> None:
        self.asked: list[str] = []
        self.says: Any = {"groups": []}
        self.status = 200
        server.handler = self

    async def __call__(self, request: web.Request) -> web.Response:
        self.asked.append(request.raw_path)
        assert "If-None-Match" not in request.headers
        return web.json_response(self.says, status=self.status, headers={"ETag": '"1"', "Vary": "Accept"})


async def other_client(door: Door, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Ask as a process of its own does: through a connection of its own."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(door.access.server + path, headers=door.headers(headers)) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def test_discovery_of_a_second_client_comes_from_memory_whole(server: ApiServer, door: Door):
    far = Discoverable(server)
    first, second = [await other_client(door, "/apis?timeout=32s") for _ in range(2)]
    assert first == second == (200, {"groups": []})
    assert (far.asked, door.discovered) == (["/apis?timeout=32s"], ["server", "memory"])
    assert door.answers == [("get", 200)] * 2
    assert door.access.usage.requests == 2


async def test_memory_serves_other_runs_too(server: ApiServer, door: Door):
    far = Discoverable(server)
    await other_client(door, "/apis")
    door.access = door.grant(run_id=RunId("other"))
    await other_client(door, "/apis")
    assert far.asked == ["/apis"]


async def test_a_client_that_asks_again_is_given_the_servers_own_answer(server: ApiServer, door: Door):
    """It did not find a kind in the first answer; so do clients look for what was defined meanwhile."""
    far = Discoverable(server)
    assert await door.ask("GET", "/apis") == (200, {"groups": []})
    far.says = {"groups": ["new"]}
    assert await door.ask("GET", "/apis") == (200, {"groups": ["new"]})
    assert await other_client(door, "/apis") == (200, {"groups": ["new"]})
    assert len(far.asked) == 2


@pytest.mark.parametrize("path", ["/version", "/openapi/v3"])
async def test_a_client_that_asks_again_for_what_lists_no_kinds_is_told_the_same(
    server: ApiServer, door: Door, path: str
):
    """helm does, of these two, each time it runs."""
    far = Discoverable(server)
    for _ in range(2):
        await door.ask("GET", path)
    assert far.asked == [path]


async def test_memory_is_behind_the_door(server: ApiServer, door: Door):
    """Who may not ask is not told what others were told."""
    Discoverable(server)
    assert (await other_client(door, "/apis"))[0] == 200
    forbidding = door.grant(restriction=NoDiscovery())
    door.access, allowed = forbidding, door.access
    assert (await other_client(door, "/apis"))[0] == 403
    door.gateway.revoke(allowed)
    door.access = allowed
    assert (await other_client(door, "/apis"))[0] == 401
    assert door.discovered == ["server"]


class NoDiscovery(Restriction):
    def refusal(self, request: ApiRequest) -> str:
        return "not for you" if not request.is_resource else ""


@pytest.mark.parametrize(
    ("sent", "status"), [('"1"', 304), ('W/"1"', 304), ('"0", "1"', 304), ("*", 304), ('"0"', 200), ("", 200)]
)
async def test_a_client_that_has_an_answer_is_told_so(server: ApiServer, door: Door, sent: str, status: int):
    far = Discoverable(server)
    for _ in range(2):  # from the server and from memory
        async with aiohttp.ClientSession() as session:
            url = f"{door.access.server}/openapi/v3"
            async with session.get(url, headers=door.headers({"If-None-Match": sent})) as answer:
                assert (answer.status, answer.headers["ETag"]) == (status, '"1"')
                assert await answer.read() == (b"" if status == 304 else b'{"groups": []}')
    assert len(far.asked) == 1


async def test_compressed_discovery_stays_as_it_is(server: ApiServer, door: Door):
    packed = gzip.compress(b"{}" * 100)

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    server.handler = handler
    for _ in range(2):
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            headers = door.headers({"Accept-Encoding": "gzip"})
            async with session.get(f"{door.access.server}/openapi/v2", headers=headers) as answer:
                assert (answer.headers["Content-Encoding"], await answer.read()) == ("gzip", packed)
    assert len(server.requests) == 1


async def test_failed_discovery_passes_and_is_asked_again(server: ApiServer, door: Door):
    far = Discoverable(server)
    far.status = 503
    assert (await other_client(door, "/apis"))[0] == 503
    server.handler = hangs_up
    assert (await other_client(door, "/apis"))[0] == 502
    server.handler = far
    far.status = 200
    assert (await other_client(door, "/apis"))[0] == 200


DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", DEFINITIONS, 201),
        ("PUT", f"{DEFINITIONS}/x/status", 200),
        ("PATCH", f"{DEFINITIONS}/x", 200),
        ("DELETE", f"{DEFINITIONS}/x", 200),
        ("DELETE", "/apis/apiregistration.k8s.io/v1/apiservices/v1.x", 200),
        ("PUT", f"{DEFINITIONS}/x/status", 502),
    ],
)
async def test_a_definition_that_passes_makes_memory_old_before_its_answer_is_there(
    server: ApiServer, door: Door, method: str, path: str, status: int
):
    far = Discoverable(server)
    await other_client(door, "/apis")
    served = {
        "name": path.split("/")[4],
        "kind": "Definition",
        "namespaced": False,
        "verbs": ["get", "list", "watch", "create"],
    }
    server.served[path.rsplit(f"/{served['name']}", 1)[0]] = {"resources": [served]}
    server.handler = hangs_up if status == 502 else says({}, status)
    body = {} if method != "DELETE" else None
    kind = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
    assert (await door.ask(method, path, body, kind))[0] == status
    server.handler = far
    await other_client(door, "/apis")
    assert far.asked == ["/apis"] * 2


@pytest.mark.parametrize(
    ("method", "path"), [("GET", DEFINITIONS), ("GET", f"{DEFINITIONS}/x"), ("PUT", f"{MAPS}/c/status")]
)
async def test_other_requests_leave_memory_alone(server: ApiServer, door: Door, method: str, path: str):
    far = Discoverable(server)
    await other_client(door, "/apis")
    server.handler = says({})
    await door.ask(method, path, None if method == "GET" else {})
    server.handler = far
    await other_client(door, "/apis")
    assert far.asked == ["/apis"]


def not_found(**details: str) -> Handler:
    return says({"kind": "Status", "reason": "NotFound", "details": details, "code": 404}, 404)


async def no_page(_request: web.Request) -> web.Response:
    return web.Response(status=404, text="404 page not found\n")


@pytest.mark.parametrize(
    ("answer", "forgotten"),
    [
        (no_page, True),
        (not_found(), True),
        (not_found(kind="configmaps"), True),
        (not_found(kind="configmaps", name="c"), False),
    ],
)
async def test_a_kind_that_is_not_served_makes_memory_doubtful(
    server: ApiServer, door: Door, answer: Handler, forgotten: bool
):
    """An object that is not there does not: that is what most roles ask first."""
    far = Discoverable(server)
    await other_client(door, "/apis")
    server.handler = answer
    async with door.open("GET", f"{MAPS}/c") as missing:
        assert missing.status == 404
    server.handler = far
    await other_client(door, "/apis")
    assert len(far.asked) == 1 + forgotten


async def test_discovery_of_somebody_else_is_not_remembered(server: ApiServer, door: Door):
    far = Discoverable(server)
    for _ in range(2):
        await other_client(door, "/apis", {"Impersonate-User": "somebody"})
    await other_client(door, "/apis")
    assert (len(far.asked), door.discovered) == (3, ["server"])


async def test_a_client_that_leaves_ends_its_discovery_at_the_server(server: ApiServer, door: Door):
    gone = asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            gone.set()
            raise
        return web.Response()

    server.handler = handler
    asking = asyncio.create_task(other_client(door, "/apis"))
    await eventually(lambda: server.requests)
    asking.cancel()
    async with asyncio.timeout(5):
        await gone.wait()


# Owners


async def test_nothing_is_created_while_discovery_fails(server: ApiServer, door: Door):
    server.discovery_status = 503
    status, body = await door.ask("POST", MAPS, {"kind": "ConfigMap"})
    assert (status, body["reason"]) == (503, "ServiceUnavailable")
    assert server.requests == []


@pytest.mark.parametrize("failure", [500, 503, 429])
async def test_nothing_is_replaced_that_could_not_be_read(server: ApiServer, door: Door, failure: int):
    server.handler = says({}, failure)
    status, _ = await door.ask("PUT", f"{MAPS}/c", {"kind": "ConfigMap"})
    assert status == 503
    assert server.asked == [("GET", f"{MAPS}/c")]


async def test_without_the_right_to_read_a_replace_goes_on_untouched(server: ApiServer, door: Door):
    """Operators of the Go runtime need no such right."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({}, status=403 if request.method == "GET" else 200)

    server.handler = handler
    assert (await door.ask("PUT", f"{MAPS}/c", {"kind": "ConfigMap"}))[0] == 200
    assert json.loads(server.requests[1][3]) == {"kind": "ConfigMap"}


@pytest.mark.parametrize(
    ("method", "path", "content_type", "marked"),
    [
        ("POST", MAPS, "application/json", True),
        ("POST", "/api/v1/namespaces/n/reviews", "application/json", False),
        ("POST", f"{MAPS}/c/token", "application/json", False),
        ("PATCH", f"{MAPS}/c", "application/merge-patch+json", False),
        ("PUT", f"{MAPS}/c/status", "application/json", False),
        ("POST", "/apis/nowhere/v1/namespaces/n/things", "application/json", True),
    ],
)
async def test_what_is_marked(server: ApiServer, door: Door, method: str, path: str, content_type: str, marked: bool):
    server.handler = says({}, 404 if "nowhere" in path else 201)
    await door.ask(method, path, {"kind": "X"}, {"Content-Type": content_type})
    sent = json.loads(server.requests[-1][3])
    assert sent == ({"kind": "X", "metadata": {"ownerReferences": [REFERENCE]}} if marked else {"kind": "X"})


async def test_a_kind_that_appeared_within_the_second_is_known(server: ApiServer, door: Door):
    """A run that defines a kind uses it at once, and discovery has just looked in vain. The clock stands still here."""
    path = "/apis/new/v1/namespaces/n/things"
    server.served["/apis/new/v1"] = {"resources": []}
    server.handler = says({}, 404)
    assert (await door.ask("POST", path, {"kind": "Thing"}))[0] == 404
    thing = {"name": "things", "kind": "Thing", "namespaced": True, "verbs": ["get", "list", "watch"]}
    server.served["/apis/new/v1"] = {"resources": [thing]}
    server.handler = says({}, 201)
    await door.ask("POST", path, {"kind": "Thing"})
    assert door.children == [("Thing", "n")]


async def test_children_are_told_of_by_marks_and_only_on_success(server: ApiServer, door: Door):
    ours = {"kind": "ConfigMap", "metadata": {"name": "c", "ownerReferences": [REFERENCE]}}
    server.handler = says({}, 409)
    await door.ask("POST", MAPS, {"kind": "ConfigMap"})
    server.handler = says({"kind": "ConfigMapList", "items": [ours]})
    await door.ask("GET", MAPS)
    server.handler = says(ours | {"metadata": {"ownerReferences": [REFERENCE | {"uid": "u-of-another"}]}})
    await door.ask("GET", f"{MAPS}/c")
    assert door.children == []
    server.handler = says(ours)
    await door.ask("GET", f"{MAPS}/c")
    await door.ask("PATCH", f"{MAPS}/c", {}, {"Content-Type": "application/merge-patch+json"})
    server.handler = says({}, 201)
    await door.ask("POST", MAPS, {"kind": "ConfigMap"})
    assert door.children == [("ConfigMap", "n")] * 3


async def test_a_large_answer_is_not_looked_into(server: ApiServer, door: Door):
    metadata = {"ownerReferences": [REFERENCE], "annotations": {"a": "x" * relay.WHOLE_BYTES}}
    server.handler = says({"kind": "ConfigMap", "metadata": metadata})
    status, body = await door.ask("GET", f"{MAPS}/c")
    assert (status, body["metadata"]) == (200, metadata)
    assert door.children == []


# Who may not


@pytest.mark.parametrize(
    "head",
    [
        f"POST {MAPS} HTTP/1.1\nContent-Length: 2\nTransfer-Encoding: chunked",
        f"POST {MAPS} HTTP/1.1\nContent-Length: 2\nContent-Length: 3",
        f"POST {MAPS} HTTP/1.1\nContent-Length: 2\nContent-Length: 2",
        f"POST {MAPS} HTTP/1.1\nTransfer-Encoding: gzip, chunked, x",
        f"GET http://elsewhere{MAPS} HTTP/1.1",
        "CONNECT elsewhere:443 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        f"TRACE {MAPS} HTTP/1.1",
        f"PROPFIND {MAPS} HTTP/1.1",
        f"get {MAPS} HTTP/1.1",
        f"GET {MAPS}/../secrets HTTP/1.1",
        f"GET {MAPS}/%2e%2e/secrets HTTP/1.1",
        "GET /api/v1//secrets HTTP/1.1",
        f"GET {MAPS}\\x HTTP/1.1",
        f"GET {MAPS} HTTP/1.1\nX : y",
        f"GET {MAPS} HTTP/1.1\nX: a\x00b",
    ],
)
async def test_ambiguous_requests_are_refused_and_go_nowhere(server: ApiServer, door: Door, head: str):
    body = "{}" if head.startswith("POST") else ""  # after another it would be a malformed second request
    answer = await door.raw(f"{head}\nHost: x\nAuthorization: Bearer TOKEN\n\n{body}")
    assert answer.split(b" ")[1] in (b"400", b"405"), answer
    await asyncio.sleep(0.02)
    assert server.requests == []


async def test_spdy_is_refused_with_the_remedy(server: ApiServer, door: Door):
    headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    status, body = await door.ask("POST", "/api/v1/namespaces/n/pods/p/exec?command=x", headers=headers)
    assert status == 400
    assert "KUBECTL_REMOTE_COMMAND_WEBSOCKETS" in body["message"]
    assert server.requests == []


@pytest.mark.parametrize("authorization", ["", "Bearer x", "Basic eDp4"])
async def test_without_a_token_nothing_passes(server: ApiServer, door: Door, authorization: str):
    status, body = await door.ask("GET", MAPS, headers={"Authorization": authorization})
    assert (status, body["kind"], body["code"]) == (401, "Status", 401)
    assert server.requests == []


async def test_a_restricted_run_stays_in_its_place(server: ApiServer, door: Door):
    door.access = door.grant(restriction=Restriction(namespaces=frozenset({"n"})))
    assert (await door.ask("GET", MAPS))[0] == 200
    status, body = await door.ask("GET", "/api/v1/namespaces/m/configmaps")
    assert (status, body["reason"]) == (403, "Forbidden")
    assert len(server.requests) == 1


async def test_a_body_beyond_measure_is_refused_unread(server: ApiServer, door: Door):
    head = await door.raw(
        f"POST {MAPS} HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nContent-Length: {relay.MAX_BODY_BYTES + 1}\n\n"
    )
    assert head.startswith(b"HTTP/1.1 413 ")


async def test_a_compressed_body_is_refused(server: ApiServer, door: Door):
    status, _ = await door.ask("POST", MAPS, {"kind": "ConfigMap"}, {"Content-Encoding": "gzip"})
    assert (status, server.requests) == (415, [])


@pytest.mark.parametrize(
    "path",
    ["/api/v1/namespaces/n/pods/p/exec?command=x", "/api/v1/namespaces/n/services/s/proxy/x", "/apis"],
)
async def test_a_dry_run_sends_nothing_that_would_be_real(server: ApiServer, door: Door, path: str):
    door.access = door.grant(dry_run=True)
    assert (await door.ask("POST", path))[0] == 403
    assert server.requests == []


# The fence


async def test_a_fenced_write_is_not_sent(server: ApiServer, door: Door):
    def fence() -> None:
        raise Fenced("lease lost")

    door.fence = fence
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        path = f"{MAPS}/c/status" if method != "POST" else "/api/v1/namespaces/n/pods/p/eviction"
        status, body = await door.ask(method, path, {})
        assert (status, body["reason"]) == (503, "Fenced"), method
    assert (await door.ask("GET", "/api/v1/namespaces/n/pods/p/exec", headers=WEBSOCKET))[0] == 503
    assert server.requests == []
    assert (await door.ask("GET", MAPS))[0] == 200


async def test_a_lease_lost_while_the_connection_is_made_still_holds_the_write_back():
    """Opening a connection to a server behind a broken network takes seconds. Not one byte may follow."""
    received = bytearray()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read())
        writer.close()

    listener = await asyncio.start_server(keep, "127.0.0.1", 0)
    async with serving(listener.sockets[0].getsockname()[1]) as door:
        checks = []

        def fence() -> None:
            checks.append(1)
            if len(checks) > 1:
                raise Fenced("lease lost meanwhile")

        door.fence = fence
        for body in (None, {"a": "b"}, {"a": "x" * 200_000}):
            checks.clear()
            status, answer = await door.ask("DELETE", f"{MAPS}/c", body)
            assert (status, answer["reason"]) == (503, "Fenced")
            assert len(checks) == 2
    listener.close()
    await listener.wait_closed()
    assert received == b""


# WebSockets

WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
EXEC = "/api/v1/namespaces/n/pods/p/exec?command=sh&stdin=true"


class Shell:
    """The far end of an exec: greets at once, echoes, and tells how it ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.free = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"], max_msg_size=0)
        await socket.prepare(request)
        try:
            await socket.send_bytes(b"\x01hello")
            async for message in socket:
                if message.data == b"bye":
                    break
                if message.data == b"crash":
                    assert request.transport is not None
                    request.transport.abort()
                if message.data == b"stall":
                    await self.free.wait()
                await socket.send_bytes(message.data)
        finally:
            self.ended.set()
        return socket


@asynccontextmanager
async def shell(door: Door) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        asyncio.timeout(5),
        door.session.ws_connect(
            door.access.server + EXEC,
            headers=door.headers(),
            protocols=["v5.channel.k8s.io", "v4.channel.k8s.io"],
            max_msg_size=0,
        ) as socket,
    ):
        yield socket


async def test_a_websocket_is_tunnelled_both_ways(server: ApiServer, door: Door):
    server.handler = far = Shell()
    async with shell(door) as socket:
        assert socket.protocol == "v4.channel.k8s.io"
        assert await socket.receive_bytes() == b"\x01hello"
        for size in (0, 1, 125, 65536, 3_000_000):
            await socket.send_bytes(b"x" * size)
            assert await socket.receive_bytes() == b"x" * size
    async with asyncio.timeout(5):
        await far.ended.wait()
    assert server.asked == [("GET", EXEC)]
    assert server.requests[0][2]["Authorization"] == "Bearer operator-0"
    assert door.answers == [("connect", 101)]
    assert (door.access.usage.requests, door.access.usage.writes) == (1, 1)


async def test_a_websocket_closed_by_the_server_is_closed(server: ApiServer, door: Door):
    server.handler = Shell()
    async with shell(door) as socket:
        await socket.receive_bytes()
        await socket.send_bytes(b"bye")
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_a_websocket_whose_server_crashes_ends(server: ApiServer, door: Door):
    server.handler = Shell()
    async with shell(door) as socket:
        await socket.receive_bytes()
        await socket.send_bytes(b"crash")
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_a_websocket_to_a_slow_reader_slows_its_writer(server: ApiServer, door: Door):
    """Else a copy into a Pod would be held in memory as fast as it is read from the disk."""
    server.handler = far = Shell()
    sent = 0

    async def flood(socket: aiohttp.ClientWebSocketResponse) -> None:
        nonlocal sent
        while sent < 200:
            await socket.send_bytes(b"x" * 1_000_000)
            sent += 1

    async with shell(door) as socket:
        await socket.receive_bytes()
        await socket.send_bytes(b"stall")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flood(socket), 0.5)
        door.gateway.revoke(door.access)
    far.free.set()
    assert sent < 100


async def test_revoking_ends_a_websocket(server: ApiServer, door: Door):
    server.handler = far = Shell()
    async with shell(door) as socket:
        await socket.receive_bytes()
        door.gateway.revoke(door.access)
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    async with asyncio.timeout(5):
        await far.ended.wait()


async def test_a_refused_websocket_shows_the_servers_own_words(server: ApiServer, door: Door):
    server.handler = says({"kind": "Status", "message": "container not found"}, 404)
    status, body = await door.ask("GET", EXEC, headers=WEBSOCKET)
    assert (status, body["message"]) == (404, "container not found")


# The end


async def test_revoking_cuts_requests_in_flight_and_leaves_the_others(server: ApiServer, door: Door):
    async def handler(request: web.Request) -> web.Response:
        try:
            await asyncio.wait_for(free.wait(), 5)
        except asyncio.CancelledError:
            cancelled.append(request.path)
            raise
        return web.json_response({})

    free, cancelled = asyncio.Event(), []
    server.handler = handler
    other = door.grant()
    head = f"GET {MAPS}/mine HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\n\n"
    mine = asyncio.create_task(door.raw(head, until_eof=True))
    await eventually(lambda: len(server.requests) == 1)
    door.access, revoked = other, door.access
    theirs = asyncio.create_task(door.ask("GET", f"{MAPS}/theirs"))
    await eventually(lambda: len(server.requests) == 2)
    door.gateway.revoke(revoked)
    with suppress(ConnectionResetError):
        assert await mine == b""
    await eventually(lambda: cancelled == [f"{MAPS}/mine"])
    free.set()
    assert await theirs == (200, {})


async def test_a_client_that_does_not_read_is_cut_too(server: ApiServer, door: Door):
    gone = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 1_000_000)
        except (asyncio.CancelledError, ConnectionError):
            gone.set()
            raise

    server.handler = handler
    _, writer = await asyncio.open_connection("127.0.0.1", door.gateway.port, limit=1)
    head = f"GET {MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.access.token}\r\n\r\n"
    writer.write(head.encode())
    await asyncio.sleep(0.2)
    door.gateway.revoke(door.access)
    async with asyncio.timeout(5):
        await gone.wait()
    writer.close()


@pytest.mark.parametrize("what", ["request", "tunnel"])
async def test_what_is_not_yet_delivered_when_its_run_ends_never_is(what: str):
    """A lost lease revokes; a write that waits in a buffer for a network to heal must not arrive after that."""
    go, received = asyncio.Event(), asyncio.get_running_loop().create_future()
    size = 400_000

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        read = bytearray()
        if what == "tunnel":
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        await go.wait()
        with suppress(ConnectionError):
            while chunk := await reader.read(size):
                read += chunk
        writer.close()
        received.set_result(read.count(b"x"))

    heads = {
        "request": f"PUT {MAPS}/c/status HTTP/1.1\nHost: y\nAuthorization: Bearer TOKEN\nContent-Length: {size}\n\n",
        "tunnel": f"GET {EXEC} HTTP/1.1\nHost: y\nAuthorization: Bearer TOKEN\n"
        + "".join(f"{key}: {value}\n" for key, value in WEBSOCKET.items())
        + "\n",
    }
    narrow = socket.create_server(("127.0.0.1", 0))
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener = await asyncio.start_server(slow, sock=narrow, limit=2**16)
    async with serving(narrow.getsockname()[1]) as door:
        mine = asyncio.create_task(door.raw(heads[what] + "x" * size, until_eof=True))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(mine), 0.3)
        door.gateway.revoke(door.access)
        with suppress(ConnectionResetError):
            await mine
        go.set()
        async with asyncio.timeout(5):
            assert await received < size
    listener.close()
    await listener.wait_closed()


async def test_a_port_that_is_taken_is_named_with_the_remedy(server: ApiServer, door: Door):
    taken = door.gateway.port
    other = Gateway(
        door.client,
        Discovery(door.client, clock=door.clock),
        check_fence=lambda: None,
        on_child=lambda *_: None,
        memory=DiscoveryMemory(clock=door.clock),
        port=taken,
    )
    with pytest.raises(AddressError) as failed:
        await other.start()
    assert str(failed.value) == (
        f"--proxy-port: cannot listen on 127.0.0.1:{taken}: Address already in use;"
        " set --proxy-port to another port, or to 0 for any that is free"
    )
    await other.stop()


async def test_stopping_is_quick_and_cuts_what_is_open(server: ApiServer, door: Door):
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    server.handler = handler
    async with door.open("GET", f"{MAPS}?watch=1") as answer:
        async with asyncio.timeout(0.5):
            await door.gateway.stop()
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    with pytest.raises(aiohttp.ClientConnectorError):
        await door.ask("GET", MAPS)
    await door.gateway.stop()


async def test_what_a_run_did_is_counted(server: ApiServer, door: Door):
    def version(number: str) -> Handler:
        return says({"metadata": {"name": "c", "resourceVersion": number}})

    merge = {"Content-Type": "application/merge-patch+json"}
    server.handler = version("1")
    await door.ask("GET", f"{MAPS}/c")
    await door.ask("PATCH", f"{MAPS}/c", {}, merge)
    assert door.access.usage.changed == 0
    server.handler = version("2")
    await door.ask("PATCH", f"{MAPS}/c", {}, merge)
    await door.ask("PATCH", f"{MAPS}/c", {}, merge)
    server.handler = says({}, 409)
    await door.ask("PATCH", f"{MAPS}/c", {}, merge)
    usage = door.access.usage
    assert (usage.requests, usage.writes, usage.changed) == (5, 4, 1)
