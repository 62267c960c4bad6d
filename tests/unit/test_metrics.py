"""Metrics: names and labels that dashboards rely on, zero from the start, closed label sets."""

import typing
from dataclasses import dataclass

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from fakes import FakeClock
from runner.controller import Controller, Outcome
from runner.execution.outcome import Verdict
from runner.informer import troubles
from runner.metrics import observers as metricobservers
from runner.metrics.registry import Metrics
from runner.objects import GroupVersionKind, ObjectRef, RunId
from runner.predicates import Primary
from runner.results import Result
from runner.slots import Slots
from runner.usermetrics.spec import BadMetric, parse
from runner.workqueue.queue import WorkQueue

ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")
GVK = "mmontes.io/v1alpha1, Kind=Echo"
QUEUE = {"name": "echo-controller", "controller": "echo-controller"}


@dataclass
class Ended:
    verdict: str


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def metrics(clock):
    return Metrics(version="1.2.3", commit="abc", clock=clock)


def value(metrics, name, /, **labels):
    return metrics.registry.get_sample_value(name, labels)


def series(metrics):
    """Name and labels of each series but histogram buckets."""
    return {
        (sample.name, *sorted(sample.labels.items()))
        for family in parse_text(metrics.render("")[0].decode())
        for sample in family.samples
        if "le" not in sample.labels
    }


class TestNames:
    def test_types_are_those_of_the_go_runtime(self, metrics):
        """Dashboards and alerts of existing operators go on working."""
        types = {family.name: family.type for family in parse_text(metrics.render("")[0].decode())}

        expected = {
            "ansible_operator_build_info": "gauge",
            "ansible_operator_reconcile_result": "gauge",
            "ansible_operator_reconciles": "histogram",
            "controller_runtime_reconcile": "counter",
            "controller_runtime_reconcile_errors": "counter",
            "controller_runtime_terminal_reconcile_errors": "counter",
            "controller_runtime_reconcile_panics": "counter",
            "controller_runtime_reconcile_time_seconds": "histogram",
            "controller_runtime_max_concurrent_reconciles": "gauge",
            "controller_runtime_active_workers": "gauge",
            "workqueue_depth": "gauge",
            "workqueue_adds": "counter",
            "workqueue_queue_duration_seconds": "histogram",
            "workqueue_work_duration_seconds": "histogram",
            "workqueue_unfinished_work_seconds": "gauge",
            "workqueue_longest_running_processor_seconds": "gauge",
            "workqueue_retries": "counter",
            "leader_election_master_status": "gauge",
            "leader_election_slowpath": "counter",
            "resource_created_at_seconds": "gauge",
            "certwatcher_read_certificate": "counter",
            "certwatcher_read_certificate_errors": "counter",
            "rest_client_requests": "counter",
            "process_cpu_seconds": "counter",
            "python_info": "gauge",
        }
        assert {name: types.get(name) for name in expected} == expected

    def test_build_info(self, metrics):
        assert value(metrics, "ansible_operator_build_info", version="1.2.3", commit="abc") == 1

    def test_counters_end_in_total_and_have_no_created_series(self, metrics):
        """They would double the size, and the Go runtime has none."""
        metrics.queue("echo-controller")
        names = {name for name, *_ in series(metrics)}

        assert "workqueue_adds_total" in names
        assert not {name for name in names if name.endswith("_created")}

    def test_two_processes_in_one_share_nothing(self, metrics, clock):
        """Tests, and nothing else, have two; but a module's state would be a trap."""
        Metrics(version="1", commit="b", clock=clock).denied("events")

        assert value(metrics, "ansible_operator_optional_rights_denied_total", right="events") == 0


class TestZero:
    def test_each_series_of_a_kind_is_there_from_the_start(self, metrics):
        """rate() over a series that appears with its first failure shows nothing of that failure."""
        metrics.kind(ECHO)
        metrics.controller("echo-controller", workers=4)
        metrics.queue("echo-controller")
        metrics.leader("echo")
        metrics.informer(ECHO)
        before = series(metrics)

        runs, controller = metrics.kind(ECHO), metrics.controller("echo-controller", workers=4)
        for number, verdict in enumerate(Verdict):
            runs.run_started(RunId(str(number)))
            runs.run_finished(RunId(str(number)), Ended(verdict))
        for outcome in typing.get_args(Outcome):
            controller.started()
            controller.ended(outcome, 1.0)
        for trouble in typing.get_args(troubles.Trouble):
            metrics.informer(ECHO).failed(trouble)

        assert series(metrics) == before

    def test_all_start_at_zero(self, metrics):
        metrics.kind(ECHO)
        metrics.queue("echo-controller")

        assert value(metrics, "ansible_operator_reconcile_result", GVK=GVK, result="failed") == 0
        assert value(metrics, "ansible_operator_runs_total", GVK=GVK, verdict="TaskFailed") == 0
        assert value(metrics, "workqueue_depth", **QUEUE) == 0


class TestRuns:
    def test_success_and_failure(self, metrics, clock):
        """The Go runtime's two results, and our verdict with more in it."""
        runs = metrics.kind(ECHO)
        for number, verdict in enumerate([Verdict.SUCCEEDED, Verdict.FAILED, Verdict.TIMED_OUT]):
            runs.run_started(RunId(str(number)))
            runs.run_finished(RunId(str(number)), Ended(verdict))

        assert value(metrics, "ansible_operator_reconcile_result", GVK=GVK, result="succeeded") == 1
        assert value(metrics, "ansible_operator_reconcile_result", GVK=GVK, result="failed") == 2
        assert value(metrics, "ansible_operator_runs_total", GVK=GVK, verdict="RunTimeout") == 1

    async def test_duration_is_that_of_the_whole_run(self, metrics, clock):
        """The Go runtime's stops when Ansible has started."""
        runs = metrics.kind(ECHO)
        runs.run_started(RunId("a"))
        await clock.advance(90)
        runs.run_finished(RunId("a"), Ended(Verdict.SUCCEEDED))

        assert value(metrics, "ansible_operator_reconciles_sum", GVK=GVK) == 90
        assert value(metrics, "ansible_operator_reconciles_bucket", GVK=GVK, le="60.0") == 0
        assert value(metrics, "ansible_operator_reconciles_bucket", GVK=GVK, le="120.0") == 1

    async def test_in_flight_and_oldest_are_looked_up_when_asked(self, metrics, clock):
        """A hanging run shows while it hangs."""
        runs = metrics.kind(ECHO)
        runs.run_started(RunId("a"))
        await clock.advance(3600)
        runs.run_started(RunId("b"))
        await clock.advance(1)

        assert value(metrics, "ansible_operator_runs_in_flight", GVK=GVK) == 2
        assert value(metrics, "ansible_operator_longest_running_run_seconds", GVK=GVK) == 3601
        runs.run_finished(RunId("a"), Ended(Verdict.SUCCEEDED))
        assert value(metrics, "ansible_operator_longest_running_run_seconds", GVK=GVK) == 1
        runs.run_finished(RunId("b"), Ended(Verdict.SUCCEEDED))
        assert value(metrics, "ansible_operator_longest_running_run_seconds", GVK=GVK) == 0
        assert value(metrics, "ansible_operator_runs_in_flight", GVK=GVK) == 0

    def test_cut_off_run_is_neither_success_nor_failure(self, metrics):
        """A rollout must not look like an outage."""
        runs = metrics.kind(ECHO)
        runs.run_started(RunId("a"))
        runs.run_finished(RunId("a"), None)

        assert value(metrics, "ansible_operator_runs_total", GVK=GVK, verdict="RunCancelled") == 1
        assert value(metrics, "ansible_operator_reconcile_result", GVK=GVK, result="failed") == 0
        assert value(metrics, "ansible_operator_runs_in_flight", GVK=GVK) == 0

    def test_end_without_start_and_unknown_verdict_do_not_raise(self, metrics):
        """Metrics never end a reconcile."""
        metrics.kind(ECHO).run_finished(RunId("a"), Ended("NewVerdict"))

        assert value(metrics, "ansible_operator_runs_total", GVK=GVK, verdict="other") == 1


class TestController:
    @pytest.mark.parametrize(
        ("outcome", "result", "errors", "terminal", "panics"),
        [
            ("success", "success", 0, 0, 0),
            ("requeue_after", "requeue_after", 0, 0, 0),
            ("error", "error", 1, 0, 0),
            ("terminal", "error", 1, 1, 0),
            ("panic", "error", 1, 0, 1),
            ("fenced", "error", 1, 0, 0),
        ],
    )
    def test_outcomes_count_as_in_controller_runtime(self, metrics, outcome, result, errors, terminal, panics):
        """There a terminal error and a panic are errors as well."""
        controller = metrics.controller("echo-controller", workers=4)
        controller.started()
        controller.ended(outcome, 0.3)

        def count(name, **labels):
            return value(metrics, f"controller_runtime_{name}", controller="echo-controller", **labels)

        assert count("reconcile_total", result=result) == 1
        assert (
            count("reconcile_errors_total"),
            count("terminal_reconcile_errors_total"),
            count("reconcile_panics_total"),
        ) == (errors, terminal, panics)
        assert count("reconcile_time_seconds_count") == 1
        assert count("active_workers") == 0
        assert count("max_concurrent_reconciles") == 4

    def test_cancelled_counts_nowhere_but_frees_the_worker(self, metrics):
        controller = metrics.controller("echo-controller", workers=4)
        controller.started()
        assert value(metrics, "controller_runtime_active_workers", controller="echo-controller") == 1
        controller.ended("cancelled", 0.3)

        results = ("success", "error", "requeue", "requeue_after")
        totals = [
            value(metrics, "controller_runtime_reconcile_total", controller="echo-controller", result=result)
            for result in results
        ]
        assert totals == [0, 0, 0, 0]
        assert value(metrics, "controller_runtime_active_workers", controller="echo-controller") == 0


class TestQueue:
    async def test_follows_a_real_queue(self, metrics, clock):
        """The queue's own observer protocol, and its own figures for what is held."""
        observer = metrics.queue("echo-controller")
        queue = WorkQueue(clock=clock, observer=observer)
        observer.follow(queue.unfinished_s)
        queue.add("a")
        queue.add("b")
        assert value(metrics, "workqueue_depth", **QUEUE) == 2
        await clock.advance(3)
        held = await queue.get()
        await clock.advance(5)
        await queue.get()
        await clock.advance(2)

        assert value(metrics, "workqueue_adds_total", **QUEUE) == 2
        assert value(metrics, "workqueue_depth", **QUEUE) == 0
        assert value(metrics, "workqueue_queue_duration_seconds_sum", **QUEUE) == 3 + 8
        assert value(metrics, "workqueue_unfinished_work_seconds", **QUEUE) == 7 + 2
        assert value(metrics, "workqueue_longest_running_processor_seconds", **QUEUE) == 7
        queue.done(held)
        assert value(metrics, "workqueue_work_duration_seconds_sum", **QUEUE) == 7
        queue.add_rate_limited("a")
        assert value(metrics, "workqueue_retries_total", **QUEUE) == 1

    async def test_follows_a_real_controller(self, metrics, clock):
        """The controller's own observer protocol."""
        queue = WorkQueue(clock=clock)

        async def reconcile(ref):
            queue.shut_down()
            return Result.requeue(5)

        controller = Controller(
            name="echo",
            queue=queue,
            reconcile=reconcile,
            workers=1,
            slots=Slots(1),
            clock=clock,
            observer=metrics.controller("echo-controller", workers=1),
        )
        queue.add(ObjectRef("default", "a"))
        await controller.run()

        labels = {"controller": "echo-controller", "result": "requeue_after"}
        assert value(metrics, "controller_runtime_reconcile_total", **labels) == 1


class TestOthers:
    def test_leader(self, metrics):
        leader = metrics.leader("echo")
        leader.leading(True)
        leader.slow_path()

        assert value(metrics, "leader_election_master_status", name="echo") == 1
        assert value(metrics, "leader_election_slowpath_total", name="echo") == 1
        leader.leading(False)
        assert value(metrics, "leader_election_master_status", name="echo") == 0

    def test_api_calls_have_client_go_s_labels(self, metrics):
        """`<error>` is client-go's code of a call that got no answer."""
        observe = metrics.api_calls("10.0.0.1:443")
        observe("GET", "200")
        observe("PUT", "<error>")
        observe("BREW", "418")

        def count(**labels):
            return value(metrics, "rest_client_requests_total", host="10.0.0.1:443", **labels)

        assert [count(method="GET", code="200"), count(method="PUT", code="<error>")] == [1, 1]
        assert count(method="other", code="418") == 1

    def test_gateway_labels_are_closed(self, metrics):
        """A role chooses its requests: each new verb would be a new series."""
        metrics.gateway_request("create", 201)
        metrics.gateway_request("x" * 1000, 99999)

        assert value(metrics, "ansible_operator_gateway_requests_total", verb="create", code="201") == 1
        assert value(metrics, "ansible_operator_gateway_requests_total", verb="other", code="other") == 1

    def test_denied_rights_are_closed(self, metrics):
        metrics.denied("events")
        metrics.denied("something else")

        assert value(metrics, "ansible_operator_optional_rights_denied_total", right="events") == 1
        assert value(metrics, "ansible_operator_optional_rights_denied_total", right="other") == 1

    def test_writes_that_somebody_undoes_are_there_from_the_start_of_each_kind(self, metrics):
        metrics.kind(ECHO)
        name = "ansible_operator_contested_writes_total"
        assert value(metrics, name, GVK=GVK) == 0
        metrics.contested(ECHO)
        assert value(metrics, name, GVK=GVK) == 1

    def test_informer(self, metrics):
        observer = metrics.informer(ECHO)
        observer.listed(7, 0.1)
        observer.held(7)
        observer.received("ADDED")
        observer.received("SURPRISE")
        observer.failed("forbidden")
        observer.panicked()

        assert value(metrics, "ansible_operator_informer_objects", GVK=GVK) == 7
        assert value(metrics, "ansible_operator_informer_events_total", GVK=GVK, type="ADDED") == 1
        assert value(metrics, "ansible_operator_informer_events_total", GVK=GVK, type="other") == 1
        assert value(metrics, "ansible_operator_informer_failures_total", GVK=GVK, trouble="forbidden") == 1
        assert value(metrics, "ansible_operator_informer_panics_total", GVK=GVK) == 1

    def test_informers_of_one_kind_add_up(self, metrics):
        """One for each namespace that is watched."""
        one, two = metrics.informer(ECHO), metrics.informer(ECHO)
        one.held(7)
        two.held(3)
        one.held(5)

        assert value(metrics, "ansible_operator_informer_objects", GVK=GVK) == 8

    def test_closed_sets_are_those_of_the_parts(self):
        """Written out in metrics because the layers go one way; a new member must be added here too."""
        assert set(metricobservers.VERDICTS) == {verdict.value for verdict in Verdict}
        assert set(metricobservers.TROUBLES) == set(typing.get_args(troubles.Trouble))
        unnamed = set(typing.get_args(Outcome)) - set(metricobservers.RESULTS)
        assert unnamed == {"terminal", "panic", "fenced", "cancelled"}


class TestRender:
    PROMETHEUS = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    )

    def test_openmetrics_for_those_who_accept_it(self, metrics):
        """Prometheus asks for it."""
        metrics.queue("echo-controller").added()
        body, content_type = metrics.render(self.PROMETHEUS)

        families = {family.name: family for family in parse_openmetrics(body.decode())}
        assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert families["workqueue_adds"].samples[0].value == 1

    @pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "text/plain;version=abc", ";;,=", "text/html"])
    def test_plain_text_for_everybody_else(self, metrics, accept):
        """curl, and whatever garbage a header holds."""
        body, content_type = metrics.render(accept)

        assert content_type == "text/plain; version=0.0.4; charset=utf-8"
        assert b"ansible_operator_build_info" in body

    def test_hundred_kinds_stay_small(self, metrics):
        """A scrape is built on the event loop."""
        for number in range(100):
            kind = GroupVersionKind("g", "v1", f"Kind{number}")
            metrics.kind(kind)
            metrics.informer(kind)
            metrics.queue(f"kind{number}-controller")
            metrics.controller(f"kind{number}-controller", workers=1)

        assert len(metrics.render("")[0]) < 2_000_000


class TestRoles:
    """What roles keep is shown beside the operator's own."""

    def keep(self, metrics, name, **options):
        metrics.user.apply(parse({"name": name, "description": "d", **options}))

    def test_is_in_both_formats(self, metrics):
        self.keep(metrics, "restarts", counter={"add": 3})
        plain, _ = metrics.render("")
        body, _ = metrics.render(TestRender.PROMETHEUS)

        assert b"# TYPE restarts counter\nrestarts 3.0\n" in plain
        assert body.endswith(b"restarts 3.0\n# EOF\n")
        families = {family.name: family for family in parse_openmetrics(body.decode())}
        assert families["restarts"].samples[0].value == 3

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("workqueue_depth", "gauge"),
            ("workqueue_adds_total", "counter"),
            ("workqueue_adds", "gauge"),
            ("ansible_operator_reconciles_bucket", "gauge"),
            ("ansible_operator_reconciles", "summary"),
            ("process_resident_memory_bytes", "gauge"),
            ("python_info", "gauge"),
            ("resource_created_at_seconds", "gauge"),
        ],
    )
    def test_never_has_a_name_of_the_operator_s(self, metrics, name, kind):
        """Families without a series so far included: a reader that finds a name twice refuses everything."""
        with pytest.raises(BadMetric, match="one of the operator's own"):
            self.keep(metrics, name, **{kind: {}})

    def test_current_time_is_the_clock_s(self, metrics, clock):
        self.keep(metrics, "now", gauge={"set_to_current_time": True})
        assert metrics.user.families["now"].series[()].total == clock.now().timestamp()


class TestCreated:
    def test_each_object_that_there_is_when_asked(self, metrics):
        """Operator SDK's labels; an object that has gone leaves nothing behind."""
        there = [
            (ObjectRef("n", "a"), 1_700_000_000),
            (ObjectRef("n", "unknown"), 0),
            (ObjectRef("n", 'odd"\\name'), 1),
        ]
        metrics.created(ECHO, lambda: there)

        assert self.series(metrics) == {"a": 1_700_000_000, 'odd"\\name': 1}
        there.clear()
        assert self.series(metrics) == {}

    def series(self, metrics):
        """Instant by name; in both formats the same, and with Operator SDK's labels."""
        found = []
        for parse_any, accept in ((parse_text, ""), (parse_openmetrics, TestRender.PROMETHEUS)):
            families = {family.name: family for family in parse_any(metrics.render(accept)[0].decode())}
            family = families["resource_created_at_seconds"]
            assert family.type == "gauge"
            found.append({sample.labels.pop("name"): sample.value for sample in family.samples})
            labels = {"namespace": "n", "group": "mmontes.io", "version": "v1alpha1", "kind": "Echo"}
            assert all(sample.labels == labels for sample in family.samples)
        assert found[0] == found[1]
        return found[0]

    def test_time_is_read_from_the_object(self):
        primary = Primary.of({"metadata": {"creationTimestamp": "2023-11-14T22:13:20Z"}}, annotations=False)
        assert primary.created_s == 1_700_000_000
        assert Primary.of({"metadata": {"creationTimestamp": "once"}}, annotations=False).created_s == 0


class TestServers:
    def test_certificates_count_as_in_controller_runtime(self, metrics):
        """There a failed attempt is an attempt too."""
        metrics.certificate_read(well=True)
        metrics.certificate_read(well=False)

        assert value(metrics, "certwatcher_read_certificate_total") == 2
        assert value(metrics, "certwatcher_read_certificate_errors_total") == 1

    def test_reviews_are_there_from_the_start_and_closed(self, metrics):
        name = "ansible_operator_metrics_reviews_total"
        assert value(metrics, name, review="access", answer="no") == 0
        metrics.reviewed("access", "no")
        metrics.reviewed("strange", "strange")
        assert value(metrics, name, review="access", answer="no") == 1
        assert value(metrics, name, review="other", answer="other") == 1
