"""From "this owner has a child of kind K" to keys of owners in a queue."""

from collections.abc import Callable
from typing import Any

import pytest

from fakes import FakeClock
from runner.fieldpaths import FieldPath
from runner.gateway.dependents import Dependents, DependentsOf
from runner.gateway.ownership import Owner
from runner.objects import GroupVersionKind, ObjectRef, OwnerReference, Raw, Resource, Uid, WatchEvent
from runner.predicates import Dependent
from runner.workqueue.lanes import Lane
from runner.workqueue.queue import WorkQueue

ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")
OTHER = GroupVersionKind("mmontes.io", "v1alpha1", "Other")
OWNER = Owner(gvk=ECHO, ref=ObjectRef("n", "x"), uid=Uid("u-1"), namespaced=True)
CLUSTER_OWNER = Owner(gvk=ECHO, ref=ObjectRef("", "x"), uid=Uid("u-1"), namespaced=False)
JOB = Resource(gvk=GroupVersionKind("batch", "v1", "Job"), plural="jobs", namespaced=True)
MAP = Resource(gvk=GroupVersionKind("", "v1", "ConfigMap"), plural="configmaps", namespaced=True)
ROLE = Resource(gvk=GroupVersionKind("rbac", "v1", "ClusterRole"), plural="clusterroles", namespaced=False)


class Queue:
    def __init__(self) -> None:
        self.keys: list[ObjectRef] = []
        self.lanes: list[Lane] = []
        self.delays: list[float] = []

    def add_after(self, key: ObjectRef, seconds: float, lane: Lane) -> None:
        self.keys.append(key)
        self.delays.append(seconds)
        self.lanes.append(lane)


class Factory:
    """Keeps what would be started, in place of informers."""

    def __init__(self) -> None:
        self.started: list[tuple[Resource, Callable[[WatchEvent], None]]] = []
        self.projections: list[Callable[[Raw], Dependent]] = []

    def __call__(
        self, child: Resource, project: Callable[[Raw], Dependent], on_event: Callable[[WatchEvent], None]
    ) -> None:
        self.started.append((child, on_event))
        self.projections.append(project)

    @property
    def kinds(self) -> list[str]:
        return [child.gvk.kind for child, _ in self.started]


@pytest.fixture
def factory() -> Factory:
    return Factory()


@pytest.fixture
def queue() -> Queue:
    return Queue()


def dependent(digest: str = "1", owner: str = "x", **changes: Any) -> Dependent:
    reference = OwnerReference(gvk=ECHO, name=owner, uid=Uid("u-1"))
    return Dependent(**{"uid": Uid("child"), "owners": (reference,), "digest": digest} | changes)


def watch(queue: Queue, **changes: Any) -> DependentsOf:
    return DependentsOf(**{"gvk": ECHO, "queue": queue} | changes)


def test_one_watch_for_each_owner_kind_and_child_kind(factory: Factory, queue: Queue):
    dependents = Dependents([watch(queue), watch(queue, gvk=OTHER)], start=factory)
    other = Owner(gvk=OTHER, ref=ObjectRef("n", "x"), uid=Uid("u-9"), namespaced=True)
    for owner, child in ((OWNER, JOB), (OWNER, JOB), (OWNER, MAP), (other, JOB), (other, JOB)):
        dependents.observe(owner, child, "n")
    assert factory.kinds == ["Job", "ConfigMap", "Job"]


def test_an_owner_kind_that_is_not_watched_starts_nothing(factory: Factory, queue: Queue):
    Dependents([watch(queue, gvk=OTHER)], start=factory).observe(OWNER, JOB, "n")
    assert factory.started == []


@pytest.mark.parametrize(
    ("old", "new", "status", "expected"),
    [
        (None, dependent(), "false", []),
        (dependent(), dependent("2"), "false", [ObjectRef("n", "x")]),
        (dependent(), dependent(), "false", []),
        (dependent(), None, "false", [ObjectRef("n", "x")]),
        (dependent(), dependent("2", owner="y"), "false", [ObjectRef("n", "x"), ObjectRef("n", "y")]),
        (dependent(), dependent(finished="Complete"), "false", []),
        (dependent(), dependent(finished="Complete"), "terminal", [ObjectRef("n", "x")]),
        (dependent(), dependent(status_digest="s"), "terminal", []),
        (dependent(), dependent(status_digest="s"), "all", [ObjectRef("n", "x")]),
        (dependent(owners=()), dependent("2", owners=()), "false", []),
    ],
)
def test_events_become_keys(
    factory: Factory, queue: Queue, old: Dependent | None, new: Dependent | None, status: Any, expected: list[ObjectRef]
):
    Dependents([watch(queue, status=status)], start=factory).observe(OWNER, JOB, "n")
    _, on_event = factory.started[0]
    on_event(WatchEvent(ref=ObjectRef("n", "child"), old=old, new=new))
    assert sorted(queue.keys) == expected


@pytest.mark.parametrize(
    ("ignore", "expected"), [((), [ObjectRef("n", "x")]), ((FieldPath.parse("spec.replicas"),), [])]
)
def test_a_change_of_nothing_but_what_is_to_be_ignored_is_no_key(
    factory: Factory, queue: Queue, ignore: tuple[FieldPath, ...], expected: list[ObjectRef]
):
    Dependents([watch(queue, ignore=ignore)], start=factory).observe(OWNER, JOB, "n")
    owner = OwnerReference(gvk=ECHO, name="x", uid=Uid("u-1")).as_raw()
    objects = [{"metadata": {"ownerReferences": [owner]}, "spec": {"replicas": count}} for count in (1, 2)]
    old, new = (factory.projections[0](obj) for obj in objects)
    _, on_event = factory.started[0]
    on_event(WatchEvent(ref=ObjectRef("n", "child"), old=old, new=new))
    assert queue.keys == expected


def test_what_was_there_when_the_watch_began_is_no_news_of_the_same_weight(factory: Factory, queue: Queue):
    """After a restart each finished Job of ten thousand is seen anew; an edit must not wait behind their owners."""
    Dependents([watch(queue, status="terminal")], start=factory).observe(OWNER, JOB, "n")
    _, on_event = factory.started[0]
    for initial in (True, False):
        on_event(WatchEvent(ref=ObjectRef("n", "c"), old=None, new=dependent(finished="Complete"), initial=initial))
    assert queue.lanes == [Lane.ROUTINE, Lane.CHANGES]


async def test_an_owner_that_is_to_wait_is_looked_at_once_when_the_delay_is_over(factory: Factory):
    """Whatever happens to its children meanwhile; an edit of the owner itself does not wait."""
    clock = FakeClock()
    queue: WorkQueue[ObjectRef] = WorkQueue(clock=clock)
    Dependents(
        [watch(queue)], start=factory, delay_s=lambda gvk, ref: 5.0 if (gvk, ref.name) == (ECHO, "x") else 0.0
    ).observe(OWNER, JOB, "n")
    _, on_event = factory.started[0]
    for number in range(3):
        on_event(WatchEvent(ref=ObjectRef("n", "c"), old=dependent(), new=dependent(str(number + 2))))
        await clock.advance(1)
    on_event(WatchEvent(ref=ObjectRef("n", "d"), old=dependent(owner="y"), new=dependent("2", owner="y")))
    assert (await queue.get(), len(queue), queue.delayed) == (ObjectRef("n", "y"), 0, 1)
    await clock.advance(2)
    assert (await queue.get(), len(queue), queue.delayed) == (ObjectRef("n", "x"), 0, 0)


def test_an_owner_in_another_namespace_is_found_by_annotations(factory: Factory, queue: Queue):
    Dependents([watch(queue)], start=factory).observe(OWNER, MAP, "elsewhere")
    _, on_event = factory.started[0]
    old = dependent(owners=(), primary="n/x", primary_type="Echo.mmontes.io")
    on_event(WatchEvent(ref=ObjectRef("elsewhere", "child"), old=old, new=None))
    assert queue.keys == [ObjectRef("n", "x")]


def test_a_cluster_scoped_owner_is_found(factory: Factory, queue: Queue):
    Dependents([watch(queue)], start=factory).observe(CLUSTER_OWNER, MAP, "n")
    _, on_event = factory.started[0]
    on_event(WatchEvent(ref=ObjectRef("n", "child"), old=dependent(), new=None))
    assert queue.keys == [ObjectRef("", "x")]


@pytest.mark.parametrize(
    ("owner", "cluster_scoped", "expected"),
    [(OWNER, False, []), (OWNER, True, ["ClusterRole"]), (CLUSTER_OWNER, False, ["ClusterRole"])],
)
def test_cluster_scoped_children_of_namespaced_owners_are_watched_on_request(
    factory: Factory, queue: Queue, owner: Owner, cluster_scoped: bool, expected: list[str]
):
    Dependents([watch(queue, cluster_scoped=cluster_scoped)], start=factory).observe(owner, ROLE, "")
    assert factory.kinds == expected


def test_children_in_namespaces_that_are_not_watched_are_not_heard_of(factory: Factory, queue: Queue):
    dependents = Dependents([watch(queue)], start=factory, namespaces={"n"})
    dependents.observe(OWNER, MAP, "elsewhere")
    assert factory.started == []
    dependents.observe(OWNER, MAP, "n")
    assert factory.kinds == ["ConfigMap"], "the one that could not be watched must not have used up the first"
