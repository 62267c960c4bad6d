"""The client's promises, against a server that misbehaves on purpose: deadlines, errors, the fence, rotated tokens."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from runner.kube.answers import Lines
from runner.kube.client import KubeClient
from runner.kube.config import Connection
from runner.kube.errors import ApiError, Fenced, Unreachable
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource

ECHOS = Resource(gvk=GroupVersionKind("mmontes.io", "v1alpha1", "Echo"), plural="echos", namespaced=True)
X = ObjectRef("a", "x")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Tokens:
    """Credentials whose token changes when it is asked for anew."""

    def __init__(self) -> None:
        self.renewed = 0

    async def headers(self, *, renew: bool = False) -> dict[str, str]:
        self.renewed += renew
        return {"Authorization": f"Bearer token-{self.renewed}"}


class Server:
    """Answers every path with the handler the test sets, and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.handler: Handler | None = None
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.method, request.path_qs, dict(request.headers), body))
        assert self.handler is not None
        return await self.handler(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


@pytest.fixture
async def make(server: Server) -> AsyncIterator[Callable[..., KubeClient]]:
    made: list[KubeClient] = []

    def client(**options: Any) -> KubeClient:
        connection = Connection(
            server=f"http://127.0.0.1:{server.port}",
            tls=None,
            credentials=options.pop("credentials", Tokens()),
            proxy=None,
            namespace="default",
            context="test",
        )
        made.append(KubeClient(connection, user_agent="test/1", **options))
        return made[-1]

    yield client
    for one in made:
        await one.close()


def says(body: Any, status: int = 200, **headers: str) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    return handler


async def test_get_asks_for_that_object_as_us(server: Server, make: Callable[..., KubeClient]) -> None:
    server.handler = says({"kind": "Echo"})
    assert await make().get(ECHOS, X) == {"kind": "Echo"}
    ((method, path, headers, _),) = server.requests
    assert (method, path) == ("GET", "/apis/mmontes.io/v1alpha1/namespaces/a/echos/x")
    assert (headers["Authorization"], headers["User-Agent"]) == ("Bearer token-0", "test/1")


async def test_failure_is_an_api_error(server: Server, make: Callable[..., KubeClient]) -> None:
    body = {"kind": "Status", "reason": "TooManyRequests", "message": "slow"}
    server.handler = says(body, 429, **{"Retry-After": "4"})
    observed: list[tuple[str, str]] = []
    with pytest.raises(ApiError) as caught:
        await make(observe=lambda method, code: observed.append((method, code))).get(ECHOS, X)
    assert (caught.value.status, caught.value.reason, caught.value.retry_after_s) == (429, "TooManyRequests", 4)
    assert observed == [("GET", "429")]


async def test_answer_that_is_no_json_is_unreachable(server: Server, make: Callable[..., KubeClient]) -> None:
    """A proxy in between answers with a page of HTML; that is no object."""

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(text="<html>")

    server.handler = handler
    with pytest.raises(Unreachable, match="no JSON"):
        await make().get(ECHOS, X)


async def test_a_hung_server_is_left_at_the_deadline(server: Server, make: Callable[..., KubeClient]) -> None:
    """Without a deadline one hung call costs the lease."""
    release = asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    server.handler = handler
    with pytest.raises(Unreachable, match=r"no answer within 0\.05 s"):
        await make().request("GET", "/version", deadline_s=0.05)
    release.set()


async def test_a_slow_drip_does_not_outlive_the_deadline(server: Server, make: Callable[..., KubeClient]) -> None:
    """A read timeout alone is reset by every byte."""
    release = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await release.wait()
        return response

    server.handler = handler
    with pytest.raises(Unreachable):
        await make().request("GET", "/version", deadline_s=0.05)
    release.set()


async def test_no_server_is_unreachable(make: Callable[..., KubeClient], server: Server) -> None:
    client = make()
    object.__setattr__(client.connection, "server", "http://127.0.0.1:1")
    with pytest.raises(Unreachable):
        await client.get(ECHOS, X)
    del server


async def test_write_is_not_sent_without_the_lease(server: Server, make: Callable[..., KubeClient]) -> None:
    def fenced() -> None:
        raise Fenced("lapsed")

    server.handler = says({})
    client = make(check_fence=fenced)
    for write in (
        client.create(ECHOS, {}, namespace="a"),
        client.replace(ECHOS, X, {}),
        client.patch(ECHOS, X, {}),
        client.delete(ECHOS, X),
    ):
        with pytest.raises(Fenced):
            await write
    assert server.requests == []
    assert await client.get(ECHOS, X) == {}


async def test_rotated_token_is_read_again_once(server: Server, make: Callable[..., KubeClient]) -> None:
    """Service account tokens change under a running Pod."""

    async def handler(request: web.Request) -> web.Response:
        fresh = request.headers["Authorization"] == "Bearer token-1"
        return web.json_response({}, status=200 if fresh else 401)

    server.handler = handler
    assert await make().get(ECHOS, X) == {}
    assert len(server.requests) == 2


async def test_a_token_that_stays_refused_is_an_error(server: Server, make: Callable[..., KubeClient]) -> None:
    server.handler = says({}, 401)
    with pytest.raises(ApiError) as caught:
        await make().get(ECHOS, X)
    assert caught.value.status == 401
    assert len(server.requests) == 2


async def test_list_is_paged_and_consistent(server: Server, make: Callable[..., KubeClient]) -> None:
    server.handler = says({"metadata": {"resourceVersion": "9", "continue": "next"}, "items": [{"a": 1}]})
    page = await make().list_page(ECHOS, namespace="a", limit=2, continue_token="c", label_selector="l=1")
    assert (page.items, page.resource_version, page.continue_token) == ([{"a": 1}], "9", "next")
    path = server.requests[0][1]
    assert path.startswith("/apis/mmontes.io/v1alpha1/namespaces/a/echos?")
    assert "resourceVersion" not in path


async def test_delete_with_uid_spares_a_namesake(server: Server, make: Callable[..., KubeClient]) -> None:
    server.handler = says({})
    await make().delete(ECHOS, X, uid="u")
    assert json.loads(server.requests[0][3]) == {"preconditions": {"uid": "u"}}


def streams(*chunks: bytes) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        await response.write_eof()
        return response

    return handler


async def watched(client: KubeClient) -> list[tuple[str, Raw]]:
    return [event async for event in client.watch(ECHOS, resource_version="5", timeout_s=10, read_timeout_s=0.2)]


async def test_watch_yields_events_until_the_server_ends_it(server: Server, make: Callable[..., KubeClient]) -> None:
    big = {"type": "ADDED", "object": {"x": "y" * 300_000}}
    server.handler = streams(b'{"type":"BOOKMARK","obj', b'ect":{}}\n' + json.dumps(big).encode() + b"\n")
    events = await watched(make())
    assert [kind for kind, _ in events] == ["BOOKMARK", "ADDED"]
    assert events[1][1] == big["object"]
    path = server.requests[0][1]
    assert "allowWatchBookmarks=true" in path
    assert "resourceVersion=5" in path


async def test_error_event_is_raised(server: Server, make: Callable[..., KubeClient]) -> None:
    server.handler = streams(b'{"type":"ERROR","object":{"code":410,"reason":"Expired"}}\n')
    with pytest.raises(ApiError) as caught:
        await watched(make())
    assert caught.value.expired


async def test_cut_line_is_unreachable_not_an_event(server: Server, make: Callable[..., KubeClient]) -> None:
    server.handler = streams(b"{nonsense}\n")
    with pytest.raises(Unreachable):
        await watched(make())


async def test_silent_watch_is_given_up(server: Server, make: Callable[..., KubeClient]) -> None:
    """A half-open connection is silent for ever and looks like a quiet cluster."""
    release = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await release.wait()
        return response

    server.handler = handler
    with pytest.raises(Unreachable, match="silent"):
        await watched(make())
    release.set()


@given(st.lists(st.binary(min_size=1, max_size=20).map(lambda b: b.replace(b"\n", b"_")), max_size=20), st.data())
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cutter, seen, position = Lines(), [], 0
    while position < len(stream):
        end = data.draw(st.integers(min_value=position + 1, max_value=len(stream)))
        seen += list(cutter.feed(stream[position:end]))
        position = end
    assert seen == [line for line in lines if line.strip()]


async def test_each_call_waits_for_its_turn_and_then_asks_the_fence(
    server: Server, make: Callable[..., KubeClient]
) -> None:
    """A lease can be lost while a write waits in line; a watch waits once, however many events it brings."""
    steps: list[str] = []

    async def pace() -> None:
        steps.append("turn")

    client = make(pace=pace, check_fence=lambda: steps.append("fence"))
    server.handler = says({})
    await client.patch(ECHOS, X, {})
    await client.get(ECHOS, X)
    server.handler = streams(b'{"type":"ADDED","object":{}}\n' * 3)
    assert len(await watched(client)) == 3
    assert steps == ["turn", "fence", "turn", "turn"]


async def test_the_deadline_begins_when_the_turn_has_come(server: Server, make: Callable[..., KubeClient]) -> None:
    """Who waits in a line of our own making must not take the server for out of reach."""
    waited: list[bool] = []

    async def pace() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        waited.append(True)

    server.handler = says({})
    with pytest.raises(Unreachable):
        await make(pace=pace).request("GET", "/version", deadline_s=0)
    assert waited == [True]


async def test_what_could_not_be_delivered_is_given_up_by_the_kernel(
    server: Server, make: Callable[..., KubeClient]
) -> None:
    """Otherwise a write arrives when a partition heals, long after another leader has begun."""
    release = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await release.wait()
        return response

    server.handler = handler
    async with make().open("GET", "/version") as response:
        assert response.connection is not None
        transport = response.connection.transport
        assert transport is not None
        raw = transport.get_extra_info("socket")
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 4000
        release.set()


@pytest.mark.parametrize("kept_alive", [False, True])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST"])
async def test_a_write_whose_answer_is_lost_arrived_once(
    server: Server, make: Callable[..., KubeClient], method: str, kept_alive: bool
):
    """A replace that is sent again after it succeeded comes back as a conflict, a delete as not found."""

    async def answers(_request: web.Request) -> web.StreamResponse:
        return web.json_response({})

    async def hangs_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    client = make()
    if kept_alive:
        server.handler = answers
        await client.request("GET", "/api")
        server.requests.clear()
    server.handler = hangs_up
    with pytest.raises(Unreachable):
        await client.request(method, "/api/v1/x", body={})
    assert [asked[0] for asked in server.requests] == [method]
