"""What is a loop and what is not, and how long an owner waits in one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeClock
from runner.fieldpaths import FieldPath
from runner.gateway import loopbreaker
from runner.gateway.childdiff import Change
from runner.gateway.loopbreaker import FIRST_DELAY_S, MAX_DELAY_S, QUIET_S, TIMES, Loop, LoopBreaker
from runner.gateway.ownership import Owner
from runner.objects import GroupVersionKind, ObjectRef, RunId, Uid

ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")
OWNER = Owner(gvk=ECHO, ref=ObjectRef("n", "x"), uid=Uid("u"), namespaced=True)
CHILD = "ConfigMap n/c"
BACK = Change(fields=(FieldPath.parse("data.colour"),), digest=b"red to blue")


class Rig:
    """A breaker, and runs of one owner that all do the same unless told otherwise."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.counted: list[GroupVersionKind] = []
        self.breaker = LoopBreaker(clock=self.clock, count=self.counted.append)
        self.runs = 0
        self.generation = 1

    async def run(
        self, *, after_s: float = 1.0, change: Change = BACK, owner: Owner = OWNER, child: str = CHILD, writes: int = 1
    ) -> Loop | None:
        await self.clock.advance(after_s)
        self.runs += 1
        self.breaker.begins(owner, self.generation)
        told = None
        for _ in range(writes):
            told = self.breaker.changed(owner, self.generation, RunId(str(self.runs)), child, change) or told
        return told

    async def loop(self, times: int = TIMES, **options: object) -> Loop | None:
        told = None
        for _ in range(times):
            told = await self.run(**options) or told  # type: ignore[arg-type]  # passed on as they came
        return told

    @property
    def delay_s(self) -> float:
        return self.breaker.delay_s(ECHO, OWNER.ref)


@pytest.fixture
async def rig() -> Rig:
    return Rig()


async def test_the_same_change_again_and_again_is_a_loop(rig: Rig):
    assert await rig.loop(TIMES - 1) is None
    assert (rig.delay_s, rig.counted) == (0, [])
    assert await rig.run() == Loop(child=CHILD, fields=("data.colour",), times=TIMES, delay_s=FIRST_DELAY_S)
    assert (rig.delay_s, rig.counted) == (FIRST_DELAY_S, [ECHO])


async def test_the_delay_doubles_with_each_round_up_to_its_bound(rig: Rig):
    """However late each round comes for the delay that it had to wait for."""
    await rig.loop()
    delays = []
    for _ in range(8):
        delays.append(rig.delay_s)
        await rig.run(after_s=rig.delay_s + QUIET_S)
    assert delays == [5, 10, 20, 40, 80, 160, 300, 300]
    assert len(rig.counted) == 9


async def test_a_run_that_does_it_twice_is_one_round(rig: Rig):
    """Two tasks that undo each other write four times a run."""
    await rig.loop(TIMES - 1)
    await rig.run(writes=4)
    assert rig.delay_s == FIRST_DELAY_S


async def test_a_loop_is_told_once_an_hour(rig: Rig):
    assert await rig.loop() is not None
    began, told = rig.clock.monotonic(), []
    while rig.clock.monotonic() < began + 3 * 3600:
        if await rig.run(after_s=rig.delay_s) is not None:
            told.append(rig.clock.monotonic() - began)
    assert [second // MAX_DELAY_S for second in told] == [12, 24, 36]


async def test_a_loop_that_is_over_leaves_nothing_behind(rig: Rig):
    await rig.loop(TIMES + 2)
    waited = rig.delay_s
    assert waited == 4 * FIRST_DELAY_S
    await rig.clock.advance(waited + QUIET_S)
    assert rig.delay_s == waited
    await rig.clock.advance(1)
    assert rig.delay_s == 0
    assert await rig.loop(TIMES - 1) is None
    assert rig.delay_s == 0
    assert await rig.run() is not None
    assert rig.delay_s == FIRST_DELAY_S


async def test_what_happens_less_than_once_a_minute_is_no_loop(rig: Rig):
    """A role that tidies up after somebody each few minutes costs little, and may be meant."""
    assert await rig.loop(50, after_s=QUIET_S + 1) is None
    assert rig.delay_s == 0


@pytest.mark.parametrize("vary", ["generation", "uid", "child", "change"])
async def test_what_differs_each_time_is_no_loop(rig: Rig, vary: str):
    """An edited or remade resource, as many children, and values that change: all of it is ordinary work."""
    for count in range(50):
        rig.generation = count if vary == "generation" else 1
        owner = replace(OWNER, uid=Uid(str(count))) if vary == "uid" else OWNER
        child = f"ConfigMap n/{count}" if vary == "child" else CHILD
        change = replace(BACK, digest=str(count).encode()) if vary == "change" else BACK
        assert await rig.run(after_s=0.1, owner=owner, child=child, change=change) is None
    assert (rig.delay_s, rig.counted) == (0, [])


async def test_an_edit_of_the_owner_ends_the_waiting_before_its_run_writes(rig: Rig):
    """Perhaps it is the edit that ends the quarrel."""
    await rig.loop()
    rig.generation = 2
    rig.breaker.begins(OWNER, 2)
    assert rig.delay_s == 0


async def test_owners_do_not_wait_for_each_other(rig: Rig):
    other = replace(OWNER, ref=ObjectRef("n", "y"))
    await rig.loop()
    assert await rig.run(owner=other) is None
    assert (rig.delay_s, rig.breaker.delay_s(ECHO, other.ref)) == (FIRST_DELAY_S, 0)


async def test_two_changes_that_undo_each_other_are_both_known(rig: Rig):
    """One task writes what the next one takes back."""
    forth = replace(BACK, digest=b"blue to red")
    told = [await rig.run(change=change) for _ in range(TIMES) for change in (BACK, forth)]
    assert [loop is not None for loop in told] == [False] * (2 * TIMES - 2) + [True, True]


async def test_ten_thousand_owners_that_write_cost_the_memory_of_the_last_thousand(rig: Rig):
    for count in range(3000):
        await rig.run(after_s=0, owner=replace(OWNER, ref=ObjectRef("n", str(count))))
    assert len(rig.breaker) == 1000
    await rig.run(after_s=QUIET_S + 1)
    assert len(rig.breaker) == 1


def test_words_name_the_child_the_fields_and_the_remedy():
    loop = Loop(child=CHILD, fields=("data.a", "data.b"), times=5, delay_s=5.0)
    assert str(loop) == (
        "ConfigMap n/c: data.a, data.b: put back each time that the role wrote it, 5 times by now; changes of children"
        " are looked at after 5 s now, up to 300 s; have one of the two let it be, or name the field under"
        " dependentIgnore in watches.yaml"
    )
    assert "data.e and 2 more: put back" in str(replace(loop, fields=tuple(f"data.{key}" for key in "abcdefg")))
    assert str(replace(loop, fields=())).startswith("ConfigMap n/c: gone each time it was made, 5 times by now;")


STEPS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 30.0, QUIET_S, QUIET_S + 1, 400.0]), st.integers(0, 2), st.integers(1, 2)),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_only_a_change_made_often_enough_in_one_generation_makes_an_owner_wait(
    steps: list[tuple[float, int, int]],
):
    """Against a model that counts the plain way: equal changes of one generation with no long pause between two."""
    clock = FakeClock()
    breaker = LoopBreaker(clock=clock)
    row: dict[int, int] = {}
    last: dict[int, float] = {}
    generation, waited = 1, 0.0
    for run, (after_s, which, new_generation) in enumerate(steps):
        clock._now += after_s
        if new_generation != generation:
            generation, row, last = new_generation, {}, {}
        allowed = QUIET_S + breaker.delay_s(ECHO, OWNER.ref)
        breaker.begins(OWNER, generation)
        allowed = min(allowed, QUIET_S + breaker.delay_s(ECHO, OWNER.ref))
        pause = clock.monotonic() - last.get(which, -1e9)
        row[which] = row.get(which, 0) + 1 if pause <= allowed else 1
        last[which] = clock.monotonic()
        change = replace(BACK, digest=str(which).encode())
        loop = breaker.changed(OWNER, generation, RunId(str(run)), CHILD, change)
        waited = breaker.delay_s(ECHO, OWNER.ref)
        assert loop is None or row[which] >= TIMES
        assert (row[which] >= TIMES) <= (FIRST_DELAY_S <= waited <= MAX_DELAY_S)
        assert waited == 0 or max(row.values()) >= TIMES


def test_the_bounds_fit_together():
    """Below `TIMES` of two nobody could ever insist; a reminder comes as the Event it repeats expires."""
    assert TIMES > 2
    assert FIRST_DELAY_S < QUIET_S < MAX_DELAY_S < loopbreaker._REMIND_S
