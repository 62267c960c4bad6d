"""What tells the metrics: an observer for each part that has something to tell.

Promises: label values come from closed sets (kinds that are watched, outcomes), never from an object's name or text,
and each series of a kind is there from the start, at zero. Nothing here raises at those who tell.
"""

import math
from collections.abc import Callable, Collection
from typing import Protocol

from runner.clock import Clock
from runner.metrics.families import ControllerFamilies, OperatorFamilies, QueueFamilies, RunFamilies
from runner.objects import GroupVersionKind, RunId

__all__ = [
    "OTHER",
    "RESULTS",
    "TROUBLES",
    "VERDICTS",
    "ControllerMetrics",
    "Ended",
    "InformerMetrics",
    "LeaderMetrics",
    "QueueMetrics",
    "RunMetrics",
    "known",
]

# Closed sets are written out because the layers go one way; a test compares them with the parts'.
_SUCCEEDED, _CANCELLED = "Succeeded", "RunCancelled"
_FAILURES = ("TaskFailed", "HostUnreachable", "RunBroken", "RunKilled", "RunTimeout")
VERDICTS = (_SUCCEEDED, *_FAILURES, _CANCELLED)
RESULTS = ("success", "error", "requeue", "requeue_after")
TROUBLES = ("not_served", "forbidden", "expired", "unreachable", "error")
_EVENTS = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")
OTHER = "other"


def known(value: str, closed: Collection[str]) -> str:
    """Return the value, or `other` where it is none of the set."""
    return value if value in closed else OTHER


class QueueMetrics:
    """A `workqueue.QueueObserver`."""

    def __init__(self, families: QueueFamilies, name: str) -> None:
        labels = {"name": name, "controller": name}
        self._depth = families.depth.labels(**labels)
        self._adds = families.adds.labels(**labels)
        self._retries = families.retries.labels(**labels)
        self._waited = families.waited.labels(**labels)
        self._worked = families.worked.labels(**labels)
        self._unfinished = families.unfinished.labels(**labels)
        self._longest = families.longest.labels(**labels)

    def follow(self, unfinished_s: Callable[[], list[float]]) -> None:
        """Ask that, at each scrape, how long each held key has been worked on: `WorkQueue.unfinished_s`."""
        self._unfinished.set_function(lambda: math.fsum(unfinished_s()))
        self._longest.set_function(lambda: max(unfinished_s(), default=0.0))

    def depth(self, keys: int) -> None:
        self._depth.set(keys)

    def added(self) -> None:
        self._adds.inc()

    def retried(self) -> None:
        self._retries.inc()

    def taken(self, waited_s: float) -> None:
        self._waited.observe(waited_s)

    def finished(self, worked_s: float) -> None:
        self._worked.observe(worked_s)


class ControllerMetrics:
    """A `controller.ControllerObserver`."""

    def __init__(self, families: ControllerFamilies, name: str, *, workers: int) -> None:
        families.workers.labels(controller=name).set(workers)
        self._total = {result: families.total.labels(controller=name, result=result) for result in RESULTS}
        self._errors = families.errors.labels(controller=name)
        self._terminal = families.terminal.labels(controller=name)
        self._panics = families.panics.labels(controller=name)
        self._time = families.time.labels(controller=name)
        self._active = families.active.labels(controller=name)

    def started(self) -> None:
        self._active.inc()

    def ended(self, outcome: str, seconds: float) -> None:
        """Counted as controller-runtime does: whatever failed is an error too. Cut off by our own end is nothing."""
        self._active.dec()
        if outcome == "cancelled":
            return
        self._time.observe(seconds)
        if outcome in self._total and outcome != "error":
            self._total[outcome].inc()
            return
        self._total["error"].inc()
        self._errors.inc()
        if outcome == "terminal":
            self._terminal.inc()
        elif outcome == "panic":
            self._panics.inc()


class Ended(Protocol):
    """The part of a `RunOutcome` that is counted."""

    @property
    def verdict(self) -> str: ...


class RunMetrics:
    """A `reconciler.ReconcileObserver`: the runs of one kind."""

    def __init__(self, families: RunFamilies, gvk: GroupVersionKind, *, clock: Clock) -> None:
        label = str(gvk)
        self._clock = clock
        self._started: dict[RunId, float] = {}
        self._seconds = families.seconds.labels(GVK=label)
        self._results = {r: families.results.labels(GVK=label, result=r) for r in ("succeeded", "failed")}
        self._verdicts = {v: families.verdicts.labels(GVK=label, verdict=v) for v in (*VERDICTS, OTHER)}
        # A second watch of a kind would have a second observer; the wiring makes one for each kind.
        families.in_flight.labels(GVK=label).set_function(lambda: len(self._started))
        families.oldest.labels(GVK=label).set_function(self._oldest_s)

    def run_started(self, run_id: RunId) -> None:
        self._started[run_id] = self._clock.monotonic()

    def run_finished(self, run_id: RunId, outcome: Ended | None) -> None:
        """Without an outcome the run was cut off: it counts as cancelled, and as neither success nor failure."""
        started = self._started.pop(run_id, None)
        if outcome is None:
            self._verdicts[_CANCELLED].inc()
            return
        self._verdicts[known(outcome.verdict, VERDICTS)].inc()
        self._results["succeeded" if outcome.verdict == _SUCCEEDED else "failed"].inc()
        if started is not None:
            self._seconds.observe(self._clock.monotonic() - started)

    def _oldest_s(self) -> float:
        return self._clock.monotonic() - min(self._started.values()) if self._started else 0.0


class InformerMetrics:
    """An `informer.InformerObserver`; several of one kind add up."""

    def __init__(self, families: OperatorFamilies, gvk: GroupVersionKind) -> None:
        label = str(gvk)
        self._objects = families.objects.labels(GVK=label)
        self._held = 0
        self._lists = families.lists.labels(GVK=label)
        self._events = {event: families.events.labels(GVK=label, type=event) for event in (*_EVENTS, OTHER)}
        self._troubles = {t: families.troubles.labels(GVK=label, trouble=t) for t in (*TROUBLES, OTHER)}
        self._misread = families.misread.labels(GVK=label)

    def listed(self, objects: int, seconds: float) -> None:  # noqa: ARG002 - the observer's signature
        self._lists.inc()

    def held(self, objects: int) -> None:
        if objects != self._held:
            self._objects.inc(objects - self._held)
            self._held = objects

    def received(self, event: str) -> None:
        self._events[known(event, _EVENTS)].inc()

    def failed(self, trouble: str) -> None:
        self._troubles[known(trouble, TROUBLES)].inc()

    def panicked(self) -> None:
        self._misread.inc()


class LeaderMetrics:
    """A `leader.LeaderObserver`."""

    def __init__(self, families: ControllerFamilies, lease: str) -> None:
        self._master = families.master.labels(name=lease)
        self._slowpath = families.slowpath.labels(name=lease)

    def leading(self, leading: bool) -> None:  # noqa: FBT001 - the observer's signature
        self._master.set(leading)

    def slow_path(self) -> None:
        self._slowpath.inc()
