"""Order of start and stop: whatever ends the process, the Lease goes last and no run is left alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fakes import FakeClock, settle
from runner.informer.pool import InformerPool
from runner.leader.elector import LeadershipLost
from runner.manager import ExitCode, Leadership, Manager, Parts


class Diary:
    """What happened, in order."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def note(self, entry: str) -> None:
        self.entries.append(entry)


class Server:
    def __init__(self, name: str, diary: Diary) -> None:
        self._name, self._diary = name, diary

    async def start(self) -> None:
        self._diary.note(f"{self._name} starts")

    async def stop(self) -> None:
        self._diary.note(f"{self._name} stops")


class Controller:
    """Works until stopped; `run_s` is how long the run in flight goes on after that."""

    def __init__(self, diary: Diary, clock: FakeClock) -> None:
        self._diary, self._clock = diary, clock
        self._stopped = asyncio.Event()
        self.run_s = 0.0
        self.broken: Exception | None = None

    async def run(self) -> None:
        self._diary.note("controller starts")
        try:
            if self.broken:
                raise self.broken
            await self._stopped.wait()
            await self._clock.sleep(self.run_s)
            self._diary.note("runs end")
        except asyncio.CancelledError:
            self._diary.note("runs are killed")
            raise

    def stop(self) -> None:
        self._diary.note("controller is stopped")
        self._stopped.set()


class Elector:
    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self.may_lead = asyncio.Event()
        self.loses = asyncio.Event()
        self.broken: Exception | None = None

    async def acquire(self) -> None:
        if self.broken:
            raise self.broken
        await self.may_lead.wait()
        self._diary.note("lease acquired")

    async def hold(self) -> None:
        await self.loses.wait()
        raise LeadershipLost("stolen")

    async def release(self) -> bool:
        self._diary.note("lease released")
        return True


class Watchdog:
    def __init__(self, diary: Diary) -> None:
        self._diary = diary

    def start(self) -> None:
        self._diary.note("watchdog starts")

    def stop(self) -> None:
        self._diary.note("watchdog stops")


class World:
    """A manager whose parts write a diary."""

    def __init__(self, *, elect: bool = True) -> None:
        self.diary = Diary()
        self.clock = FakeClock()
        self.controller = Controller(self.diary, self.clock)
        self.elector = Elector(self.diary)
        self.pool = InformerPool()
        self.pool.add("informer", self._informer)
        leadership: Any = Leadership(elector=self.elector, watchdog=Watchdog(self.diary))  # type: ignore[arg-type]
        self.manager = Manager(
            Parts(
                servers=[Server("probes", self.diary), Server("gateway", self.diary)],
                informers=self.pool,
                controllers=[self.controller],
                leadership=leadership if elect else None,
                kill_runs=lambda: self.diary.note("all runs killed"),
                close=self._close,
            ),
            grace_s=30,
            clock=self.clock,
        )

    async def _informer(self) -> None:
        self.diary.note("informer starts")
        try:
            await asyncio.Event().wait()
        finally:
            self.diary.note("informer ends")

    async def _close(self) -> None:
        self.diary.note("closed")

    async def start(self) -> "asyncio.Task[ExitCode]":
        task = asyncio.create_task(self.manager.run())
        await settle()
        return task


STARTED = ["probes starts", "gateway starts", "informer starts"]
ENDED = ["informer ends", "gateway stops", "probes stops", "closed"]


async def test_without_election_it_works_until_stopped() -> None:
    world = World(elect=False)
    task = await world.start()
    world.manager.request_stop()
    assert await task is ExitCode.OK
    assert world.diary.entries == [*STARTED, "controller starts", "controller is stopped", "runs end", *ENDED]


async def test_nothing_works_before_the_lease_is_held() -> None:
    world = World()
    task = await world.start()
    assert world.diary.entries == STARTED
    world.elector.may_lead.set()
    await settle()
    assert world.diary.entries[len(STARTED) :] == ["lease acquired", "watchdog starts", "controller starts"]
    world.manager.request_stop()
    await task


async def test_the_lease_is_released_after_the_last_run() -> None:
    """Until then another leader would act beside us."""
    world = World()
    world.elector.may_lead.set()
    world.controller.run_s = 10
    task = await world.start()
    world.manager.request_stop()
    await settle()
    assert "lease released" not in world.diary.entries
    await world.clock.advance(10)
    assert await task is ExitCode.OK
    tail = world.diary.entries[world.diary.entries.index("controller is stopped") :]
    assert tail == ["controller is stopped", "runs end", "watchdog stops", "lease released", *ENDED]


async def test_runs_that_outlast_the_grace_are_killed_before_the_lease_goes() -> None:
    world = World()
    world.elector.may_lead.set()
    world.controller.run_s = 1000
    task = await world.start()
    world.manager.request_stop()
    await world.clock.advance(29.9)
    assert "runs are killed" not in world.diary.entries
    await world.clock.advance(0.2)
    assert await task is ExitCode.OK
    entries = world.diary.entries
    assert entries.index("runs are killed") < entries.index("lease released")


async def test_a_second_request_does_not_wait() -> None:
    world = World()
    world.elector.may_lead.set()
    world.controller.run_s = 1000
    task = await world.start()
    world.manager.request_stop()
    world.manager.request_stop()
    assert await task is ExitCode.OK
    assert "runs are killed" in world.diary.entries


async def test_a_standby_stops_at_once_and_gives_up_what_it_may_just_have_got() -> None:
    world = World()
    task = await world.start()
    world.manager.request_stop()
    assert await task is ExitCode.OK
    assert world.diary.entries == [*STARTED, "lease released", *ENDED]


async def test_a_lost_lease_kills_every_run_and_is_a_failure() -> None:
    world = World()
    world.elector.may_lead.set()
    task = await world.start()
    world.elector.loses.set()
    assert await task is ExitCode.LEADERSHIP_LOST
    assert "all runs killed" in world.diary.entries
    assert "lease released" not in world.diary.entries


async def test_a_lease_lost_while_stopping_is_a_failure_too() -> None:
    world = World()
    world.elector.may_lead.set()
    world.controller.run_s = 1000
    task = await world.start()
    world.manager.request_stop()
    await settle()
    world.elector.loses.set()
    assert await task is ExitCode.LEADERSHIP_LOST
    assert "all runs killed" in world.diary.entries


@pytest.mark.parametrize("breaks", [lambda w: setattr(w.controller, "broken", RuntimeError("defect"))])
async def test_a_controller_that_breaks_does_not_pass_for_a_stop(breaks: Callable[[World], Awaitable[None]]) -> None:
    world = World(elect=False)
    breaks(world)
    task = await world.start()
    with pytest.raises(ExceptionGroup):
        await task


async def test_an_elector_that_breaks_does_not_pass_for_leadership() -> None:
    world = World()
    world.elector.broken = RuntimeError("defect")
    task = await world.start()
    with pytest.raises(ExceptionGroup):
        await task
    assert "controller starts" not in world.diary.entries


async def test_an_informer_added_later_runs_too() -> None:
    world = World(elect=False)
    task = await world.start()
    started = asyncio.Event()

    async def late() -> None:
        started.set()
        await asyncio.Event().wait()

    world.pool.add("late", late)
    await settle()
    assert started.is_set()
    world.manager.request_stop()
    await task
