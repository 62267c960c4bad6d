"""Every series of the operator: its name, its labels and its buckets, and nothing else.

Names, labels and buckets are those of Operator SDK 1.42 and controller-runtime 0.21, so that existing dashboards and
alerts work; what is ours begins with `ansible_operator`. A group is built for one registry; no module state.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["ControllerFamilies", "Maker", "OperatorFamilies", "QueueFamilies", "RunFamilies"]

# controller-runtime's ExponentialBuckets(10e-9, 10, 12)
_QUEUE_BUCKETS = tuple(float(f"1e{power}") for power in range(-8, 4))
# fmt: off
# controller-runtime's, which end at a minute, and on to an hour: a reconcile lasts as long as its run.
_RECONCILE_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 1.75,
    2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
    120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0,
)
# The Go runtime's go to 10 s, because it measures the start of a run only.
_RUN_BUCKETS = (
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0,
)
# fmt: on


class Maker:
    """Makes families on one registry."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self._registry = registry
        self._prefix = prefix

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{self._prefix}_{name}", text, labels, registry=self._registry)

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Args:
        name: with its `_total`.
        """
        return Counter(f"{self._prefix}_{name}", text, labels, registry=self._registry)

    def histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{self._prefix}_{name}", text, labels, buckets=buckets, registry=self._registry)


class QueueFamilies:
    """client-go's, of work queues."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make, labels = Maker(registry, "workqueue"), ("name", "controller")
        self.depth = make.gauge("depth", "Keys that are ready", *labels)
        self.adds = make.counter("adds_total", "Keys that became ready", *labels)
        self.waited = make.histogram("queue_duration_seconds", "Seconds from ready to taken", _QUEUE_BUCKETS, *labels)
        self.worked = make.histogram(
            "work_duration_seconds", "Seconds from taken to given back", _QUEUE_BUCKETS, *labels
        )
        self.unfinished = make.gauge(
            "unfinished_work_seconds", "Seconds spent so far on what is being worked on, summed", *labels
        )
        self.longest = make.gauge(
            "longest_running_processor_seconds", "Seconds spent so far on the oldest of these", *labels
        )
        self.retries = make.counter("retries_total", "Keys that were added with back-off", *labels)


class ControllerFamilies:
    """controller-runtime's, of controllers, leader election, the API client and certificates."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Maker(registry, "controller_runtime")
        self.total = make.counter("reconcile_total", "Reconciles by their result", "controller", "result")
        self.errors = make.counter("reconcile_errors_total", "Reconciles that failed", "controller")
        self.terminal = make.counter(
            "terminal_reconcile_errors_total", "Reconciles that failed and are not tried again", "controller"
        )
        self.panics = make.counter("reconcile_panics_total", "Reconciles that met a defect", "controller")
        self.time = make.histogram(
            "reconcile_time_seconds", "Seconds that reconciles took", _RECONCILE_BUCKETS, "controller"
        )
        self.workers = make.gauge("max_concurrent_reconciles", "Reconciles that may go on at once", "controller")
        self.active = make.gauge("active_workers", "Reconciles that go on", "controller")

        election = Maker(registry, "leader_election")
        self.master = election.gauge("master_status", "1 if we hold the lease of that name", "name")
        self.slowpath = election.counter(
            "slowpath_total", "Renewals that had to read the lease of that name first", "name"
        )
        self.requests = Maker(registry, "rest_client").counter(
            "requests_total", "Requests to the API server", "code", "method", "host"
        )
        certificates = Maker(registry, "certwatcher")
        self.certificates = certificates.counter("read_certificate_total", "Certificates that were read")
        self.certificate_errors = certificates.counter(
            "read_certificate_errors_total", "Certificates that could not be read"
        )


class RunFamilies:
    """Operator SDK's, of runs, and ours beside them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Maker(registry, "ansible_operator")
        self.build = make.gauge("build_info", "The operator's version", "commit", "version")
        # A gauge that only grows, as in the Go runtime: with a counter the name would end in _total.
        self.results = make.gauge("reconcile_result", "Runs by their result", "GVK", "result")
        self.seconds = make.histogram("reconciles", "Seconds that runs took, from start to end", _RUN_BUCKETS, "GVK")
        self.verdicts = make.counter("runs_total", "Runs that ended, by verdict", "GVK", "verdict")
        self.in_flight = make.gauge("runs_in_flight", "Runs that go on", "GVK")
        self.oldest = make.gauge("longest_running_run_seconds", "Age of the oldest run that goes on", "GVK")


class OperatorFamilies:
    """Ours, of what surrounds the runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Maker(registry, "ansible_operator")
        self.gateway = make.counter("gateway_requests_total", "Requests of roles", "verb", "code")
        self.discovery = make.counter(
            "gateway_discovery_total", "Discovery by roles, by where the answer came from", "from"
        )
        self.contested = make.counter(
            "contested_writes_total", "Writes of roles to children that somebody undoes each time", "GVK"
        )
        self.denials = make.counter(
            "optional_rights_denied_total", "Refusals where the operator does without a right", "right"
        )
        self.objects = make.gauge("informer_objects", "Objects that are known", "GVK")
        self.lists = make.counter("informer_lists_total", "Lists that were read in full", "GVK")
        self.events = make.counter("informer_events_total", "Watch events by type", "GVK", "type")
        self.troubles = make.counter("informer_failures_total", "Lists and watches that failed", "GVK", "trouble")
        self.misread = make.counter("informer_panics_total", "Events that met a defect", "GVK")
        self.reviews = make.counter(
            "metrics_reviews_total", "Questions to the API server about who may read the metrics", "review", "answer"
        )
