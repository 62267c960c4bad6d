"""The informer against an API server in memory that does what real ones do on bad days.

The model check at the end tries random histories, `INFORMER_HISTORIES` of them; the cases before it name what each
kind of bad day must lead to.
"""

import asyncio
import dataclasses
import itertools
import logging
import os
import random
import weakref
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_kube import FakeKube
from fakes import FakeClock, settle
from runner.informer.listwatch import Informer
from runner.kube.errors import ApiError, KubeError, Unreachable
from runner.objects import ObjectRef, Raw, WatchEvent

A, B, C = (ObjectRef("default", name) for name in "abc")
GONE = ApiError(410, reason="Expired", message="too old resource version")
TOO_LARGE = ApiError(504, reason="Timeout", message="Too large resource version")
BUSY = ApiError(429, reason="TooManyRequests")


def seen(obj: Raw) -> tuple[str, str]:
    """The projection of these tests: uid and data."""
    return obj["metadata"]["uid"], (obj.get("data") or {}).get("k", "")


class Items(list[Raw]):
    """A page's items whose end can be seen."""


class Recorder:
    """An observer that writes down what it hears."""

    def __init__(self) -> None:
        self.lists: list[int] = []
        self.held_last = 0
        self.events: list[str] = []
        self.troubles: list[str] = []
        self.panics = 0

    def listed(self, objects: int, seconds: float) -> None:
        self.lists.append(objects)

    def held(self, objects: int) -> None:
        self.held_last = objects

    def received(self, event: str) -> None:
        self.events.append(event)

    def failed(self, trouble: str) -> None:
        self.troubles.append(trouble)

    def panicked(self) -> None:
        self.panics += 1


class Rig:
    """A server and an informer of it, which runs once started."""

    def __init__(self, *, seed: int = 1, **options: Any) -> None:
        self.clock = FakeClock()
        self.kube = FakeKube(self.clock)
        self.events: list[WatchEvent] = []
        self.recorder = Recorder()
        self.task: asyncio.Task[None] | None = None
        self.on_event = self.events.append
        self.informer = Informer[tuple[str, str]](
            self.kube,
            self.kube.find,
            project=options.pop("project", seen),
            on_event=self._hear,
            clock=self.clock,
            rng=random.Random(seed),
            name="v1, Kind=ConfigMap",
            observer=self.recorder,
            **options,
        )

    def _hear(self, event: WatchEvent) -> None:
        self.on_event(event)

    async def start(self) -> None:
        self.task = asyncio.create_task(self.informer.run())
        await settle()

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await self.task
            self.task = None

    def told(self) -> list[tuple[str, Any, Any]]:
        """The events since the last call, in short."""
        told = [(event.ref.name, event.old and event.old[1], event.new and event.new[1]) for event in self.events]
        self.events.clear()
        return told

    def held(self) -> dict[ObjectRef, Any]:
        return {ref: self.informer.get(ref) for ref in self.informer.refs()}

    def in_server(self) -> dict[ObjectRef, Any]:
        return {ref: seen(obj) for ref, obj in self.kube.objects().items()}

    def calls(self, verb: str) -> list[Any]:
        """Requests so far; `ask` is the list of one object that an informer in doubt sends."""
        verbs = [("ask" if call.limit == 1 else call.verb, call) for call in self.kube.calls]
        return [call for found, call in verbs if found == verb]


@pytest.fixture
async def rig(caplog):
    caplog.set_level(logging.INFO)
    rig = Rig()
    rig.kube.put("a", data={"k": "1"})
    rig.kube.put("b", data={"k": "1"})
    yield rig
    await rig.stop()
    assert rig.kube.open_watches == 0


# Lists and plain events


async def test_the_first_list_reports_each_object_as_initial(rig):
    """Whoever starts has to look at everything once; `synced` says when that is done."""
    await rig.start()
    assert [(event.ref, event.old, event.new[1], event.initial) for event in rig.events] == [
        (A, None, "1", True),
        (B, None, "1", True),
    ]
    assert rig.informer.synced.is_set()
    assert rig.held() == rig.in_server()
    assert len(rig.informer) == 2
    assert rig.recorder.lists == [2]


async def test_synced_is_set_after_the_events_of_the_first_list(rig):
    """Who waits for it may count on every key being in the queue."""
    order = []
    rig.on_event = lambda event: order.append(rig.informer.synced.is_set())
    await rig.start()
    assert order == [False, False]


async def test_events_carry_what_was_held_and_what_is_held(rig):
    """Predicates compare the two."""
    await rig.start()
    rig.told()
    rig.kube.put("a", data={"k": "2"})
    rig.kube.put("c", data={"k": "1"})
    rig.kube.delete("b")
    await settle()
    assert rig.told() == [("a", "1", "2"), ("c", None, "1"), ("b", "1", None)]
    assert rig.held() == rig.in_server()


async def test_the_cache_has_changed_when_the_event_arrives(rig):
    """A handler that looks at the cache must not find the past."""
    await rig.start()
    found = []
    rig.on_event = lambda event: found.append(rig.informer.get(event.ref))
    rig.kube.put("a", data={"k": "2"})
    rig.kube.delete("b")
    await settle()
    assert found == [("uid-1", "2"), None]


async def test_later_events_are_not_initial(rig):
    """They mean that something happened."""
    await rig.start()
    rig.told()
    rig.kube.put("c")
    await settle()
    assert [event.initial for event in rig.events] == [False]


async def test_lists_are_paged():
    """Ten thousand objects in one answer would need half a gigabyte for a moment."""
    rig = Rig()
    for number in range(1001):
        rig.kube.put(f"n{number}")
    await rig.start()
    assert [(call.limit, bool(call.continue_token)) for call in rig.calls("list")] == [
        (500, False),
        (500, True),
        (500, True),
    ]
    assert len(rig.informer) == len(rig.events) == 1001
    await rig.stop()


async def test_a_page_is_gone_before_the_next_one_is_read():
    """The raw text of two pages of big objects is what would make the difference to the container's limit."""
    rig = Rig()
    for number in range(1600):
        rig.kube.put(f"n{number}")
    pages: list[weakref.ref[Items]] = []
    alive: list[int] = []
    list_page = rig.kube.list_page

    async def watched(*args: Any, **kwargs: Any) -> Any:
        alive.append(sum(page() is not None for page in pages))
        page = await list_page(*args, **kwargs)
        items = Items(page.items)
        pages.append(weakref.ref(items))
        return dataclasses.replace(page, items=items)

    rig.kube.list_page = watched
    await rig.start()
    assert (alive, len(rig.informer)) == ([0, 0, 0, 0], 1600)
    await rig.stop()


async def test_a_continue_token_that_expires_mid_list_leads_to_one_whole_list():
    """The pages took longer than the server keeps history: in pages it would never get done."""
    rig = Rig()
    for number in range(501):
        rig.kube.put(f"n{number}")
    list_page = rig.kube.list_page

    async def slow(*args: Any, **kwargs: Any) -> Any:
        page = await list_page(*args, **kwargs)
        if page.continue_token:
            rig.kube.delete("n0")
            rig.kube.compact()
        return page

    rig.kube.list_page = slow
    await rig.start()
    assert [call.limit for call in rig.calls("list")] == [500, 500, 0]
    assert rig.held() == rig.in_server()
    assert len(rig.held()) == 500
    assert rig.recorder.troubles == []
    await rig.stop()


async def test_a_slow_list_is_contact_too():
    """Ten thousand objects from a busy server take their time; each page shows that it is there."""
    rig = Rig()
    for number in range(1001):
        rig.kube.put(f"n{number}")
    await rig.start()
    list_page = rig.kube.list_page

    async def slow(*args: Any, **kwargs: Any) -> Any:
        await rig.clock.sleep(50)
        return await list_page(*args, **kwargs)

    rig.kube.list_page = slow
    rig.kube.push(GONE)
    for _ in range(16):
        await rig.clock.advance(10)
        assert rig.informer.healthy
    assert rig.recorder.lists == [1001, 1001]
    await rig.stop()


async def test_a_long_list_lets_others_run_in_between():
    """The lease is renewed on the same loop."""
    rig = Rig()
    for number in range(1100):
        rig.kube.put(f"n{number}")
    turn, turns = 0, []

    async def other() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    rig.on_event = lambda event: turns.append(turn)
    task = asyncio.create_task(other())
    await rig.start()
    assert (len(turns), len(set(turns))) == (1100, 3)
    turns.clear()
    for number in range(1100):
        rig.kube.lose(f"n{number}")
    rig.kube.push(GONE)
    await rig.clock.advance(2)
    assert (len(turns), len(set(turns))) == (1100, 3)
    await rig.stop()
    task.cancel()


async def test_items_of_a_list_get_their_kind():
    """Built-in kinds come without it in lists and with it in watches; projections may rely on it."""
    rig = Rig(project=lambda obj: (obj["apiVersion"], obj["kind"]))
    rig.kube.put("a")
    await rig.start()
    assert rig.informer.get(A) == ("v1", "ConfigMap")
    await rig.stop()


async def test_namespace_and_selector_reach_the_server():
    """What is filtered there costs us nothing."""
    rig = Rig(namespace="x", label_selector="app=echo")
    rig.kube.put("a", "x", labels={"app": "echo"})
    rig.kube.put("b", "x")
    rig.kube.put("c", "y", labels={"app": "echo"})
    await rig.start()
    rig.kube.put("d", "x", labels={"app": "echo"})
    rig.kube.put("e", "y", labels={"app": "echo"})
    rig.kube.put("a", "x", labels={"app": "other"})
    await settle()
    assert [ref.name for ref in rig.informer.refs()] == ["d"]
    await rig.stop()


# Watches and their positions


async def test_a_watch_asks_for_a_random_duration(rig):
    """So that the watches of all kinds do not end together; above what load balancers tolerate they would be cut."""
    await rig.start()
    for _ in range(60):
        rig.kube.others_write(1)
        await rig.clock.advance(50)
    durations = [call.timeout_s for call in rig.calls("watch")]
    assert len(durations) >= 10
    assert len(set(durations)) > 5
    assert 240 <= min(durations) <= max(durations) <= 300


async def test_a_watch_goes_on_from_the_last_event_after_a_broken_connection(rig):
    """No new list of ten thousand objects for each hiccup, and nothing missed."""
    await rig.start()
    rig.kube.put("a", data={"k": "2"})
    await settle()
    position = rig.kube.version
    rig.kube.break_watches()
    await settle()
    rig.kube.delete("b")
    await rig.clock.advance(1)
    assert [call.resource_version for call in rig.calls("watch")][1:] == [str(position)]
    assert len(rig.calls("list")) == 1
    assert rig.held() == rig.in_server()


async def test_a_bookmark_moves_the_position(rig):
    """A quiet kind in a busy cluster: without bookmarks its position would be compacted away."""
    await rig.start()
    rig.kube.others_write(50)
    await rig.clock.advance(61)
    rig.kube.compact()
    rig.kube.break_watches()
    await rig.clock.advance(2)
    assert rig.calls("watch")[-1].resource_version == str(rig.kube.version)
    assert len(rig.calls("list")) == 1


@pytest.mark.parametrize("error", [GONE, TOO_LARGE], ids=["410", "504"])
async def test_a_position_refused_at_once_leads_to_one_list_with_synthetic_deletions(rig, error):
    """What was deleted while nobody watched is reported; what did not change is not."""
    await rig.start()
    rig.told()
    rig.kube.break_watches()
    rig.kube.refuse("watch", error)
    await settle()
    rig.kube.delete("a")
    rig.kube.put("c", data={"k": "1"})
    await rig.clock.advance(3)
    assert rig.told() == [("a", "1", None), ("c", None, "1")]
    assert (len(rig.calls("list")), len(rig.calls("watch"))) == (2, 3)
    assert rig.held() == rig.in_server()


@pytest.mark.parametrize("error", [GONE, TOO_LARGE], ids=["410", "504"])
async def test_a_position_refused_within_a_watch_leads_to_one_list_with_synthetic_deletions(rig, error):
    """The same as an ERROR event of a watch that went well so far."""
    await rig.start()
    rig.told()
    rig.kube.lose("a")
    rig.kube.push(error)
    await rig.clock.advance(3)
    assert rig.told() == [("a", "1", None)]
    assert (len(rig.calls("list")), len(rig.calls("watch"))) == (2, 2)
    assert rig.informer.problem == ""


async def test_an_object_made_again_between_lists_is_deleted_then_new(rig):
    """Its owner saw another UID; a mere update would leave the old one's run and metrics in place."""
    await rig.start()
    rig.told()
    with rig.kube.refusing("watch", Unreachable("refused")):
        rig.kube.break_watches()
        await settle()
        rig.kube.delete("a")
        rig.kube.put("a", data={"k": "2"})
        rig.kube.compact()
    await rig.clock.advance(5)
    assert rig.told() == [("a", "1", None), ("a", None, "2")]
    assert rig.held() == rig.in_server()


async def test_an_object_made_again_within_a_watch_is_deleted_then_new(rig):
    """Also where a proxy swallowed the event of the deletion."""
    await rig.start()
    rig.told()
    rig.kube.push(
        ("MODIFIED", {"metadata": {"name": "a", "namespace": "default", "uid": "new", "resourceVersion": "999"}})
    )
    await settle()
    assert rig.told() == [("a", "1", None), ("a", None, "")]


def event(name: str, uid: str, version: str, k: str = "9") -> Raw:
    meta = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": version}
    return {"metadata": meta, "data": {"k": k}}


@pytest.mark.parametrize(
    ("kind", "obj"),
    [
        pytest.param("MODIFIED", event("a", "uid-1", "101"), id="update again"),
        pytest.param("MODIFIED", event("a", "uid-1", "103"), id="the very last again"),
        pytest.param("ADDED", event("a", "uid-0", "90"), id="namesake of long ago"),
        pytest.param("DELETED", event("a", "uid-0", "95"), id="deletion of a namesake of long ago"),
        pytest.param("DELETED", event("a", "uid-1", "99"), id="left the selector, long ago"),
        pytest.param("ADDED", event("z", "uid-9", "95"), id="ghost of a deleted object"),
        pytest.param("DELETED", event("z", "uid-9", "999"), id="deletion of what is not held"),
        pytest.param("BOOKMARK", {"metadata": {"resourceVersion": "90"}}, id="old bookmark"),
    ],
)
async def test_replayed_events_change_nothing(rig, kind, obj):
    """A proxy that repeats the last events must not undo them."""
    rig.kube.put("a", data={"k": "2"})
    await rig.start()
    rig.told()
    before = rig.held()
    rig.kube.push((kind, obj))
    await settle()
    assert (rig.told(), rig.held()) == ([], before)
    rig.kube.break_watches()
    await rig.clock.advance(1)
    assert int(rig.calls("watch")[-1].resource_version) >= 103


async def test_a_deletion_without_a_version_of_its_own_counts(rig):
    """Some servers send the object as it last was."""
    await rig.start()
    rig.told()
    rig.kube.push(("DELETED", event("a", "uid-1", "101")))
    await settle()
    assert rig.told() == [("a", "1", None)]


async def test_versions_that_are_no_numbers_are_taken_in_the_order_of_arrival():
    """An aggregated API server may count as it likes."""
    rig = Rig()
    await rig.start()
    rig.kube.push(("ADDED", event("a", "u", "x1", "1")))
    rig.kube.push(("MODIFIED", event("a", "u", "x0", "2")))
    rig.kube.push(("MODIFIED", event("a", "u", "x0", "3")))
    rig.kube.push(("DELETED", event("a", "other", "x5", "3")))
    await settle()
    assert rig.told() == [("a", None, "1"), ("a", "1", "2")]
    await rig.stop()


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(("FROBNICATED", event("a", "uid-1", "999")), id="unknown type"),
        pytest.param(("", {}), id="no type"),
        pytest.param(("MODIFIED", "text"), id="no object"),
        pytest.param(("MODIFIED", {"metadata": None}), id="no metadata"),
        pytest.param(("ADDED", {"metadata": {"resourceVersion": "999"}}), id="no name"),
    ],
)
async def test_events_that_make_no_sense_are_ignored(rig, item):
    """A newer server may send types that we do not know; a broken one may send anything."""
    await rig.start()
    rig.told()
    rig.kube.push(item)
    rig.kube.push(("MODIFIED", event("b", "uid-2", "1000")))
    await settle()
    assert rig.told() == [("b", "1", "9")]
    assert rig.recorder.panics == 0


# Silence


async def test_a_watch_that_fell_silent_is_begun_again_where_it_was(rig):
    """A half-open connection: what was created meanwhile is seen within 90 s, and nothing is listed for it."""
    await rig.start()
    rig.told()
    await rig.clock.advance(20)
    rig.kube.freeze()
    rig.kube.put("c", data={"k": "1"})
    await rig.clock.advance(1)
    rig.kube.thaw()
    await rig.clock.advance(70)
    assert rig.told() == [("c", None, "1")]
    assert (len(rig.calls("list")), len(rig.calls("ask"))) == (1, 1)
    assert rig.kube.open_watches == 1


async def test_a_quiet_kind_is_no_trouble(rig, caplog):
    """Bookmarks come only with news, so silence is routine: ready all the while, no list, no line in the log."""
    await rig.start()
    for _ in range(50):
        await rig.clock.advance(10)
        assert rig.informer.healthy
    assert len(rig.calls("list")) == 1
    assert len(rig.calls("ask")) == len(rig.calls("watch")) - 1 == 6
    assert caplog.records == []
    assert rig.recorder.troubles == []


async def test_a_busy_cluster_keeps_the_watch_of_a_quiet_kind_alive(rig):
    """Bookmarks each minute: no request before the watch's own end."""
    await rig.start()
    for _ in range(23):
        rig.kube.others_write(1)
        await rig.clock.advance(10)
        assert rig.informer.healthy
    assert (len(rig.calls("list")), len(rig.calls("ask")), len(rig.calls("watch"))) == (1, 0, 1)


async def test_a_server_restored_from_a_backup_is_noticed(rig):
    """Its versions run again below our position, so it has nothing to say to us; not until it has caught up."""
    await rig.start()
    version, objects = rig.kube.version, rig.kube.objects()
    rig.kube.put("c", data={"k": "1"})
    for number in range(50):
        rig.kube.put("a", data={"k": f"{number}"})
    await settle()
    rig.kube.restore(version, objects)
    rig.kube.put("b", data={"k": "2"})
    await rig.clock.advance(90)
    assert rig.held() == rig.in_server()
    rig.kube.put("b", data={"k": "3"})
    await settle()
    assert rig.held() == rig.in_server()


async def test_health_ends_after_90_seconds_without_contact_and_returns(rig):
    """Never ready while deaf; and no flapping for less."""
    await rig.start()
    assert rig.informer.healthy
    rig.kube.freeze()
    await rig.clock.advance(90)
    assert rig.informer.healthy
    assert rig.clock.monotonic() - rig.informer.last_contact == 90
    await rig.clock.advance(1)
    assert not rig.informer.healthy
    rig.kube.thaw()
    await rig.clock.advance(70)
    assert rig.informer.healthy


async def test_not_healthy_before_the_first_list(rig):
    """An operator that has seen nothing yet is not ready."""
    rig.kube.refuse("list", BUSY)
    await rig.start()
    assert not rig.informer.healthy
    await rig.clock.advance(2)
    assert rig.informer.healthy


# The belt and braces


async def test_all_is_listed_anew_at_least_each_15_minutes(rig):
    """Against events that were lost on the way."""
    await rig.start()
    rig.kube.lose("a")
    rig.told()
    await rig.clock.advance(900)
    assert rig.told() == [("a", "1", None)]
    assert len(rig.calls("list")) == 2


async def test_no_relist_without_a_period():
    """`None`: never."""
    rig = Rig(relist_period_s=None)
    await rig.start()
    await rig.clock.advance(20_000)
    assert len(rig.calls("list")) == 1
    await rig.stop()


# Failures


async def test_back_off_grows_to_thirty_seconds_with_jitter(rig):
    """No burst of requests when a server comes back, and no two informers in step."""
    with rig.kube.refusing("list", Unreachable("refused")):
        await rig.start()
        await rig.clock.advance(600)
    starts = [call.at for call in rig.calls("list")]
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert all(gap <= 0.8 * 2**number for number, gap in enumerate(gaps[:5]))
    assert max(gaps) <= 30
    assert max(gaps) > 20
    assert len({round(gap, 6) for gap in gaps}) == len(gaps)
    assert 600 / len(starts) > 8


async def test_back_off_starts_anew_after_a_healthy_while(rig):
    """A connection cut once in a while must not cost half a minute each time."""
    with rig.kube.refusing("list", Unreachable("refused")):
        await rig.start()
        await rig.clock.advance(300)
    await rig.clock.advance(60)
    for _ in range(8):
        rig.kube.break_watches()
        await rig.clock.advance(0.8)
        assert rig.kube.open_watches == 1
        await rig.clock.advance(31)


async def test_retry_after_is_honoured(rig):
    """In lists and in watches."""
    patient = ApiError(429, reason="TooManyRequests", retry_after_s=20)
    rig.kube.refuse("list", patient)
    rig.kube.refuse("watch", patient)
    await rig.start()
    await rig.clock.advance(60)
    first, second = rig.calls("list")
    assert second.at - first.at >= 20
    first, second = rig.calls("watch")
    assert second.at - first.at >= 20


async def test_retry_after_has_a_bound(rig):
    """A slip in a proxy's configuration must not make us deaf for a day."""
    rig.kube.refuse("list", ApiError(503, retry_after_s=float("inf")))
    await rig.start()
    await rig.clock.advance(301)
    assert len(rig.calls("list")) == 2


async def test_a_server_that_ends_each_watch_at_once_is_asked_once_a_second(rig):
    """Neither a hot loop nor deafness."""
    watch = rig.kube.watch

    async def brief(*args: Any, **kwargs: Any) -> Any:
        async for item in watch(*args, **{**kwargs, "timeout_s": 0}):
            yield item

    rig.kube.watch = brief
    await rig.start()
    await rig.clock.advance(100)
    assert 95 <= len(rig.calls("watch")) <= 101
    rig.kube.put("a", data={"k": "2"})
    await rig.clock.advance(1)
    assert rig.held() == rig.in_server()
    assert len(rig.calls("list")) == 1


async def test_a_server_that_always_says_410_is_not_listed_in_a_hot_loop(rig):
    """At most one list for each 410, and those with back-off."""
    with rig.kube.refusing("watch", GONE):
        await rig.start()
        await rig.clock.advance(120)
    assert len(rig.calls("list")) <= len(rig.calls("watch")) + 1
    assert len(rig.calls("list")) < 30


async def test_connections_cut_once_in_a_while_are_no_trouble(rig, caplog):
    """A load balancer with an idle timeout below the minute of bookmarks cuts each quiet watch, for ever."""
    await rig.start()
    for _ in range(20):
        await rig.clock.advance(50)
        rig.kube.break_watches()
        await settle()
        assert rig.informer.healthy
    assert caplog.records == []


async def test_ready_again_as_soon_as_the_server_answers(rig):
    """A watch that is accepted says nothing by itself; after an outage the server is asked until it answers."""
    await rig.start()
    down = ApiError(503, reason="ServiceUnavailable")
    with rig.kube.refusing("watch", down), rig.kube.refusing("list", down):
        rig.kube.push(down)
        await rig.clock.advance(120)
        assert not rig.informer.healthy
    await rig.clock.advance(30)
    assert rig.informer.healthy
    assert rig.informer.problem == ""
    assert len(rig.recorder.lists) == 1


async def test_a_server_error_in_a_watch_keeps_the_position(rig):
    """`etcdserver: leader changed` says nothing about our position."""
    await rig.start()
    rig.kube.push(ApiError(500, reason="InternalError"))
    await rig.clock.advance(1)
    assert (len(rig.calls("list")), len(rig.calls("watch"))) == (1, 2)


# Kinds that come and go, rights that do


async def test_a_kind_that_is_not_served_is_asked_for_slowly_with_one_line(rig, caplog):
    """CRD not installed: one clear line, not ready, and work begins when it appears."""
    rig.kube.uninstall()
    await rig.start()
    await rig.clock.advance(120)
    assert 8 <= len(rig.calls("find")) <= 13
    assert rig.calls("list") == []
    assert [(record.levelname, record.fields["kind"]) for record in caplog.records] == [
        ("WARNING", "v1, Kind=ConfigMap")
    ]
    assert "not served; is its CRD installed?" in caplog.records[0].message
    assert (rig.informer.healthy, rig.informer.synced.is_set()) == (False, False)
    assert "does not serve v1, Kind=ConfigMap" in rig.informer.problem
    rig.kube.install()
    rig.kube.put("a", data={"k": "1"})
    await rig.clock.advance(15)
    assert rig.told() == [("a", None, "1")]
    assert rig.informer.healthy
    assert rig.informer.problem == ""
    assert [record.message for record in caplog.records[1:]] == ["list and watch work again"]


async def test_the_objects_of_a_kind_that_went_away_are_reported_as_deleted(rig):
    """With a CRD its objects go; also where the server ended the watch before it told so."""
    await rig.start()
    rig.told()
    rig.kube._served = False
    rig.kube.break_watches()
    await rig.clock.advance(29)
    assert rig.told() == []
    assert not rig.informer.healthy
    await rig.clock.advance(20)
    assert rig.told() == [("a", "1", None), ("b", "1", None)]
    assert len(rig.informer) == 0


async def test_a_moment_without_the_kind_costs_nothing(rig):
    """An API server that starts answers 404 too; ten thousand runs for that would be a storm."""
    await rig.start()
    rig.told()
    rig.kube._served = False
    rig.kube.break_watches()
    await rig.clock.advance(3)
    rig.kube.install()
    await rig.clock.advance(20)
    assert rig.told() == []
    assert rig.informer.healthy


async def test_missing_twice_for_a_moment_is_not_missing_for_long(rig):
    """The thirty seconds count from when it went away this time."""
    await rig.start()
    rig.told()
    for _ in range(4):
        rig.kube._served = False
        rig.kube.break_watches()
        await rig.clock.advance(3)
        rig.kube.install()
        await rig.clock.advance(20)
    assert rig.told() == []


async def test_the_kind_is_looked_up_again_after_a_404(rig):
    """A CRD made again may have another plural."""
    await rig.start()
    assert len(rig.calls("find")) == 1
    rig.kube.refuse("watch", ApiError(404, reason="NotFound"))
    rig.kube.break_watches()
    await rig.clock.advance(20)
    assert len(rig.calls("find")) == 2


async def test_missing_rights_are_surfaced_and_asked_for_slowly(rig, caplog):
    """RBAC taken away: one line, no hot loop, back within a minute after it returns."""
    with rig.kube.refusing("list", ApiError(403, reason="Forbidden", message="may not list")):
        await rig.start()
        await rig.clock.advance(300)
        assert len(rig.calls("list")) <= 16
        assert "may not list" in rig.informer.problem
        assert not rig.informer.healthy
        assert [record.message for record in caplog.records] == [
            "not allowed to list or watch; asking again every 20 to 30 s"
        ]
    await rig.clock.advance(31)
    assert rig.informer.healthy
    assert rig.informer.problem == ""


async def test_a_missing_right_to_watch_is_one_line_though_lists_succeed(rig, caplog):
    """Each successful list in between is no recovery."""
    with rig.kube.refusing("watch", ApiError(403, reason="Forbidden")):
        await rig.start()
        await rig.clock.advance(300)
    assert len(rig.recorder.lists) > 5
    assert len(caplog.records) == 1


async def test_an_outage_is_one_line_at_its_begin_and_one_at_its_end(rig, caplog):
    """And not one for each of a hundred attempts."""
    await rig.start()
    with rig.kube.refusing("watch", Unreachable("refused")), rig.kube.refusing("list", Unreachable("refused")):
        rig.kube.break_watches()
        await rig.clock.advance(300)
    await rig.clock.advance(120)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "API server out of reach; trying again with back-off"),
        ("INFO", "list and watch work again"),
    ]


# Others' faults


async def test_a_handler_that_raises_is_logged_and_the_informer_goes_on(rig, caplog):
    """One bug in a handler must not make the operator deaf."""

    def fail(event: WatchEvent) -> None:
        rig.events.append(event)
        raise ZeroDivisionError

    rig.on_event = fail
    await rig.start()
    rig.kube.put("c")
    await settle()
    assert [event.ref for event in rig.events] == [A, B, C]
    assert rig.held() == rig.in_server()
    assert rig.recorder.panics == 3
    assert {record.exc_info[0] for record in caplog.records} == {ZeroDivisionError}


async def test_an_object_that_the_projection_does_not_understand_keeps_what_was_known():
    """Neither a dead informer nor a deletion that never happened."""
    rig = Rig(project=lambda obj: ("u", str(int(obj["data"]["k"]))))
    rig.kube.put("a", data={"k": "1"})
    rig.kube.put("b", data={"k": "odd"})
    await rig.start()
    rig.kube.put("a", data={"k": "odd"})
    rig.kube.put("c", data={"k": "1"})
    await settle()
    assert rig.told() == [("a", None, "1"), ("c", None, "1")]
    rig.kube.push(GONE)
    await rig.clock.advance(2)
    assert len(rig.calls("list")) == 2
    assert (rig.told(), sorted(rig.informer.refs())) == ([], [A, C])
    await rig.stop()


async def test_objects_that_did_not_change_are_not_projected_again(rig):
    """A relist of ten thousand objects is cheap, and what is held stays the same object."""
    await rig.start()
    before = rig.informer.get(A)
    rig.kube.push(GONE)
    await rig.clock.advance(2)
    assert len(rig.calls("list")) == 2
    assert rig.informer.get(A) is before


async def test_run_again_after_cancel_reports_what_changed_meanwhile(rig):
    """A leader that stops and leads again."""
    await rig.start()
    rig.told()
    await rig.stop()
    rig.kube.delete("a")
    rig.kube.put("b", data={"k": "2"})
    await rig.start()
    assert rig.told() == [("a", "1", None), ("b", "1", "2")]
    assert len(rig.calls("list")) == 2


async def test_observer_hears_of_lists_events_and_failures(rig):
    """Metrics."""
    rig.kube.refuse("list", BUSY)
    await rig.start()
    await rig.clock.advance(1)
    rig.kube.put("c")
    rig.kube.push(("ODD", {}))
    await settle()
    assert (rig.recorder.lists, rig.recorder.events, rig.recorder.troubles) == ([2], ["ADDED", "other"], ["error"])


async def test_observer_hears_how_many_objects_are_held_after_each_event(rig):
    """A gauge that only lists moved would be up to a quarter of an hour late."""
    await rig.start()
    counts = [rig.recorder.held_last]
    for change in (lambda: rig.kube.put("c"), lambda: rig.kube.delete("a"), rig.kube.uninstall):
        change()
        await rig.clock.advance(1)
        counts.append(rig.recorder.held_last)
    assert counts == [2, 3, 2, 0]


async def test_observer_hears_that_a_kind_went_away_with_its_objects(rig):
    """Also where no watch told of each."""
    await rig.start()
    rig.kube._served = False
    rig.kube.break_watches()
    await rig.clock.advance(60)
    assert rig.recorder.held_last == 0


# The model check


NAMES = st.sampled_from("abc")
ERRORS: list[KubeError] = [
    GONE,
    TOO_LARGE,
    BUSY,
    ApiError(500, reason="InternalError"),
    ApiError(404, message="404 page not found"),
    ApiError(403, reason="Forbidden"),
    Unreachable("reset"),
]
STEPS = st.one_of(
    st.tuples(st.just("put"), NAMES),
    st.tuples(st.just("put"), NAMES),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("recreate"), NAMES),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.0, 0.5, 3.0, 40.0, 100.0, 700.0])),
    st.tuples(st.just("push"), st.sampled_from(ERRORS)),
    st.tuples(st.just("refuse list"), st.sampled_from(ERRORS)),
    st.tuples(st.just("refuse watch"), st.sampled_from(ERRORS)),
    st.tuples(st.just("replay"), st.integers(1, 10)),
    st.sampled_from([("break", 0), ("end", 0), ("compact", 0), ("freeze", 0), ("thaw", 0), ("restart", 0), ("odd", 0)]),
    st.sampled_from([("uninstall", 0), ("install", 0), ("backup", 0), ("restore", 0)]),
)


class History:
    """Does to the server what a step says, and checks each event against what was reported before it.

    The periodic list is off, for the rest must do without it; except where a backup is restored: versions that catch
    up with our position before we are back are a hole that nothing else can see.
    """

    def __init__(self, steps: list[tuple[str, Any]], seed: int) -> None:
        self.steps = steps
        self.restored = ("restore", 0) in steps
        self.rig = Rig(seed=seed, relist_period_s=600.0 if self.restored else None)
        self.rig.on_event = self.check
        self.reported: dict[ObjectRef, Any] = {}
        self.sent: list[tuple[str, Raw]] = []
        self.backup: tuple[int, dict[ObjectRef, Raw]] | None = None
        self.number = 0

    def check(self, event: WatchEvent) -> None:
        """An event starts from what the last one left, never changes the uid, and the cache is already there."""
        assert event.old == self.reported.get(event.ref)
        assert event.old is not None or event.new is not None
        assert event.old is None or event.new is None or event.old[0] == event.new[0]
        assert event.new == self.rig.informer.get(event.ref)
        if event.new is None:
            del self.reported[event.ref]
        else:
            self.reported[event.ref] = event.new

    async def do(self, step: str, value: Any) -> None:  # noqa: C901 - a table
        kube = self.rig.kube
        match step:
            case "put":
                self.put(value)
            case "delete" if ObjectRef("default", value) in kube.objects():
                self.delete(value)
            case "recreate" if ObjectRef("default", value) in kube.objects():
                self.delete(value)
                self.put(value)
            case "wait":
                await self.rig.clock.advance(value)
            case "push":
                kube.push(value)
            case "refuse list":
                kube.refuse("list", value)
            case "refuse watch":
                kube.refuse("watch", value)
            case "replay":
                await settle()  # what is replayed was sent before
                for item in self.sent[-value:]:
                    kube.push(item)
            case "odd":
                kube.push(("ODD", {"metadata": {"resourceVersion": "99999"}}))
            case "restart":
                await self.rig.stop()
                await self.rig.start()
            case "backup":
                self.backup = (kube.version, kube.objects())
            case "restore" if self.backup is not None:
                kube.restore(*self.backup)
                self.sent.clear()
            case "break" | "end":
                (kube.break_watches if step == "break" else kube.end_watches)()
            case "compact" | "freeze" | "thaw" | "uninstall" | "install":
                getattr(kube, step)()

    def put(self, name: str) -> None:
        self.number += 1
        existed = ObjectRef("default", name) in self.rig.kube.objects()
        stored = self.rig.kube.put(name, data={"k": str(self.number)})
        self.sent.append(("MODIFIED" if existed else "ADDED", stored))

    def delete(self, name: str) -> None:
        old = self.rig.kube.objects()[ObjectRef("default", name)]
        self.rig.kube.delete(name)
        old["metadata"]["resourceVersion"] = str(self.rig.kube.version)
        self.sent.append(("DELETED", old))

    async def come_to_rest(self) -> None:
        """Faults end, and within so long everything must be known."""
        self.rig.kube.thaw()
        self.rig.kube.install()
        for refusals in self.rig.kube._refusals.values():
            refusals.clear()
        await self.rig.clock.advance(1200 if self.restored else 200)


@given(steps=st.lists(STEPS, max_size=40), seed=st.integers(0, 1000))
@settings(
    max_examples=int(os.environ.get("INFORMER_HISTORIES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_at_rest_the_cache_equals_the_server_and_each_deletion_was_reported(steps, seed):
    """For any history of changes and faults. `reported` is what a listener believes who hears only the events."""

    async def history() -> None:
        history = History(steps, seed)
        await history.rig.start()
        for step, value in history.steps:
            await history.do(step, value)
        await history.come_to_rest()
        assert history.rig.held() == history.rig.in_server()
        assert history.reported == history.rig.in_server()
        assert history.rig.recorder.held_last == len(history.reported)
        assert history.rig.informer.healthy
        assert history.rig.informer.problem == ""
        assert history.rig.recorder.panics == 0
        await history.rig.stop()
        assert len(asyncio.all_tasks()) == 1
        assert history.rig.kube.open_watches == 0

    logging.disable()  # a failure would print the lines of thousands of histories
    try:
        asyncio.run(history())
    finally:
        logging.disable(logging.NOTSET)
