"""Which key to work on next, and that nobody else works on it meanwhile. Knows nothing of Kubernetes.

Promises:
- never two holders of one key: between `get` and `done` a key is handed to nobody else;
- an add while a key is held runs it once more after `done`, however many adds there were;
- no add is lost, and a delayed one becomes ready at its instant, the earliest of those asked for;
- changes go ahead of routine, as `lanes` says; of several wishes for one key the more urgent lane wins;
- nothing is handed out after `shut_down`.

Does not persist, does not limit how often a key runs beyond the back-off of `add_rate_limited`, and starts no task
that outlives the `get` it serves. All calls belong to one loop.

A key is in at most one of `_ready` and `_held`, and in `_again` only while held; `_due` is independent of the three.
"""

import asyncio
import heapq
import itertools
from collections.abc import Hashable
from typing import NamedTuple, Protocol

from runner.clock import Clock
from runner.workqueue.lanes import Lane, Lanes

__all__ = ["QueueObserver", "ShutDown", "WorkQueue"]

_STALE_ENTRIES = 64
"""Superseded heap entries that are not worth a clean-up."""
_DOUBLINGS = 60
"""Beyond this many failures a back-off has reached any sensible maximum; it keeps the power a float."""


class _Delayed(NamedTuple):
    due: float
    lane: Lane


class _Held(NamedTuple):
    since: float
    lane: Lane


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
        self._ready: Lanes[K] = Lanes()
        self._held: dict[K, _Held] = {}
        self._again: dict[K, Lane] = {}
        self._due: dict[K, _Delayed] = {}
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
        return [now - held.since for held in self._held.values()]

    def add(self, key: K, lane: Lane = Lane.CHANGES) -> None:
        """Make a key ready now. A delayed add of the same key stays as it is."""
        if self._closed:
            return
        self._promote_due()
        self._make_ready(key, lane, since=self._clock.monotonic())

    def add_after(self, key: K, seconds: float, lane: Lane = Lane.ROUTINE) -> None:
        """Make a key ready in so many seconds; of several such wishes for one key the earliest wins."""
        if seconds <= 0:
            self.add(key, lane)
            return
        if self._closed:
            return
        due = self._clock.monotonic() + seconds
        known = self._due.get(key)
        if known is not None:
            lane = min(lane, known.lane)
            if known.due <= due:
                self._due[key] = known._replace(lane=lane)
                return
        self._due[key] = _Delayed(due, lane)
        heapq.heappush(self._heap, (due, next(self._order), key))
        self._drop_superseded()
        if self._heap[0][2] == key:
            self._wake()  # whoever waits, waits for a later instant

    def add_rate_limited(self, key: K, *, at_least_s: float = 0.0) -> float:
        """Make a key ready after its back-off, or after `at_least_s` if that is longer; return the delay.

        A key that is held comes back in the lane it was taken from: an edit that fails does not become routine.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        backoff_s = self._base_delay_s * 2.0 ** min(failures, _DOUBLINGS)
        delay_s = min(max(backoff_s, at_least_s), self._max_delay_s)
        self._observer.retried()
        held = self._held.get(key)
        self.add_after(key, delay_s, held.lane if held else Lane.CHANGES)
        return delay_s

    def forget(self, key: K) -> None:
        """Start a key's back-off anew; what is ready or delayed stays so."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often a key was rate limited since it was last forgotten."""
        return self._failures.get(key, 0)

    async def ready(self) -> None:
        """Wait until a key could be taken; the next `get` returns at once, unless another one comes first.

        Raises:
            ShutDown: there will be none.
        """
        while not self._closed:
            self._promote_due()
            if self._ready:
                return
            await self._wait()
        raise ShutDown

    async def get(self) -> K:
        """Wait for a key and hold it until `done`.

        Raises:
            ShutDown: there will be none.
        """
        await self.ready()
        return self._take()

    def done(self, key: K) -> None:
        """Give a key back; it becomes ready at once if it was added meanwhile.

        Raises:
            KeyError: nobody holds it.
        """
        now = self._clock.monotonic()
        self._promote_due()
        self._observer.finished(now - self._held.pop(key).since)
        again = self._again.pop(key, None)
        if again is not None and not self._closed:
            self._enqueue(key, again, since=now)

    def shut_down(self) -> None:
        """Hand out nothing more: each `get` raises, adds are ignored, what was ready or delayed is dropped."""
        self._closed = True
        self._ready.clear()
        self._again.clear()
        self._due.clear()
        self._heap.clear()
        self._observer.depth(0)
        self._wake()

    def _make_ready(self, key: K, lane: Lane, *, since: float) -> None:
        if key in self._held:
            if key not in self._again:
                self._observer.added()
            self._again[key] = min(lane, self._again.get(key, lane))
        elif key in self._ready:
            self._ready.put(key, lane, since=since)  # the lane may be a more urgent one
        else:
            self._observer.added()
            self._enqueue(key, lane, since=since)

    def _enqueue(self, key: K, lane: Lane, *, since: float) -> None:
        self._ready.put(key, lane, since=since)
        self._observer.depth(len(self._ready))
        self._wake()

    def _take(self) -> K:
        now = self._clock.monotonic()
        key, lane, since = self._ready.take()
        self._held[key] = _Held(now, lane)
        self._observer.taken(now - since)
        self._observer.depth(len(self._ready))
        return key

    def _promote_due(self) -> None:
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            delayed = self._due.get(key)
            if delayed is not None and delayed.due == due:
                del self._due[key]
                self._make_ready(key, delayed.lane, since=due)

    def _drop_superseded(self) -> None:
        # A long period superseded by a short back-off, again and again, must not pile up until the period ends.
        if len(self._heap) > 2 * len(self._due) + _STALE_ENTRIES:
            self._heap = [entry for entry in self._heap if (known := self._due.get(entry[2])) and known.due == entry[0]]
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
