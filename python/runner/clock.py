"""Time, injected. Durations are float seconds, instants are aware UTC.

`monotonic` is CLOCK_BOOTTIME: unlike CLOCK_MONOTONIC it goes on while the machine is suspended, so a lease that
lapsed during a suspend is seen as lapsed. The event loop's timers stand still meanwhile; `sleep` makes up for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock", "sleep_in_steps"]

_STEP_S = 10.0
"""How late a sleep may end after the machine was suspended."""


class Clock(Protocol):
    """What the machinery needs to know of time; `tests/fakes.py` has one that a test moves by hand."""

    def monotonic(self) -> float:
        """Seconds since some fixed point; never goes back."""

    def now(self) -> datetime:
        """The wall clock, for display and for records that others read; never for deadlines."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of `monotonic`."""


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await sleep_in_steps(seconds, monotonic=self.monotonic, pause=asyncio.sleep)


async def sleep_in_steps(
    seconds: float, *, monotonic: Callable[[], float], pause: Callable[[float], Awaitable[None]]
) -> None:
    """Return after that many seconds of `monotonic`, though `pause` may count fewer: look again every 10 s."""
    end = monotonic() + seconds
    await pause(min(max(seconds, 0.0), _STEP_S))
    while (left := end - monotonic()) > 0:
        await pause(min(left, _STEP_S))
