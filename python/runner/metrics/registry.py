"""The operator's metrics: the registry, an observer for each part that has something to tell, and the text of it all.

Families are in `metricfamilies`, observers in `metricobservers`, what roles keep in `usermetrics`. All series are on a
registry of this process's own; no module state.
"""

from collections.abc import Callable, Iterable
from http import HTTPMethod

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from runner.clock import Clock
from runner.metrics import created as metriccreated
from runner.metrics.created import Created, CreationTimes
from runner.metrics.families import ControllerFamilies, OperatorFamilies, QueueFamilies, RunFamilies
from runner.metrics.observers import (
    OTHER,
    ControllerMetrics,
    InformerMetrics,
    LeaderMetrics,
    QueueMetrics,
    RunMetrics,
    known,
)
from runner.objects import GroupVersionKind
from runner.usermetrics import text as usermetricstext
from runner.usermetrics.registry import UserMetrics, occupied

__all__ = ["Metrics"]

_METHODS = frozenset(HTTPMethod)
_VERBS = frozenset({"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "connect"})
_RIGHTS = frozenset({"events", "customresourcedefinitions", "apiservices", "dependents"})
_SOURCES = ("memory", "server")
_REVIEWS = ("token", "access")
_ANSWERS = ("yes", "no", "error")
_END = b"# EOF\n"


class Metrics:
    """All that `/metrics` shows."""

    def __init__(self, *, version: str, commit: str, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self.user = UserMetrics(reserved=self._names, now_s=lambda: clock.now().timestamp())
        """What roles keep."""
        self._clock = clock
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._queues = QueueFamilies(self.registry)
        self._controllers = ControllerFamilies(self.registry)
        self._runs = RunFamilies(self.registry)
        self._operator = OperatorFamilies(self.registry)
        self._created = CreationTimes()
        self._runs.build.labels(commit=commit, version=version).set(1)
        for right in (*_RIGHTS, OTHER):
            self._operator.denials.labels(right=right)
        for source in _SOURCES:
            self._operator.discovery.labels(source)
        for review in _REVIEWS:
            for answer in _ANSWERS:
                self._operator.reviews.labels(review=review, answer=answer)

    # Observers

    def queue(self, name: str) -> QueueMetrics:
        """For the work queue of that controller."""
        return QueueMetrics(self._queues, name)

    def controller(self, name: str, *, workers: int) -> ControllerMetrics:
        return ControllerMetrics(self._controllers, name, workers=workers)

    def kind(self, gvk: GroupVersionKind) -> RunMetrics:
        """For the reconciler of that kind."""
        self._operator.contested.labels(GVK=str(gvk))
        return RunMetrics(self._runs, gvk, clock=self._clock)

    def informer(self, gvk: GroupVersionKind) -> InformerMetrics:
        return InformerMetrics(self._operator, gvk)

    def created(self, gvk: GroupVersionKind, created: Created) -> None:
        """Show when each of those was created, of a kind that is watched."""
        self._created.add(gvk, created)

    def leader(self, lease: str) -> LeaderMetrics:
        return LeaderMetrics(self._controllers, lease)

    # Single events

    def api_calls(self, host: str) -> Callable[[str, str], None]:
        """For `KubeClient(observe=...)`; `host` with its port, as client-go has it."""

        def observe(method: str, code: str) -> None:
            self._controllers.requests.labels(code=code, method=known(method, _METHODS), host=host).inc()

        return observe

    def gateway_request(self, verb: str, status: int) -> None:
        """A role's request was answered."""
        code = str(status) if 100 <= status <= 599 else OTHER
        self._operator.gateway.labels(verb=known(verb, _VERBS), code=code).inc()

    def discovered(self, source: str) -> None:
        """A role's discovery was answered from `memory`, or by the `server`."""
        self._operator.discovery.labels(known(source, _SOURCES)).inc()

    def contested(self, gvk: GroupVersionKind) -> None:
        """A role wrote to a child of a resource of this kind, which is watched, what somebody undoes each time."""
        self._operator.contested.labels(GVK=str(gvk)).inc()

    def denied(self, right: str) -> None:
        """A right that the operator can do without was refused: `events`, `dependents` or the like."""
        self._operator.denials.labels(right=known(right, _RIGHTS)).inc()

    def reviewed(self, review: str, answer: str) -> None:
        """The API server was asked who somebody is (`token`) or what they may (`access`): `yes`, `no` or `error`."""
        self._operator.reviews.labels(review=known(review, _REVIEWS), answer=known(answer, _ANSWERS)).inc()

    def certificate_read(self, *, well: bool) -> None:
        """The certificate of a server was read anew, or could not be."""
        self._controllers.certificates.inc()
        if not well:
            self._controllers.certificate_errors.inc()

    # Text

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return all series and their content type: OpenMetrics for those who accept it, else Prometheus text."""
        series = _WithoutCreated(self.registry)
        if "application/openmetrics-text" in accept:
            text: bytes = openmetrics.generate_latest(series)  # type: ignore[no-untyped-call]  # the library's own
            return text.removesuffix(_END) + self._own_text(openmetrics=True) + _END, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(series) + self._own_text(openmetrics=False), CONTENT_TYPE_PLAIN_0_0_4

    def _own_text(self, *, openmetrics: bool) -> bytes:
        """What is not written by the client library."""
        return self._created.render() + usermetricstext.render(self.user.families, openmetrics=openmetrics)

    def _names(self) -> set[str]:
        """Every name that a series of the operator's own has or may get."""
        names = {metriccreated.NAME}
        for metric in self.registry.collect():
            suffixed = f"{metric.name}_total" if metric.type == "counter" else metric.name
            names |= occupied(metric.type, suffixed) | {sample.name for sample in metric.samples}
        return names


class _WithoutCreated(Collector):
    """The registry less the `_created` series that the library adds to each counter: nobody here reads them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            if metric.type in {"counter", "histogram"}:
                metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]
            yield metric
