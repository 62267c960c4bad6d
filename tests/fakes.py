"""Doubles that tests pass in where a part takes a clock or a client. They refuse what they do not know."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

__all__ = ["FakeClock"]


class FakeClock:
    """Time that only `advance` moves. Sleepers wake in the order of their deadlines, ties in the order of arrival."""

    def __init__(self, start: float = 1000.0, wall: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._wall = wall
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        return self._now

    def now(self) -> datetime:
        return self._wall

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back without any time passing."""
        self._wall += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Let that much time pass, waking each sleeper at its own instant and letting it run until it waits again."""
        end = self._now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            self._move_to(due)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self._move_to(end)
        await settle()

    def _move_to(self, instant: float) -> None:
        self._wall += timedelta(seconds=max(0.0, instant - self._now))
        self._now = max(self._now, instant)


async def settle(rounds: int = 50) -> None:
    """Let every ready task run until all of them wait for something."""
    for _ in range(rounds):
        await asyncio.sleep(0)
