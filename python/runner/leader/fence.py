"""Whether we may still write, and what ends us when we may not: the fence and its watchdog.

Promises: a fence says no from its deadline on, whatever else hangs; the watchdog acts on that without the event loop.
Does not: talk to the API server, or know how a Lease is won (`leader` does).
"""

import dataclasses
import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from runner.clock import Clock
from runner.kube.errors import Fenced
from runner.logs import fields

__all__ = ["Fence", "Watchdog"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Hold:
    until: float
    lead_s: float
    """Wall clock less monotonic when the fence was extended."""
    dropped: bool = False


class Fence:
    """Whether the lease is surely ours at this instant. Any thread may ask; only the elector extends.

    A hold is one immutable value that is replaced, so no lock is held and a stuck event loop cannot make it last.
    Where the wall clock has gained more than `jump_s` on the monotonic one, the machine may have stood still without
    noticing (a paused virtual machine): the fence refuses until the elector has renewed once more.
    """

    def __init__(self, *, clock: Clock, jump_s: float) -> None:
        self._clock = clock
        self._jump_s = jump_s
        self._hold: _Hold | None = None

    @classmethod
    def open(cls, *, clock: Clock) -> Self:
        """Without leader election: holds always."""
        fence = cls(clock=clock, jump_s=math.inf)
        fence.extend(math.inf)
        return fence

    def extend(self, until: float) -> None:
        """Hold until that instant. Count from when the renewal was sent: it may have taken effect right then."""
        self._hold = _Hold(until, self._lead_s())

    def drop(self) -> None:
        """Refuse from now on. The deadline stands, so the watchdog still ends a process that does not stop in time."""
        hold = self._hold
        if hold is not None:
            self._hold = dataclasses.replace(hold, dropped=True)

    def holds(self) -> bool:
        hold = self._hold
        return (
            hold is not None
            and not hold.dropped
            and self._clock.monotonic() < hold.until
            and self._lead_s() - hold.lead_s <= self._jump_s
        )

    def check(self) -> None:
        """Pass, or raise `Fenced`."""
        if not self.holds():
            raise Fenced("the lease is no longer surely ours")

    def in_doubt(self) -> bool:
        """Not lapsed, but the wall clock jumped ahead: a renewal would settle it."""
        hold = self._hold
        return hold is not None and not hold.dropped and self._lead_s() - hold.lead_s > self._jump_s

    def deadline(self) -> float | None:
        """The instant by which whatever acts under this fence must have ended; `None`: it never held."""
        hold = self._hold
        return None if hold is None else hold.until

    def _lead_s(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


class Watchdog:
    """A thread that calls `on_lapse` once, when the fence's deadline has passed; it needs no event loop.

    It also runs its course after `Fence.drop`, so call `stop` as soon as nothing acts under the fence any more. Code
    that keeps the interpreter lock keeps this thread from running too.
    """

    def __init__(
        self,
        fence: Fence,
        on_lapse: Callable[[], None],
        *,
        clock: Clock,
        wait: Callable[[float], bool] | None = None,
        period_s: float = 0.2,
    ) -> None:
        """Args:
        on_lapse: kills what must not go on and ends the process; runs on this thread.
        wait: sleeps that many seconds, true as soon as it is to stop. By default until `stop` is called.
        period_s: looks at least that often, because a sleep does not count the time a machine is suspended.
        """
        self._fence = fence
        self._on_lapse = on_lapse
        self._clock = clock
        self._period_s = period_s
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._thread = threading.Thread(target=self._run, name="lease-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for that. Harmless if it was never started, or from `on_lapse` itself."""
        self._stopped.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            deadline = self._fence.deadline()
            left = math.inf if deadline is None else deadline - self._clock.monotonic()
            if left <= 0:
                self._fence.drop()
                logger.error("lease not renewed in time, ending this process", extra=fields(late_s=round(-left, 3)))
                self._on_lapse()
                return
            if self._wait(min(left, self._period_s)):
                return
