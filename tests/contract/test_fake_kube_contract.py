"""The same cases against FakeKube and against a real API server, so that the double cannot drift from it.

Each case sees a server as an informer does, through `list_page` and `watch`, and changes it through `World`.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest

from fake_kube import CONFIG_MAPS, FakeKube
from runner.clock import SystemClock
from runner.informer.listwatch import Informer
from runner.kube import config
from runner.kube.client import KubeClient
from runner.kube.errors import ApiError, Unreachable
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource, WatchEvent

NOT_SERVED = Resource(gvk=GroupVersionKind("example.com", "v1", "Nothing"), plural="nothings", namespaced=True)
_NAMESPACES = itertools.count(1)


class World(Protocol):
    """A server, a namespace of the test's own in it, and the little that users do there."""

    client: Any
    namespace: str

    async def put(self, name: str, *, k: str = "", labels: dict[str, str] | None = None) -> None: ...

    async def delete(self, name: str) -> None: ...


class FakeWorld:
    def __init__(self) -> None:
        self.client = FakeKube(SystemClock())
        self.namespace = "contract"

    async def put(self, name: str, *, k: str = "", labels: dict[str, str] | None = None) -> None:
        self.client.put(name, self.namespace, labels=labels, data={"k": k})

    async def delete(self, name: str) -> None:
        self.client.delete(name, self.namespace)


class RealWorld:
    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    async def put(self, name: str, *, k: str = "", labels: dict[str, str] | None = None) -> None:
        body: Raw = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": k}}
        if labels:
            body["metadata"]["labels"] = labels
        try:
            await self.client.create(CONFIG_MAPS, body, namespace=self.namespace)
        except ApiError as error:
            if not error.already_exists:
                raise
            await self.client.replace(CONFIG_MAPS, ObjectRef(self.namespace, name), body)

    async def delete(self, name: str) -> None:
        await self.client.delete(CONFIG_MAPS, ObjectRef(self.namespace, name))


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.integration)])
def plane(request: pytest.FixtureRequest) -> Any:
    """The control plane, or `None` for the double, which needs none."""
    return request.getfixturevalue("control_plane") if request.param == "real" else None


@pytest.fixture
async def world(plane: Any) -> AsyncIterator[World]:
    if plane is None:
        yield FakeWorld()
        return
    connection = config.load(kubeconfig=str(plane.kubeconfig), clock=SystemClock())
    namespaces = Resource(gvk=GroupVersionKind("", "v1", "Namespace"), plural="namespaces", namespaced=False)
    async with KubeClient(connection, user_agent="contract-test") as client:
        namespace = f"contract-{next(_NAMESPACES)}"
        await client.create(namespaces, {"metadata": {"name": namespace}})
        yield RealWorld(client, namespace)


async def names_and_version(world: World, **options: Any) -> tuple[list[str], str]:
    """List all pages, past objects that the cluster itself puts into each namespace."""
    names, token = [], ""
    while True:
        page = await world.client.list_page(CONFIG_MAPS, namespace=world.namespace, continue_token=token, **options)
        names += [obj["metadata"]["name"] for obj in page.items]
        token = page.continue_token
        if not token:
            return [name for name in names if name != "kube-root-ca.crt"], page.resource_version


async def events(world: World, version: str, *, timeout_s: int = 1, **options: Any) -> list[tuple[str, str, str]]:
    """Watch until the server ends it; return type, name and data of each event, past what is not the test's own."""
    seen = []
    stream = world.client.watch(
        CONFIG_MAPS,
        resource_version=version,
        namespace=world.namespace,
        timeout_s=timeout_s,
        read_timeout_s=options.pop("read_timeout_s", 30.0),
        **options,
    )
    async for kind, obj in stream:
        name = obj["metadata"].get("name", "")
        if name != "kube-root-ca.crt":
            seen.append((kind, name, (obj.get("data") or {}).get("k", "")))
    return seen


def changes(seen: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [event for event in seen if event[0] != "BOOKMARK"]


async def test_a_list_comes_in_pages_of_one_version(world):
    """Objects made while a list is read are not in it, but in the watch that starts from its version."""
    for name in "abcde":
        await world.put(name)
    first = await world.client.list_page(CONFIG_MAPS, namespace=world.namespace, limit=2)
    await world.put("aa")
    names, version = [obj["metadata"]["name"] for obj in first.items], first.resource_version
    token = first.continue_token
    while token:
        page = await world.client.list_page(CONFIG_MAPS, namespace=world.namespace, limit=2, continue_token=token)
        assert len(page.items) <= 2
        assert page.resource_version == version
        names += [obj["metadata"]["name"] for obj in page.items]
        token = page.continue_token
    assert [name for name in names if name != "kube-root-ca.crt"] == list("abcde")
    assert ("ADDED", "aa", "") in changes(await events(world, version))


async def test_no_limit_means_all_at_once(world):
    """What the informer asks for after a continue token expired."""
    for name in "abc":
        await world.put(name)
    page = await world.client.list_page(CONFIG_MAPS, namespace=world.namespace, limit=0)
    assert page.continue_token == ""
    assert {"a", "b", "c"} <= {obj["metadata"]["name"] for obj in page.items}


async def test_items_of_a_list_have_no_kind_and_those_of_a_watch_have(world):
    """Of built-in kinds; why the informer fills it in."""
    await world.put("a")
    page = await world.client.list_page(CONFIG_MAPS, namespace=world.namespace)
    assert {("kind" in obj, "apiVersion" in obj) for obj in page.items} == {(False, False)}
    await world.put("a", k="2")
    async for _, obj in world.client.watch(
        CONFIG_MAPS, resource_version=page.resource_version, namespace=world.namespace, timeout_s=2, read_timeout_s=30.0
    ):
        assert (obj["apiVersion"], obj["kind"]) == ("v1", "ConfigMap")


async def test_a_watch_brings_what_happened_after_its_version_in_order(world):
    """Past and coming changes alike, each once."""
    await world.put("a", k="1")
    _, version = await names_and_version(world)
    await world.put("a", k="2")
    await world.put("b", k="1")

    async def later() -> None:
        await asyncio.sleep(0.2)
        await world.delete("a")
        await world.put("a", k="3")

    seen, _ = await asyncio.gather(events(world, version), later())
    assert changes(seen) == [
        ("MODIFIED", "a", "2"),
        ("ADDED", "b", "1"),
        ("DELETED", "a", "2"),
        ("ADDED", "a", "3"),
    ]


async def test_versions_rise_also_for_a_deletion(world):
    """The informer tells news from replays by them."""
    _, version = await names_and_version(world)
    for name in "ab":
        await world.put(name)
    await world.delete("a")
    await world.put("b", k="2")
    seen = []
    async for _, obj in world.client.watch(
        CONFIG_MAPS, resource_version=version, namespace=world.namespace, timeout_s=1, read_timeout_s=30.0
    ):
        if obj["metadata"].get("name") != "kube-root-ca.crt":
            seen.append(int(obj["metadata"]["resourceVersion"]))
    assert seen[:4] == sorted(set(seen[:4]))
    assert seen[0] > int(version)


async def test_an_object_made_again_has_another_uid(world):
    """Names come back, uids do not."""
    uids = []
    for _ in range(2):
        await world.put("a")
        page = await world.client.list_page(CONFIG_MAPS, namespace=world.namespace)
        uids += [obj["metadata"]["uid"] for obj in page.items if obj["metadata"]["name"] == "a"]
        await world.delete("a")
    assert len(set(uids)) == 2


async def test_a_selector_filters_lists_and_watches(world):
    """An object that no longer matches is `DELETED` for who watches, though it is still there."""
    for name, label in (("a", "x"), ("b", "y")):
        await world.put(name, labels={"l": label})
    names, version = await names_and_version(world, label_selector="l=x")
    assert names == ["a"]
    await world.put("a", k="2", labels={"l": "y"})
    await world.put("b", k="2", labels={"l": "x"})
    await world.put("b", k="3", labels={"l": "x"})
    seen = changes(await events(world, version, label_selector="l=x"))
    assert [event[:2] for event in seen] == [("DELETED", "a"), ("ADDED", "b"), ("MODIFIED", "b")]


async def test_of_objects_that_are_asked_for_as_metadata_comes_nothing_else(world):
    """In lists, in watches and in the last word of what is gone; each says itself what it is."""
    await world.put("a", k="1", labels={"l": "x"})
    page = await world.client.list_page(CONFIG_MAPS, namespace=world.namespace, metadata_only=True)
    await world.put("a", k="2", labels={"l": "y"})
    await world.delete("a")
    stream = world.client.watch(
        CONFIG_MAPS,
        resource_version=page.resource_version,
        namespace=world.namespace,
        metadata_only=True,
        timeout_s=1,
        read_timeout_s=30.0,
    )
    seen = [("LISTED", obj) for obj in page.items] + [event async for event in stream]
    seen = [(kind, obj) for kind, obj in seen if kind != "BOOKMARK" and obj["metadata"]["name"] == "a"]
    assert [(kind, obj["metadata"]["labels"]) for kind, obj in seen] == [
        ("LISTED", {"l": "x"}),
        ("MODIFIED", {"l": "y"}),
        ("DELETED", {"l": "y"}),
    ]
    for _, obj in seen:
        assert set(obj) == {"apiVersion", "kind", "metadata"}
        assert (obj["apiVersion"], obj["kind"]) == ("meta.k8s.io/v1", "PartialObjectMetadata")
        assert {"name", "namespace", "uid", "resourceVersion"} <= set(obj["metadata"])


async def test_a_bookmark_comes_before_the_end_of_a_watch_with_news(world):
    """With the latest version, so that the next watch goes on from there."""
    _, version = await names_and_version(world)
    seen = []

    async def watch() -> None:
        async for kind, obj in world.client.watch(
            CONFIG_MAPS, resource_version=version, namespace=world.namespace, timeout_s=5, read_timeout_s=30.0
        ):
            seen.append((kind, int(obj["metadata"]["resourceVersion"])))

    async def write() -> None:
        await asyncio.sleep(0.5)
        await world.put("a")

    await asyncio.gather(watch(), write())
    assert seen[-1][0] == "BOOKMARK"
    assert seen[-1][1] >= max(found for _, found in seen) > int(version)


async def test_a_watch_without_news_is_silent(world):
    """No bookmark repeats the version it began with; so silence alone proves no fault."""
    await world.put("a")
    _, version = await names_and_version(world)
    for kind, _, _ in await events(world, version, timeout_s=5):
        assert kind == "BOOKMARK"  # only where other kinds' changes reached the server's cache
    quiet = await world.client.list_page(CONFIG_MAPS, namespace=world.namespace, limit=1)
    assert int(quiet.resource_version) >= int(version)


async def test_of_a_position_from_the_future_a_server_says_nothing(world):
    """Neither an error nor a bookmark: what a restored backup looks like, and why the informer asks when in doubt."""
    _, version = await names_and_version(world)
    future = str(int(version) + 1_000_000)
    await world.put("a")
    assert await events(world, future, timeout_s=4) == []
    with pytest.raises(Unreachable):
        await events(world, future, timeout_s=30, read_timeout_s=1.0)


async def test_a_kind_that_is_not_served_is_a_404(world):
    """For lists and for watches."""
    with pytest.raises(ApiError) as caught:
        await world.client.list_page(NOT_SERVED)
    assert caught.value.not_found
    with pytest.raises(ApiError) as caught:
        async for _ in world.client.watch(NOT_SERVED, resource_version="1", timeout_s=1, read_timeout_s=1.0):
            pass
    assert caught.value.not_found


async def test_a_continue_token_of_nobody_is_refused(world):
    """Not with 410: nothing expired."""
    with pytest.raises(ApiError) as caught:
        await world.client.list_page(CONFIG_MAPS, namespace=world.namespace, continue_token="nonsense")
    assert (caught.value.status, caught.value.expired) == (400, False)


async def test_the_informer_follows_either(world):
    """The real informer on the real thing, and on the double that its own tests use."""
    await world.put("a", k="1")
    reported: dict[str, str] = {}
    arrived = asyncio.Event()

    async def find() -> Resource:
        return CONFIG_MAPS

    def on_event(event: WatchEvent) -> None:
        if event.new is None:
            del reported[event.ref.name]
        else:
            reported[event.ref.name] = event.new
        arrived.set()

    informer = Informer[str](
        world.client,
        find,
        project=lambda obj: (obj.get("data") or {}).get("k", ""),
        on_event=on_event,
        clock=SystemClock(),
        rng=random.Random(1),
        namespace=world.namespace,
    )
    task = asyncio.create_task(informer.run())
    async with asyncio.timeout(10):
        await informer.synced.wait()
        await world.put("b", k="1")
        await world.put("a", k="2")
        await world.delete("a")
        await world.put("a", k="3")
        await world.delete("b")
        while {name: k for name, k in reported.items() if name in "abc"} != {"a": "3"}:
            arrived.clear()
            await arrived.wait()
    assert informer.get(ObjectRef(world.namespace, "a")) == "3"
    assert informer.get(ObjectRef(world.namespace, "b")) is None
    assert informer.healthy
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
