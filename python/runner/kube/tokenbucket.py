"""A limit on how many requests a second are sent, as client-go has it: so many a second, and bursts up to a size.

Promises: over any span of time no more than the burst and the rate times the span; first come, first served. Off by
default, because the API server's own priority and fairness serves everybody better than a guess made here.
"""

import asyncio

from runner.clock import Clock

__all__ = ["TokenBucket"]


class TokenBucket:
    """Fills at `qps` tokens a second, up to `burst`; each request takes one."""

    def __init__(self, *, qps: float, burst: int, clock: Clock) -> None:
        """Args:
        qps: requests a second, above 0.
        burst: requests that may follow each other at once after a quiet while, from 1.
        """
        self._qps = qps
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock.monotonic()
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Wait until one more request may be sent. Who gives up while waiting lets those behind move up."""
        async with self._turn:
            self._fill()
            if self._tokens < 1:
                await self._clock.sleep((1 - self._tokens) / self._qps)
                self._fill()
            self._tokens -= 1

    def _fill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._qps)
        self._filled_at = now
