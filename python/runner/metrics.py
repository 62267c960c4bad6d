"""Every metric of the operator: its name, its labels, and who tells it what.

Names, labels and buckets are those of Operator SDK 1.42 and controller-runtime 0.21, so that existing dashboards and
alerts work; what is ours is marked so. Promises: label values come from closed sets (kinds that are watched, outcomes,
verbs), never from an object's name or text, and each series of a kind is there from the start, at zero. Nothing here
raises at those who tell. All series are on a registry of this process's own; no module state.
"""

import math
from collections.abc import Callable, Collection, Iterable
from http import HTTPMethod
from typing import Protocol

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from runner.clock import Clock
from runner.objects import GroupVersionKind, RunId

__all__ = ["ControllerMetrics", "Ended", "InformerMetrics", "LeaderMetrics", "Metrics", "QueueMetrics", "RunMetrics"]

# controller-runtime's ExponentialBuckets(10e-9, 10, 12)
_QUEUE_BUCKETS = tuple(float(f"1e{power}") for power in range(-8, 4))
# fmt: off
_RECONCILE_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 1.75,
    2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
)
# The Go runtime's go to 10 s, because it measures the start of a run only.
_RUN_BUCKETS = (
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0,
)
# fmt: on

_SUCCEEDED, _CANCELLED = "Succeeded", "RunCancelled"
_FAILURES = ("TaskFailed", "HostUnreachable", "RunBroken", "RunKilled", "RunTimeout")
_VERDICTS = (_SUCCEEDED, *_FAILURES, _CANCELLED)
_RESULTS = ("success", "error", "requeue", "requeue_after")
_METHODS = frozenset(HTTPMethod)
_VERBS = frozenset({"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "connect"})
_RIGHTS = frozenset({"events", "customresourcedefinitions", "dependents"})
_TROUBLES = ("not_served", "forbidden", "expired", "unreachable", "error")
_EVENTS = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")
_OTHER = "other"


class Metrics:
    """The registry, and an observer for each part that has something to tell."""

    def __init__(self, *, version: str, commit: str, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        gauge, counter, histogram = self._gauge, self._counter, self._histogram

        # Operator SDK's
        build = gauge("ansible_operator_build_info", "The operator's version", "commit", "version")
        build.labels(commit=commit, version=version).set(1)
        # A gauge that only grows, as in the Go runtime: with a counter the name would end in _total.
        self.reconcile_result = gauge("ansible_operator_reconcile_result", "Runs by their result", "GVK", "result")
        self.reconciles = histogram(
            "ansible_operator_reconciles", "Seconds that runs took, from start to end", _RUN_BUCKETS, "GVK"
        )

        # controller-runtime's
        prefix = "controller_runtime"
        self.total = counter(f"{prefix}_reconcile_total", "Reconciles by their result", "controller", "result")
        self.errors = counter(f"{prefix}_reconcile_errors_total", "Reconciles that failed", "controller")
        self.terminal = counter(
            f"{prefix}_terminal_reconcile_errors_total", "Reconciles that failed and are not tried again", "controller"
        )
        self.panics = counter(f"{prefix}_reconcile_panics_total", "Reconciles that met a defect", "controller")
        self.time = histogram(
            f"{prefix}_reconcile_time_seconds", "Seconds that reconciles took", _RECONCILE_BUCKETS, "controller"
        )
        self.workers = gauge(f"{prefix}_max_concurrent_reconciles", "Reconciles that may go on at once", "controller")
        self.active = gauge(f"{prefix}_active_workers", "Reconciles that go on", "controller")
        queue = ("name", "controller")
        self.depth = gauge("workqueue_depth", "Keys that are ready", *queue)
        self.adds = counter("workqueue_adds_total", "Keys that became ready", *queue)
        self.waited = histogram(
            "workqueue_queue_duration_seconds", "Seconds from ready to taken", _QUEUE_BUCKETS, *queue
        )
        self.worked = histogram(
            "workqueue_work_duration_seconds", "Seconds from taken to given back", _QUEUE_BUCKETS, *queue
        )
        self.unfinished = gauge(
            "workqueue_unfinished_work_seconds", "Seconds spent so far on what is being worked on, summed", *queue
        )
        self.longest = gauge(
            "workqueue_longest_running_processor_seconds", "Seconds spent so far on the oldest of these", *queue
        )
        self.retries = counter("workqueue_retries_total", "Keys that were added with back-off", *queue)
        self.master = gauge("leader_election_master_status", "1 if we hold the lease of that name", "name")
        self.slowpath = counter(
            "leader_election_slowpath_total", "Renewals that had to read the lease of that name first", "name"
        )
        self.requests = counter("rest_client_requests_total", "Requests to the API server", "code", "method", "host")

        # Ours
        prefix = "ansible_operator"
        self.runs = counter(f"{prefix}_runs_total", "Runs that ended, by verdict", "GVK", "verdict")
        self.in_flight = gauge(f"{prefix}_runs_in_flight", "Runs that go on", "GVK")
        self.oldest_run = gauge(f"{prefix}_longest_running_run_seconds", "Age of the oldest run that goes on", "GVK")
        self.gateway = counter(f"{prefix}_gateway_requests_total", "Requests of roles", "verb", "code")
        self.denials = counter(
            f"{prefix}_optional_rights_denied_total", "Refusals where the operator does without a right", "right"
        )
        self.objects = gauge(f"{prefix}_informer_objects", "Objects at the last list", "GVK")
        self.lists = counter(f"{prefix}_informer_lists_total", "Lists that were read in full", "GVK")
        self.events = counter(f"{prefix}_informer_events_total", "Watch events by type", "GVK", "type")
        self.troubles = counter(f"{prefix}_informer_failures_total", "Lists and watches that failed", "GVK", "trouble")
        self.misread = counter(f"{prefix}_informer_panics_total", "Events that met a defect", "GVK")
        for right in (*_RIGHTS, _OTHER):
            self.denials.labels(right=right)

    def queue(self, name: str) -> "QueueMetrics":
        """For the work queue of that controller."""
        return QueueMetrics(self, name)

    def controller(self, name: str, *, workers: int) -> "ControllerMetrics":
        return ControllerMetrics(self, name, workers=workers)

    def kind(self, gvk: GroupVersionKind) -> "RunMetrics":
        """For the reconciler of that kind."""
        return RunMetrics(self, gvk, clock=self._clock)

    def informer(self, gvk: GroupVersionKind) -> "InformerMetrics":
        return InformerMetrics(self, gvk)

    def leader(self, lease: str) -> "LeaderMetrics":
        return LeaderMetrics(self, lease)

    def api_calls(self, host: str) -> Callable[[str, str], None]:
        """For `KubeClient(observe=...)`; `host` with its port, as client-go has it."""

        def observe(method: str, code: str) -> None:
            self.requests.labels(code=code, method=_known(method, _METHODS), host=host).inc()

        return observe

    def gateway_request(self, verb: str, status: int) -> None:
        """A role's request was answered."""
        code = str(status) if 100 <= status <= 599 else _OTHER
        self.gateway.labels(verb=_known(verb, _VERBS), code=code).inc()

    def denied(self, right: str) -> None:
        """A right that the operator can do without was refused: `events`, `dependents` or the like."""
        self.denials.labels(right=_known(right, _RIGHTS)).inc()

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return all series and their content type: OpenMetrics for those who accept it, else Prometheus text."""
        series = _WithoutCreated(self.registry)
        if "application/openmetrics-text" in accept:
            text: bytes = openmetrics.generate_latest(series)  # type: ignore[no-untyped-call]  # the library's own
            return text, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(series), CONTENT_TYPE_PLAIN_0_0_4

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)


def _known(value: str, closed: Collection[str]) -> str:
    return value if value in closed else _OTHER


class _WithoutCreated(Collector):
    """The registry less the `_created` series that the library adds to each counter: nobody here reads them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            if metric.type in {"counter", "histogram"}:
                metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]
            yield metric


class QueueMetrics:
    """A `workqueue.QueueObserver`."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        labels = {"name": name, "controller": name}
        self._depth = metrics.depth.labels(**labels)
        self._adds = metrics.adds.labels(**labels)
        self._retries = metrics.retries.labels(**labels)
        self._waited = metrics.waited.labels(**labels)
        self._worked = metrics.worked.labels(**labels)
        self._unfinished = metrics.unfinished.labels(**labels)
        self._longest = metrics.longest.labels(**labels)

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

    def __init__(self, metrics: Metrics, name: str, *, workers: int) -> None:
        metrics.workers.labels(controller=name).set(workers)
        self._total = {result: metrics.total.labels(controller=name, result=result) for result in _RESULTS}
        self._errors = metrics.errors.labels(controller=name)
        self._terminal = metrics.terminal.labels(controller=name)
        self._panics = metrics.panics.labels(controller=name)
        self._time = metrics.time.labels(controller=name)
        self._active = metrics.active.labels(controller=name)

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

    def __init__(self, metrics: Metrics, gvk: GroupVersionKind, *, clock: Clock) -> None:
        label = str(gvk)
        self._clock = clock
        self._started: dict[RunId, float] = {}
        self._seconds = metrics.reconciles.labels(GVK=label)
        self._results = {r: metrics.reconcile_result.labels(GVK=label, result=r) for r in ("succeeded", "failed")}
        self._verdicts = {v: metrics.runs.labels(GVK=label, verdict=v) for v in (*_VERDICTS, _OTHER)}
        # A second watch of a kind would have a second observer; the wiring makes one for each kind.
        metrics.in_flight.labels(GVK=label).set_function(lambda: len(self._started))
        metrics.oldest_run.labels(GVK=label).set_function(self._oldest_s)

    def run_started(self, run_id: RunId) -> None:
        self._started[run_id] = self._clock.monotonic()

    def run_finished(self, run_id: RunId, outcome: Ended | None) -> None:
        """Without an outcome the run was cut off: it counts as cancelled, and as neither success nor failure."""
        started = self._started.pop(run_id, None)
        if outcome is None:
            self._verdicts[_CANCELLED].inc()
            return
        self._verdicts[_known(outcome.verdict, _VERDICTS)].inc()
        self._results["succeeded" if outcome.verdict == _SUCCEEDED else "failed"].inc()
        if started is not None:
            self._seconds.observe(self._clock.monotonic() - started)

    def _oldest_s(self) -> float:
        return self._clock.monotonic() - min(self._started.values()) if self._started else 0.0


class InformerMetrics:
    """An `informer.InformerObserver`; several of one kind add up."""

    def __init__(self, metrics: Metrics, gvk: GroupVersionKind) -> None:
        label = str(gvk)
        self._objects = metrics.objects.labels(GVK=label)
        self._listed = 0
        self._lists = metrics.lists.labels(GVK=label)
        self._events = {event: metrics.events.labels(GVK=label, type=event) for event in (*_EVENTS, _OTHER)}
        self._troubles = {t: metrics.troubles.labels(GVK=label, trouble=t) for t in (*_TROUBLES, _OTHER)}
        self._misread = metrics.misread.labels(GVK=label)

    def listed(self, objects: int, seconds: float) -> None:  # noqa: ARG002 - the observer's signature
        self._objects.inc(objects - self._listed)
        self._listed = objects
        self._lists.inc()

    def received(self, event: str) -> None:
        self._events[_known(event, _EVENTS)].inc()

    def failed(self, trouble: str) -> None:
        self._troubles[_known(trouble, _TROUBLES)].inc()

    def panicked(self) -> None:
        self._misread.inc()


class LeaderMetrics:
    """A `leader.LeaderObserver`."""

    def __init__(self, metrics: Metrics, lease: str) -> None:
        self._master = metrics.master.labels(name=lease)
        self._slowpath = metrics.slowpath.labels(name=lease)

    def leading(self, leading: bool) -> None:  # noqa: FBT001 - the observer's signature
        self._master.set(leading)

    def slow_path(self) -> None:
        self._slowpath.inc()
