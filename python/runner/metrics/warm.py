"""How often runs and tasks took the warm path, and why not. Names are our own."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from runner.execution.warm import reasons

__all__ = ["WarmMetrics"]

_WARM, _PLAIN = "warm", "plain"
_INLINE, _PROCESS = "inline", "process"
_TASK, _MODULE = "task", "module"
_OTHER = "other"
_PREFIX = "ansible_operator"


class WarmMetrics:
    """A `warm.observer.WarmObserver`. Actions are no label: they come from content."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter(
            f"{_PREFIX}_run_path_total", "Runs by the path they took, and why the plain one", ("path", "reason"),
            registry=registry,
        )  # fmt: skip
        self._tasks = Counter(
            f"{_PREFIX}_warm_tasks_total",
            "Tasks and modules of warm runs: in the play's process, or in one of their own and why",
            ("what", "path", "reason"),
            registry=registry,
        )
        self._restarts = Counter(
            f"{_PREFIX}_warm_parent_replacements_total", "Warm parents that were replaced, and why", ("reason",),
            registry=registry,
        )  # fmt: skip
        self._start = Gauge(
            f"{_PREFIX}_warm_parent_start_seconds", "How long the newest warm parent took to load", registry=registry
        )
        self._runs.labels(path=_WARM, reason="")
        for reason in reasons.RUNS:
            self._runs.labels(path=_PLAIN, reason=reason)
        for reason in reasons.REPLACEMENTS:
            self._restarts.labels(reason=reason)

    def warm_run(self) -> None:
        self._runs.labels(path=_WARM, reason="").inc()

    def plain_run(self, reason: str) -> None:
        self._runs.labels(path=_PLAIN, reason=reason).inc()

    def task(self, what: str, action: str, reason: str) -> None:  # noqa: ARG002 - the observer's signature
        # The reason comes from the play's own process, where content may have had its hands.
        known = reason if not reason or reason in reasons.TASKS else _OTHER
        self._tasks.labels(
            what=_TASK if what == _TASK else _MODULE, path=_PROCESS if reason else _INLINE, reason=known
        ).inc()

    def restarted(self, reason: str) -> None:
        self._restarts.labels(reason=reason).inc()

    def ready(self, seconds: float) -> None:
        self._start.set(seconds)
