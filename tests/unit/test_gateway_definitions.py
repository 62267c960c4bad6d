"""The watch of what defines kinds: what it tells memory, and what it does without the right to watch."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from fakes import FakeClock
from runner.gateway import definitions, policy
from runner.gateway.discovery import DiscoveryMemory
from runner.kube.client import KubeClient
from runner.kube.config import Connection

CRDS, _ = definitions.DEFINING
PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Told(DiscoveryMemory):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(clock=FakeClock())
        self.told: list[str] = []

    def drop(self) -> None:
        self.told.append("drop")

    def kinds_changed(self) -> None:
        self.told.append("changed")


class Reports:
    """An informer's observer that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def listed(self, objects: int, seconds: float) -> None:
        self.heard.append(("listed", objects, seconds))

    def held(self, objects: int) -> None:
        self.heard.append(("held", objects))

    def received(self, event: str) -> None:
        self.heard.append(event)

    def failed(self, trouble: str) -> None:
        self.heard.append(trouble)

    def panicked(self) -> None:
        self.heard.append("panicked")


class NoCredentials:
    async def headers(self, *, renew: bool = False) -> dict[str, str]:
        return {"renewed": str(renew)}


class Server:
    """Has one definition, and tells of changes as the test wants them."""

    def __init__(self) -> None:
        self.status = 200
        self.events: asyncio.Queue[str] = asyncio.Queue()
        self.accepted: list[tuple[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.path == PATH
        watch = "watch" in request.query
        self.accepted.append(("watch" if watch else "list", request.headers["Accept"]))
        if not watch:
            listed = {"metadata": {"resourceVersion": "1"}, "items": [_definition("a", "1")]}
            return web.json_response(listed if self.status == 200 else {}, status=self.status)
        response = web.StreamResponse()
        await response.prepare(request)
        version = 2
        while True:
            event = {"type": await self.events.get(), "object": _definition("b", str(version))}
            await response.write(json.dumps(event).encode() + b"\n")
            version += 1


def _definition(name: str, version: str) -> dict[str, object]:
    return {"kind": "PartialObjectMetadata", "metadata": {"name": name, "uid": name, "resourceVersion": version}}


class Rig:
    def __init__(self) -> None:
        self.server = Server()
        self.memory = Told()
        self.reports = Reports()
        self.denied: list[str] = []

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.server.answer)
        runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        connection = Connection(
            server=f"http://127.0.0.1:{runner.addresses[0][1]}",
            tls=None,
            credentials=NoCredentials(),  # type: ignore[arg-type]  # what a client needs of them
            proxy=None,
            namespace="default",
            context="test",
        )
        async with KubeClient(connection, user_agent="operator/1") as client:
            informer = definitions.informer(
                CRDS,
                client,
                self.memory,
                clock=FakeClock(),
                rng=random.Random(1),
                observer=self.reports,
                denied=self.denied.append,
            )
            task = asyncio.create_task(informer.run())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait({task})
        await runner.cleanup()


@pytest.fixture
async def rig() -> Rig:
    return Rig()


async def eventually(check: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while True:
            if check():
                return
            await asyncio.sleep(0.01)


async def test_what_was_there_only_makes_it_forget_and_what_changes_makes_it_wait(rig: Rig):
    async with rig.watching():
        await eventually(lambda: rig.memory.told == ["drop"])
        for event in ("ADDED", "MODIFIED", "DELETED"):
            rig.server.events.put_nowait(event)
        await eventually(lambda: rig.memory.told == ["drop", "changed", "changed", "changed"])
    assert rig.reports.heard == [
        *(("held", 1), ("listed", 1, 0.0)),
        *("ADDED", ("held", 2)),
        *("MODIFIED", ("held", 2)),
        *("DELETED", ("held", 1)),
    ]
    assert rig.denied == []


async def test_only_metadata_is_asked_for_in_the_one_form_that_each_request_takes(rig: Rig):
    async with rig.watching():
        await eventually(lambda: len(rig.server.accepted) == 2)
    assert rig.server.accepted == [
        ("list", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;q=0.9"),
        ("watch", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.9"),
    ]


@pytest.mark.parametrize(("status", "trouble", "denied"), [(403, "forbidden", [CRDS.plural]), (500, "error", [])])
async def test_a_refusal_is_counted_apart_from_other_failures(rig: Rig, status: int, trouble: str, denied: list[str]):
    rig.server.status = status
    async with rig.watching():
        await eventually(lambda: rig.reports.heard)
    assert (rig.reports.heard, rig.denied, rig.memory.told) == ([trouble], denied, [])


@pytest.mark.parametrize(
    ("method", "path", "defines"),
    [
        ("POST", PATH, True),
        ("PATCH", f"{PATH}/x", True),
        ("DELETE", "/apis/apiregistration.k8s.io/v1beta1/apiservices/x", True),
        ("GET", f"{PATH}/x", False),
        ("POST", "/apis/example.com/v1/customresourcedefinitions", False),
    ],
)
def test_which_requests_may_change_the_kinds(method: str, path: str, defines: bool):
    assert definitions.defines_kinds(policy.parse_request(method, path, "")) is defines
