"""Timeouts count the injected clock's seconds and leave no task behind."""

import asyncio

import pytest

from fakes import FakeClock
from runner.execution.waiting import within


async def forever() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    pass


async def test_work_in_time_is_told() -> None:
    clock = FakeClock()
    assert await within(5, nothing(), clock=clock, name="w")
    assert await within(None, nothing(), clock=clock, name="w")
    assert len(asyncio.all_tasks()) == 1


async def test_work_is_stopped_when_the_time_is_up() -> None:
    clock = FakeClock()
    waiting = asyncio.create_task(within(5, forever(), clock=clock, name="w"))
    await clock.advance(4.9)
    assert not waiting.done()
    await clock.advance(0.1)
    assert await waiting is False
    assert len(asyncio.all_tasks()) == 1


async def test_a_caller_that_is_cancelled_leaves_nothing_running() -> None:
    clock = FakeClock()
    waiting = asyncio.create_task(within(5, forever(), clock=clock, name="w"))
    await clock.advance(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(asyncio.all_tasks()) == 1


async def test_what_the_work_raises_is_raised() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await within(5, fail(), clock=FakeClock(), name="w")
