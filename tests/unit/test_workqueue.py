"""The queue's promises: one holder a key, nothing lost, back-off by key, delays by the injected clock alone.

`QueueMachine` tries random histories beside a model, `QUEUE_HISTORIES` of them.
"""

import asyncio
import itertools
import os
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fakes import FakeClock, settle
from runner.workqueue.lanes import Lane
from runner.workqueue.queue import ShutDown, WorkQueue

CHANGES, ROUTINE = Lane.CHANGES, Lane.ROUTINE


@dataclass
class Recorder:
    """An observer that writes down what it hears."""

    depths: list[int] = field(default_factory=list)
    adds: int = 0
    retries: int = 0
    waits: list[float] = field(default_factory=list)
    works: list[float] = field(default_factory=list)

    def depth(self, keys: int) -> None:
        self.depths.append(keys)

    def added(self) -> None:
        self.adds += 1

    def retried(self) -> None:
        self.retries += 1

    def taken(self, waited_s: float) -> None:
        self.waits.append(waited_s)

    def finished(self, worked_s: float) -> None:
        self.works.append(worked_s)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> WorkQueue[str]:
    return WorkQueue(clock=clock)


async def taken(queue: WorkQueue[str]) -> list[str]:
    """Take all that is ready."""
    return [await queue.get() for _ in range(len(queue))]


async def test_keys_come_out_in_the_order_in_which_they_went_in(queue):
    """Fairness: no object waits behind one that came later."""
    for key in "bca":
        queue.add(key)
    assert await taken(queue) == ["b", "c", "a"]


async def test_adds_of_a_waiting_key_are_one(queue):
    """A hundred edits before the first run need one run."""
    for key in "abaab":
        queue.add(key)
    assert await taken(queue) == ["a", "b"]


async def test_add_while_processing_runs_key_once_more(queue):
    """The run in progress may have read the object before the change."""
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await taken(queue) == ["a"]
    queue.done("a")
    assert len(queue) == 0


async def test_a_key_that_falls_due_while_processing_runs_once_more(queue, clock):
    """A period that ends during a long run must not start a second one beside it, nor be forgotten."""
    queue.add("a")
    await queue.get()
    queue.add_after("a", 5)
    await clock.advance(6)
    assert len(queue) == 0
    queue.done("a")
    assert await taken(queue) == ["a"]


async def test_get_waits_for_an_add(queue):
    """An idle worker costs nothing until there is work."""
    getter = asyncio.create_task(queue.get())
    await settle()
    assert not getter.done()
    queue.add("a")
    assert await getter == "a"


async def test_get_waits_for_the_instant_of_a_delayed_add(queue, clock):
    """Driven by the clock, to the second."""
    queue.add_after("a", 10)
    getter = asyncio.create_task(queue.get())
    await clock.advance(9.99)
    assert not getter.done()
    await clock.advance(0.01)
    assert getter.done()
    assert await getter == "a"


async def test_a_shorter_delay_wakes_a_getter_that_waits_for_a_longer_one(queue, clock):
    """A back-off of 5 ms must not wait for somebody's reconcile period of eight hours."""
    queue.add_after("slow", 1000)
    getter = asyncio.create_task(queue.get())
    await settle()
    queue.add_after("quick", 1)
    await clock.advance(1)
    assert getter.done()
    assert await getter == "quick"


@pytest.mark.parametrize("delays", [(10, 3), (3, 10)])
async def test_of_two_delays_the_earliest_wins(queue, clock, delays):
    """Else a failing object's period would put off its retry, or the other way round; and it runs once, not twice."""
    for delay in delays:
        queue.add_after("a", delay)
    await clock.advance(2.9)
    assert len(queue) == 0
    await clock.advance(0.1)
    assert await taken(queue) == ["a"]
    queue.done("a")
    await clock.advance(100)
    assert len(queue) == 0


async def test_an_add_leaves_the_delayed_one_as_it_is(queue, clock):
    """An event in between does not cancel the look that a role asked for."""
    queue.add_after("a", 10)
    queue.add("a")
    assert await taken(queue) == ["a"]
    queue.done("a")
    await clock.advance(10)
    assert await taken(queue) == ["a"]


async def test_no_delay_means_now(queue):
    """`requeue_after: 0s`."""
    queue.add_after("a", 0)
    queue.add_after("b", -1)
    assert await taken(queue) == ["a", "b"]
    assert queue.delayed == 0


async def test_back_off_doubles_by_key_up_to_the_maximum(queue):
    """5 ms to 1000 s as client-go, and one key's failures do not slow down another's."""
    delays = [queue.add_rate_limited("a") for _ in range(20)]
    assert delays == [min(0.005 * 2**n, 1000.0) for n in range(20)]
    assert delays[-1] == 1000.0
    assert queue.add_rate_limited("b") == 0.005
    assert (queue.failures("a"), queue.failures("b"), queue.failures("c")) == (20, 1, 0)


async def test_back_off_survives_any_number_of_failures(queue):
    """Two to the power of a few weeks of failures is no float."""
    queue._failures["a"] = 100_000
    assert queue.add_rate_limited("a") == 1000.0


async def test_back_off_is_no_shorter_than_asked_and_no_longer_than_the_maximum(queue):
    """Retry-After is honoured, a nonsensical one bounded."""
    assert queue.add_rate_limited("a", at_least_s=3) == 3
    assert queue.add_rate_limited("b", at_least_s=1e9) == 1000.0


async def test_forget_starts_the_back_off_anew(queue, clock):
    """Success once means that the next failure is a first one; what is under way stays."""
    queue.add_rate_limited("a")
    queue.add_rate_limited("a")
    queue.forget("a")
    queue.forget("never seen")
    assert queue.failures("a") == 0
    assert queue.delayed == 1
    assert queue.add_rate_limited("a") == 0.005


async def test_after_shut_down_nothing_is_handed_out(queue, clock):
    """Losing the lease must not start one more run."""
    for key in "ab":
        queue.add(key)
    queue.add_after("c", 1)
    await queue.get()
    queue.add("a")
    waiting = [asyncio.create_task(queue.get()) for _ in range(2)]
    queue.shut_down()
    queue.done("a")
    queue.add("d")
    queue.add_after("e", 1)
    queue.add_rate_limited("f")
    await clock.advance(10)
    assert (len(queue), queue.delayed) == (0, 0)
    with pytest.raises(ShutDown):
        await queue.get()
    assert [type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == [ShutDown] * 2


async def test_shut_down_wakes_all_who_wait(queue):
    """Every worker has to end, with and without a delayed key in sight."""
    waiting = [asyncio.create_task(queue.get()) for _ in range(2)]
    await settle()
    queue.add_after("a", 1000)
    waiting += [asyncio.create_task(queue.get()) for _ in range(2)]
    await settle()
    queue.shut_down()
    await settle()
    assert [type(getter.exception()) for getter in waiting] == [ShutDown] * 4


async def test_done_of_a_key_that_nobody_holds_is_an_error(queue):
    """It would hide that two workers thought they held it."""
    with pytest.raises(KeyError):
        queue.done("a")


async def test_a_getter_cancelled_at_the_wrong_moment_loses_no_key(queue):
    """The one that was woken for the key is cancelled before it takes it: another gets it."""
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await settle()
    queue.add("a")
    first.cancel()
    await settle()
    assert await second == "a"


async def test_no_task_outlives_its_get(queue, clock):
    """A leaked timer keeps the loop and the queue alive."""
    before = asyncio.all_tasks()
    queue.add_after("a", 5)
    getters = [asyncio.create_task(queue.get()) for _ in range(3)]
    await clock.advance(5)
    for getter in getters[1:]:
        getter.cancel()
    await asyncio.wait(getters)
    assert asyncio.all_tasks() == before


async def test_superseded_delays_do_not_pile_up(queue, clock):
    """A long period superseded by a short back-off, thousands of times within that period."""
    for _ in range(1000):
        queue.add_after("a", 8 * 3600)
        queue.add_after("a", 0.005)
        await clock.advance(0.01)
        assert await taken(queue) == ["a"]
        queue.done("a")
    assert len(queue._heap) < 100


async def test_the_order_of_delays_survives_the_clean_up_of_superseded_ones(queue, clock):
    """Taken out of the middle, they leave behind what must still be a heap."""
    delays = random.Random(1).sample(range(1, 1000), 200)
    for key, delay in enumerate(delays):
        queue.add_after(f"{key}", 10_000 - delay)
        queue.add_after(f"{key}", 5000 - delay)
        queue.add_after(f"{key}", delay)
    assert len(queue._heap) < 600
    await clock.advance(1000)
    assert await taken(queue) == [f"{key}" for _, key in sorted(zip(delays, itertools.count(), strict=False))]


async def test_observer_hears_depth_waiting_and_working_time(clock):
    """The series that controller-runtime's dashboards read."""
    recorder = Recorder()
    queue = WorkQueue(clock=clock, observer=recorder)
    queue.add("a")
    queue.add("a")
    queue.add_after("b", 1)
    await clock.advance(3)
    assert await taken(queue) == ["a", "b"]
    queue.add("a")
    queue.add_rate_limited("a")
    await clock.advance(2)
    assert queue.unfinished_s() == [2.0, 2.0]
    queue.done("a")
    queue.done("b")
    assert recorder == Recorder(depths=[1, 2, 1, 0, 1], adds=3, retries=1, waits=[3.0, 2.0], works=[2.0, 2.0])
    assert queue.unfinished_s() == []


async def test_a_change_goes_ahead_of_routine(queue, clock):
    """Somebody waits for the edit; nobody waits for the periodic look at ten thousand others, nor for the first one."""
    queue.add("listed", ROUTINE)
    queue.add_after("periodic", 1)
    await clock.advance(1)
    queue.add("edited")
    assert await taken(queue) == ["edited", "listed", "periodic"]


async def test_a_change_of_a_key_that_waits_as_routine_moves_it_ahead(queue):
    """The edit of one object among ten thousand listed ones; it stays one run, and later routine changes nothing."""
    for key in "abc":
        queue.add(key, ROUTINE)
    queue.add("c")
    queue.add("c", ROUTINE)
    assert await taken(queue) == ["c", "a", "b"]


async def test_a_change_while_processing_comes_back_as_a_change(queue):
    """Also where routine asked for the same key meanwhile, before or after."""
    for key in "ab":
        queue.add(key)
        await queue.get()
    queue.add("routine", ROUTINE)
    for lane in (ROUTINE, CHANGES, ROUTINE):
        queue.add("a", lane)
    queue.add("b", ROUTINE)
    queue.done("b")
    queue.done("a")
    assert await taken(queue) == ["a", "routine", "b"]


async def test_a_failed_change_is_tried_again_as_a_change(queue, clock):
    """An edit whose first run met a hiccup must not wait behind a whole start-up list; failed routine stays routine."""
    queue.add("listed", ROUTINE)
    queue.add("edited")
    for key in await taken(queue):
        queue.add_rate_limited(key)
        queue.done(key)
    queue.add("routine", ROUTINE)
    await clock.advance(1)
    assert await taken(queue) == ["edited", "routine", "listed"]


async def test_a_delayed_key_keeps_the_more_urgent_of_two_lanes(queue, clock):
    """The period must not turn a retry into routine, whichever was asked for first."""
    queue.add_after("a", 2, CHANGES)
    queue.add_after("a", 1, ROUTINE)
    queue.add_after("b", 1, ROUTINE)
    queue.add_after("b", 2, CHANGES)
    queue.add("routine", ROUTINE)
    await clock.advance(1)
    assert await taken(queue) == ["a", "b", "routine"]


async def test_routine_gets_every_tenth_turn_in_a_flood_of_changes(queue):
    """A controller gone wild that edits objects all the time must not stop the periodic look at the others."""
    queue.add("quiet", ROUTINE)
    queue.add("silent", ROUTINE)
    turns = []
    for number in range(40):
        queue.add(f"edit {number}")
        turns.append(await queue.get())
    assert [index for index, key in enumerate(turns) if not key.startswith("edit")] == [9, 19]


async def test_changes_that_met_no_routine_give_it_no_claim(queue):
    """Its turn counts from when it began to wait: an edit never waits behind routine that just came."""
    for number in range(30):
        queue.add(f"{number}")
        await queue.get()
    queue.add("routine", ROUTINE)
    queue.add("edited")
    assert await taken(queue) == ["edited", "routine"]


async def test_ready_waits_for_a_key_and_leaves_it_there(queue, clock):
    """Whoever needs something else before it may work must not hold a key meanwhile, for it may get more urgent."""
    waiting = asyncio.create_task(queue.ready())
    await settle()
    assert not waiting.done()
    queue.add_after("a", 1)
    await clock.advance(1)
    assert waiting.done()
    assert await taken(queue) == ["a"]
    queue.shut_down()
    with pytest.raises(ShutDown):
        await queue.ready()


KEYS = st.sampled_from("abcd")
LANES = st.sampled_from(Lane)
DELAYS = st.sampled_from([0.0, 0.004, 1.0, 1.0, 2.5, 7.0])


class QueueMachine(RuleBasedStateMachine):
    """Random histories beside a model: lists and sets that a reader can check by eye."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.queue: WorkQueue[str] = WorkQueue(clock=self.clock, max_delay_s=4.0)
        self.getters: list[asyncio.Task[str]] = []
        self.holders: list[str] = []
        # The model
        self.waiting = 0
        self.ready: dict[Lane, list[str]] = {CHANGES: [], ROUTINE: []}
        self.overtaken = 0
        self.held: dict[str, Lane] = {}
        self.again: dict[str, Lane] = {}
        self.due: dict[str, tuple[float, int, Lane]] = {}
        self.failures: dict[str, int] = {}
        self.order = itertools.count()

    def run(self, step: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(step)

    @rule(key=KEYS, lane=LANES)
    def add(self, key, lane):
        self.queue.add(key, lane)
        self.model_ready(key, lane)

    @rule(key=KEYS, seconds=DELAYS, lane=LANES)
    def add_after(self, key, seconds, lane):
        self.queue.add_after(key, seconds, lane)
        self.model_delay(key, seconds, lane)

    @rule(key=KEYS)
    def add_rate_limited(self, key):
        failures = self.failures.get(key, 0)
        self.failures[key] = failures + 1
        assert self.queue.add_rate_limited(key) == min(0.005 * 2**failures, 4.0)
        self.model_delay(key, min(0.005 * 2**failures, 4.0), self.held.get(key, CHANGES))

    @rule(key=KEYS)
    def forget(self, key):
        self.queue.forget(key)
        self.failures.pop(key, None)

    @rule()
    def get(self):
        self.getters.append(self.loop.create_task(self.queue.get()))
        self.waiting += 1

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), key=KEYS)
    def add_and_cancel_a_getter_at_once(self, data, key):
        self.queue.add(key)
        self.model_ready(key, CHANGES)
        victim = data.draw(st.sampled_from(self.getters))
        self.getters.remove(victim)
        victim.cancel()
        self.waiting -= 1

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def done(self, data):
        key = data.draw(st.sampled_from(sorted(self.held)))
        self.queue.done(key)
        self.holders.remove(key)
        del self.held[key]
        if key in self.again:
            self.ready[self.again.pop(key)].append(key)

    @rule(seconds=DELAYS)
    def advance(self, seconds):
        self.run(self.clock.advance(seconds))
        fallen = sorted((due, key) for key, due in self.due.items() if due[0] <= self.clock.monotonic())
        for _, at_once in itertools.groupby(fallen, key=lambda item: item[0][0]):
            for (_, _, lane), key in sorted(at_once):
                del self.due[key]
                self.model_ready(key, lane)
            self.model_serve()

    def model_ready(self, key, lane):
        if key in self.held:
            self.again[key] = min(lane, self.again.get(key, lane))
        elif key in self.ready[ROUTINE] and lane is CHANGES:
            self.ready[ROUTINE].remove(key)
            self.ready[CHANGES].append(key)
        elif key not in self.ready[CHANGES] + self.ready[ROUTINE]:
            self.ready[lane].append(key)

    def model_delay(self, key, seconds, lane):
        if seconds <= 0:
            self.model_ready(key, lane)
            return
        due, order = self.clock.monotonic() + seconds, next(self.order)
        if key in self.due:
            known, known_order, known_lane = self.due[key]
            lane = min(lane, known_lane)
            if known <= due:
                due, order = known, known_order
        self.due[key] = (due, order, lane)

    def model_take(self):
        """Whose turn it is: a change, unless nine of them have overtaken what waits as routine."""
        changes, routine = self.ready[CHANGES], self.ready[ROUTINE]
        if not changes or (routine and self.overtaken == 9):
            self.overtaken = 0
            return routine.pop(0), ROUTINE
        self.overtaken = self.overtaken + 1 if routine else 0
        return changes.pop(0), CHANGES

    def model_serve(self):
        """Those who wait take what is ready."""
        while self.waiting and any(self.ready.values()):
            key, self.held[key] = self.model_take()
            self.waiting -= 1

    def model_take_all(self):
        while any(self.ready.values()):
            key, self.held[key] = self.model_take()
            yield key

    @invariant()
    def the_queue_did_as_the_model(self):
        self.run(settle(10))
        self.model_serve()
        self.holders += [getter.result() for getter in self.getters if getter.done()]
        self.getters = [getter for getter in self.getters if not getter.done()]
        assert len(self.holders) == len(set(self.holders)), "two holders of one key"
        assert set(self.holders) == set(self.held)
        assert (len(self.queue), self.queue.delayed) == (sum(map(len, self.ready.values())), len(self.due))
        assert {key: self.queue.failures(key) for key in "abcd"} == {key: self.failures.get(key, 0) for key in "abcd"}

    def teardown(self):
        try:
            self.run(self.drain())
            self.queue.shut_down()
            self.run(settle(10))
            assert all(isinstance(getter.exception(), ShutDown) for getter in self.getters)
            assert asyncio.all_tasks(self.loop) == set()
        finally:
            self.loop.close()

    async def drain(self):
        """What is ready comes out in the model's order, and then whatever was added meanwhile or delayed."""
        assert await taken(self.queue) == list(self.model_take_all())
        for key in list(self.held):
            self.queue.done(key)
            del self.held[key]
            if key in self.again:
                self.ready[self.again.pop(key)].append(key)
        assert await taken(self.queue) == list(self.model_take_all())
        for key in self.held:
            self.queue.done(key)
        self.held.clear()
        if not self.getters:
            await self.clock.advance(10)
            for key, (_, _, lane) in sorted(self.due.items(), key=lambda item: item[1]):
                self.model_ready(key, lane)
            assert await taken(self.queue) == list(self.model_take_all())


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=int(os.environ.get("QUEUE_HISTORIES", "100")), stateful_step_count=40, deadline=None
)
