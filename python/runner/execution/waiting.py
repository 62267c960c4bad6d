"""Waiting for something with a deadline on an injected clock."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from runner.clock import Clock

__all__ = ["within"]


async def within(seconds: float | None, work: Coroutine[Any, Any, None], *, clock: Clock, name: str) -> bool:
    """Do `work`, but no longer than that; whoever waits is never left with a task behind.

    Args:
        seconds: of the clock; `None`: as long as it takes.
        work: what to do; cancelled when the time is up or the caller is cancelled.
        clock: counts the seconds, those of a suspended machine too.
        name: of the tasks, for people who debug.

    Returns:
        Whether the work came to its end. What it raised is raised.
    """
    if seconds is None:
        await work
        return True
    working = asyncio.create_task(work, name=name)
    timer = asyncio.create_task(_until(clock.monotonic() + seconds, clock), name=f"timeout of {name}")
    try:
        await asyncio.wait({working, timer}, return_when=asyncio.FIRST_COMPLETED)
        in_time = working.done()
    finally:
        timer.cancel()
        working.cancel()
        await asyncio.wait({working, timer})
    if in_time:
        working.result()
    return in_time


async def _until(deadline: float, clock: Clock) -> None:
    while (left := deadline - clock.monotonic()) > 0:
        await clock.sleep(left)
