"""Keeps a warm parent ready for one set of settings: starts it, watches it, replaces it.

Promises: never more than one that takes runs; a parent that died, hangs, grew too large or is out of date is replaced,
each time with a reason told; a start that fails is tried again, ever less often. What a retired parent still runs, it
runs to the end.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from runner.clock import Clock
from runner.execution.job import Job
from runner.execution.warm import reasons
from runner.execution.warm.fingerprint import Fingerprint
from runner.execution.warm.observer import WarmObserver
from runner.execution.warm.parent import Loaded, ParentLost, Refused, WarmParent
from runner.logs import fields

__all__ = ["Keeper", "Limits"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a warm parent is replaced, and how long anybody waits for one. Durations in seconds."""

    start_s: float = 60.0
    """Until it is ready."""
    answer_s: float = 10.0
    """Until it answers; longer, and it hangs."""
    ping_every_s: float = 5.0
    patience_s: float = 5.0
    """How long a run waits for one that is loading before it takes the plain path."""
    runs: int = 1000
    """How many runs it forks."""
    growth: float = 1.5
    """How many times its first size it may reach."""
    pause_s: float = 1.0
    """After a start that failed; doubled each time."""
    most_pause_s: float = 60.0


class Keeper:
    """`run` does the work, in the owner's task group; `borrow` is for runs."""

    def __init__(
        self,
        *,
        job: Callable[[], Job],
        paths: Callable[[Iterable[str]], set[str]],
        lock_fd: int,
        clock: Clock,
        observer: WarmObserver,
        limits: Limits,
    ) -> None:
        """Args:
        job: makes a job like those that will run; asked for each parent.
        paths: from the files that a parent loaded to all paths that it depends on.
        """
        self._job = job
        self._paths = paths
        self._lock_fd = lock_fd
        self._clock = clock
        self._observer = observer
        self._limits = limits
        self._current: WarmParent | None = None
        self._fingerprint = Fingerprint(marks=())
        self._first_size = 0
        self._retired: set[WarmParent] = set()
        self._starting: WarmParent | None = None
        self._wanted = asyncio.Event()
        self._why = ""
        self._available = asyncio.Event()
        self.refusal = ""
        """Why there is none and will be none until something on disk changes; empty: there is hope."""

    @property
    def parents(self) -> list[WarmParent]:
        """Every process of ours that lives, for whoever has to kill them."""
        own = [parent for parent in (self._current, self._starting) if parent is not None]
        return [*own, *self._retired]

    async def borrow(self) -> WarmParent | None:
        """The parent to fork from now; `None`: none is ready within the time that a run may wait."""
        if self._current is not None and (changed := self._fingerprint.changed()):
            log.info("the warm parent is out of date", extra=fields(path=changed))
            self._discard(reasons.CONTENT)
        if self.refusal and self._fingerprint.changed():
            self.refusal = ""
            self._want(reasons.CONTENT)
        if self._current is None and not self.refusal:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.patience_s):
                    await self._available.wait()
        return self._current

    def give_back(self, parent: WarmParent) -> None:
        """A run has ended: see whether its parent should make room for a new one."""
        if parent is not self._current:
            return
        if parent.runs >= self._limits.runs:
            self._want(reasons.USED_UP)
        elif self._first_size and parent.resident_bytes() > self._first_size * self._limits.growth:
            self._want(reasons.GROWN)

    def distrust(self, parent: WarmParent, reason: str) -> None:
        """It did not answer: end it and all it runs."""
        parent.kill()
        if parent is self._current:
            self._discard(reason)

    async def run(self) -> None:
        """Keep one ready until cancelled; then none is left."""
        try:
            await self._keep()
        finally:
            await self._close_all()

    async def _keep(self) -> None:
        pause = self._limits.pause_s
        while True:
            if self._current is None or self._wanted.is_set():
                self._wanted.clear()
                if await self._replace():
                    pause = self._limits.pause_s
                elif self.refusal:
                    await self._wanted.wait()
                    continue
                else:
                    await self._clock.sleep(pause)
                    pause = min(2 * pause, self._limits.most_pause_s)
                    continue
            await self._watch()

    async def _replace(self) -> bool:
        began = self._clock.monotonic()
        try:
            parent = self._starting = await WarmParent.start(self._job(), lock_fd=self._lock_fd)
        except OSError as error:
            log.warning("no warm parent could be started", extra=fields(error=str(error)))
            return False
        try:
            loaded = await parent.ready(self._limits.start_s)
        except Refused as refused:
            self._refuse(str(refused))
            await parent.close()
            return False
        except ParentLost as lost:
            log.warning("no warm parent became ready", extra=fields(error=str(lost)))
            await parent.close()
            return False
        except asyncio.CancelledError:
            await parent.close()  # nobody else knows of it yet
            raise
        finally:
            self._starting = None
        self._adopt(parent, loaded)
        seconds = self._clock.monotonic() - began
        self._observer.ready(seconds)
        log.info(
            "the warm parent is ready",
            extra=fields(pid=parent.pid, seconds=round(seconds, 3), left_out=dict(loaded.skipped)),
        )
        return True

    def _adopt(self, parent: WarmParent, loaded: Loaded) -> None:
        old, self._current = self._current, parent
        self._fingerprint = Fingerprint.take(self._paths(loaded.files))
        self._first_size = parent.resident_bytes()
        self._available.set()
        if old is not None:
            self._retire(old)

    def _refuse(self, reason: str) -> None:
        self.refusal = reason
        self._fingerprint = Fingerprint.take(self._paths(()))
        self._available.set()
        log.warning("runs take the plain path", extra=fields(reason=reason))

    async def _watch(self) -> None:
        """Return when the parent has to be replaced."""
        parent = self._current
        while parent is not None and parent is self._current and not self._wanted.is_set():
            await self._pause(parent)
            self._bury_retired()
            if parent.lost.is_set():
                self._discard(reasons.DIED)
            elif parent is self._current and not self._wanted.is_set():
                try:
                    await parent.ping(self._limits.answer_s)
                except ParentLost as lost:
                    log.warning("the warm parent hangs", extra=fields(pid=parent.pid, error=str(lost)))
                    self.distrust(parent, reasons.DIED if parent.lost.is_set() else reasons.HUNG)

    async def _pause(self, parent: WarmParent) -> None:
        """Wait until it is time to look again, or something happened."""
        waits = [
            asyncio.create_task(parent.lost.wait(), name="warm parent lost"),
            asyncio.create_task(self._wanted.wait(), name="warm parent wanted"),
            asyncio.create_task(self._clock.sleep(self._limits.ping_every_s), name="warm parent ping"),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)

    def _want(self, reason: str) -> None:
        if not self._wanted.is_set():
            self._observer.restarted(reason)
            self._wanted.set()

    def _discard(self, reason: str) -> None:
        """Take no more runs to the current parent; what it runs it may finish, if it still can."""
        parent, self._current = self._current, None
        self._available.clear()
        if parent is not None:
            self._retire(parent)
        self._want(reason)

    def _retire(self, parent: WarmParent) -> None:
        parent.retire()
        self._retired.add(parent)

    def _bury_retired(self) -> None:
        self._retired = {parent for parent in self._retired if not parent.lost.is_set()}

    async def _close_all(self) -> None:
        for parent in self.parents:
            await parent.close()
        self._current = None
        self._retired.clear()
