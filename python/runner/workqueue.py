"""Which key to work on next, and that nobody else works on it meanwhile. Knows nothing of Kubernetes.

Promises:
- never two holders of one key: between `get` and `done` a key is handed to nobody else;
- an add while a key is held runs it once more after `done`, however many adds there were;
- no add is lost, and a delayed one becomes ready at its instant, the earliest of those asked for;
- nothing is handed out after `shut_down`.

Keys come out in the order in which they became ready. Does not persist, does not limit how often a key runs beyond
the back-off of `add_rate_limited`, and starts no task that outlives the `get` it serves. All calls belong to one loop.

A key is in at most one of `_ready` and `_held`, and in `_again` only while held; `_due` is independent of the three.
A second lane for periodic resyncs would be one more deque, filled in `_make_ready` and read in `_take`.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Hashable
from typing import Protocol

from runner.clock import Clock

__all__ = ["QueueObserver", "ShutDown", "WorkQueue"]

_STALE_ENTRIES = 64
"""Superseded heap entries that are not worth a clean-up."""
_DOUBLINGS = 60
"""Beyond this many failures a back-off has reached any sensible maximum; it keeps the power a float."""


class ShutDown(Exception):  # noqa: N818 - reads as what happened
    """The queue was shut down: there is no more work."""


class QueueObserver(Protocol):
    """What metrics hear of a queue. Must not raise."""

    def depth(self, keys: int) -> None:
        """That many keys are ready now."""

    def added(self) -> None:
        """A key became ready, or will once more after `done`."""

    def retried(self) -> None:
        """A key was added with back-off."""

    def taken(self, waited_s: float) -> None:
        """A key was handed out that had been ready for so long."""

    def finished(self, worked_s: float) -> None:
        """A key was given back after so long."""


class _Unobserved:
    def depth(self, keys: int) -> None:
        pass

    def added(self) -> None:
        pass

    def retried(self) -> None:
        pass

    def taken(self, waited_s: float) -> None:
        pass

    def finished(self, worked_s: float) -> None:
        pass


_UNOBSERVED = _Unobserved()


class WorkQueue[K: Hashable]:
    """A set of keys with delay, per-key back-off and hold-while-working."""

    def __init__(
        self,
        *,
        clock: Clock,
        base_delay_s: float = 0.005,
        max_delay_s: float = 1000.0,
        observer: QueueObserver = _UNOBSERVED,
    ) -> None:
        """Args:
        base_delay_s: delay after a key's first failure; doubles with each further one.
        max_delay_s: bound of that delay.
        """
        self._clock = clock
        self._base_delay_s = base_delay_s
        self._max_delay_s = max_delay_s
        self._observer = observer
        self._ready: deque[K] = deque()
        self._ready_since: dict[K, float] = {}
        self._held: dict[K, float] = {}
        self._again: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._failures: dict[K, int] = {}
        self._waiters: set[asyncio.Future[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Keys ready to be taken."""
        self._promote_due()
        return len(self._ready)

    @property
    def delayed(self) -> int:
        """Keys that wait for their instant."""
        self._promote_due()
        return len(self._due)

    def unfinished_s(self) -> list[float]:
        """For how many seconds each held key has been worked on; metrics sum it and take its maximum."""
        now = self._clock.monotonic()
        return [now - since for since in self._held.values()]

    def add(self, key: K) -> None:
        """Make a key ready now. A delayed add of the same key stays as it is."""
        if self._closed:
            return
        self._promote_due()
        self._make_ready(key, since=self._clock.monotonic())

    def add_after(self, key: K, seconds: float) -> None:
        """Make a key ready in so many seconds; of several such wishes for one key the earliest wins."""
        if seconds <= 0:
            self.add(key)
            return
        if self._closed:
            return
        due = self._clock.monotonic() + seconds
        known = self._due.get(key)
        if known is not None and known <= due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        self._drop_superseded()
        if self._heap[0][2] == key:
            self._wake()  # whoever waits, waits for a later instant

    def add_rate_limited(self, key: K, *, at_least_s: float = 0.0) -> float:
        """Make a key ready after its back-off, or after `at_least_s` if that is longer; return the delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        backoff_s = self._base_delay_s * 2.0 ** min(failures, _DOUBLINGS)
        delay_s = min(max(backoff_s, at_least_s), self._max_delay_s)
        self._observer.retried()
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: K) -> None:
        """Start a key's back-off anew; what is ready or delayed stays so."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often a key was rate limited since it was last forgotten."""
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """Wait for a key and hold it until `done`.

        Raises:
            ShutDown: there will be none.
        """
        while True:
            if self._closed:
                raise ShutDown
            self._promote_due()
            if self._ready:
                return self._take()
            await self._wait()

    def done(self, key: K) -> None:
        """Give a key back; it becomes ready at once if it was added meanwhile.

        Raises:
            KeyError: nobody holds it.
        """
        now = self._clock.monotonic()
        self._observer.finished(now - self._held.pop(key))
        self._promote_due()
        if key in self._again:
            self._again.remove(key)
            if not self._closed:
                self._enqueue(key, since=now)

    def shut_down(self) -> None:
        """Hand out nothing more: each `get` raises, adds are ignored, what was ready or delayed is dropped."""
        self._closed = True
        self._ready.clear()
        self._ready_since.clear()
        self._again.clear()
        self._due.clear()
        self._heap.clear()
        self._observer.depth(0)
        self._wake()

    def _make_ready(self, key: K, *, since: float) -> None:
        if key in self._ready_since or key in self._again:
            return
        self._observer.added()
        if key in self._held:
            self._again.add(key)
        else:
            self._enqueue(key, since=since)

    def _enqueue(self, key: K, *, since: float) -> None:
        self._ready.append(key)
        self._ready_since[key] = since
        self._observer.depth(len(self._ready))
        self._wake()

    def _take(self) -> K:
        now = self._clock.monotonic()
        key = self._ready.popleft()
        self._held[key] = now
        self._observer.taken(now - self._ready_since.pop(key))
        self._observer.depth(len(self._ready))
        return key

    def _promote_due(self) -> None:
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self._make_ready(key, since=due)

    def _drop_superseded(self) -> None:
        # A long period superseded by a short back-off, again and again, must not pile up until the period ends.
        if len(self._heap) > 2 * len(self._due) + _STALE_ENTRIES:
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def _wake(self) -> None:
        # Everyone who waits, not one of them: a wake-up given to a waiter that is being cancelled would be lost.
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _wait(self) -> None:
        """Return when something changed or the next delayed key is due."""
        changed = asyncio.get_running_loop().create_future()
        self._waiters.add(changed)
        try:
            if self._heap:
                await self._wait_until(self._heap[0][0], changed)
            else:
                await changed
        finally:
            self._waiters.discard(changed)

    async def _wait_until(self, due: float, changed: asyncio.Future[None]) -> None:
        sleep = self._clock.sleep(due - self._clock.monotonic())
        timer = asyncio.create_task(sleep, name="workqueue timer")
        try:
            await asyncio.wait({changed, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            await asyncio.wait({timer})
