"""The in-memory API server of the reconcile's tests behaves as the real one: the same cases against both."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest

from fake_objects import ECHOS, FakeObjects
from harness import Api, echo
from runner.kube.errors import ApiError
from runner.objects import ObjectRef, Raw


class World(Protocol):
    """One of the two, with what a test needs besides the calls under test."""

    client: Any

    async def make(self, name: str, **metadata: Any) -> ObjectRef: ...


class Fake:
    def __init__(self) -> None:
        self.client = FakeObjects()

    async def make(self, name: str, **metadata: Any) -> ObjectRef:
        ref = ObjectRef("default", name)
        self.client.put(ref, spec={"message": "m"}, **metadata)
        return ref


class Real:
    def __init__(self, api: Api, namespace: str) -> None:
        self.client = api.client
        self._api = api
        self._namespace = namespace

    async def make(self, name: str, **metadata: Any) -> ObjectRef:
        obj = echo(name, self._namespace, "m")
        obj["metadata"] |= metadata
        await self._api.create(obj)
        return ObjectRef(self._namespace, name)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.integration)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        yield Fake()
        return
    plane = request.getfixturevalue("control_plane")
    async with Api(plane.kubeconfig) as api:
        name = f"contract-{abs(hash(request.node.name)) % 10**8}"
        await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield Real(api, name)
        await api.clear(name)


def status(*kinds: str) -> Raw:
    return {"observedGeneration": 1, "conditions": [{"type": kind, "status": "True"} for kind in kinds]}


async def test_get_of_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(ApiError) as caught:
        await world.client.get(ECHOS, ObjectRef("default", "nobody"))
    assert caught.value.not_found


async def test_patch_of_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(ApiError) as caught:
        await world.client.patch(ECHOS, ObjectRef("default", "nobody"), {"status": {}}, subresource="status")
    assert caught.value.not_found


async def test_status_patch_changes_the_status_alone(world: World) -> None:
    ref = await world.make("a")
    before = await world.client.get(ECHOS, ref)
    after = await world.client.patch(
        ECHOS, ref, {"status": status("A"), "spec": {"message": "no"}}, subresource="status"
    )
    assert after["status"]["conditions"] == [{"type": "A", "status": "True"}]
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]


async def test_a_patch_that_changes_nothing_keeps_the_version(world: World) -> None:
    ref = await world.make("b")
    first = await world.client.patch(ECHOS, ref, {"status": status("A")}, subresource="status")
    second = await world.client.patch(ECHOS, ref, {"status": status("A")}, subresource="status")
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_a_stale_version_is_a_conflict(world: World) -> None:
    ref = await world.make("c")
    stale = (await world.client.get(ECHOS, ref))["metadata"]["resourceVersion"]
    await world.client.patch(ECHOS, ref, {"status": status("A")}, subresource="status")
    body = {"metadata": {"resourceVersion": stale}, "status": status("B")}
    with pytest.raises(ApiError) as caught:
        await world.client.patch(ECHOS, ref, body, subresource="status")
    assert caught.value.conflict


async def test_lists_are_replaced_whole(world: World) -> None:
    ref = await world.make("e")
    await world.client.patch(ECHOS, ref, {"status": status("A", "B")}, subresource="status")
    after = await world.client.patch(ECHOS, ref, {"status": {"conditions": []}}, subresource="status")
    assert after["status"] == {"observedGeneration": 1, "conditions": []}


async def test_taking_the_last_finalizer_off_lets_a_deleted_object_go(world: World) -> None:
    ref = await world.make("f", finalizers=["mmontes.io/test"])
    if isinstance(world, Fake):
        world.client.delete(ref)
    else:
        await world.client.delete(ECHOS, ref)
    held = await world.client.get(ECHOS, ref)
    assert held["metadata"]["deletionTimestamp"]
    await world.client.patch(ECHOS, ref, {"metadata": {"finalizers": []}})
    with pytest.raises(ApiError) as caught:
        await world.client.get(ECHOS, ref)
    assert caught.value.not_found
