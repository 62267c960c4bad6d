"""How many reconciles go on at once, over all kinds: slots that whoever works holds meanwhile.

Promises: never more holders than slots; a slot that is freed goes to whoever has waited longest; who is cancelled while
waiting takes none with him. Does not know kinds: each controller waits for one slot at a time, so slots go round the
kinds that have work, however many objects of one of them wait.
"""

import asyncio

__all__ = ["Slots"]


class Slots:
    """All calls belong to one loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._free = asyncio.Semaphore(limit)
        self._in_use = 0
        self._waiting = 0

    @property
    def in_use(self) -> int:
        return self._in_use

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return self._waiting

    async def acquire(self) -> None:
        """Wait for a slot and hold it until `release`."""
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        self._in_use += 1

    def release(self) -> None:
        """Give a slot back."""
        self._in_use -= 1
        self._free.release()
