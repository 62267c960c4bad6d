"""Metrics that roles keep: what the Go runtime's module sends means what it meant there, and nothing shadows or grows."""

import math
import re

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from runner.usermetrics import registry as usermetrics
from runner.usermetrics import text as usermetricstext
from runner.usermetrics.registry import UserMetrics
from runner.usermetrics.spec import BadMetric, parse

OWN = {"workqueue_depth", "process_open_fds"}
NOW = 1_795_000_000.0


@pytest.fixture
def metrics():
    return UserMetrics(reserved=lambda: OWN, now_s=lambda: NOW)


def send(metrics, *, dry_run=False, name="m", description="words", **rest):
    metrics.apply(parse({"name": name, "description": description, **rest}), dry_run=dry_run)


def samples(metrics, *, openmetrics=False):
    """Every sample by its name and labels, as a reader of the text sees it."""
    text = usermetricstext.render(metrics.families, openmetrics=openmetrics).decode()
    # The library's reader adds _total to the name of each counter that has none.
    plain = re.sub(r"(?m)^(# TYPE \S+) counter$", r"\1 untyped", text)
    families = parse_openmetrics(f"{text}# EOF\n") if openmetrics else parse_text(plain)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


class TestOperations:
    @pytest.mark.parametrize(
        ("kind", "sent", "expected"),
        [
            ("counter", [{}], 0),
            ("counter", [{"increment": None, "add": None}], 0),
            ("counter", [{"increment": True}, {"increment": True}], 2),
            ("counter", [{"increment": False, "add": 3.5}], 3.5),
            ("counter", [{"add": 0}], 0),
            ("gauge", [{}], 0),
            ("gauge", [{"set": 5}], 5),
            ("gauge", [{"set": 5}, {"set": 0}], 0),
            ("gauge", [{"set": 5}, {"set": 0.0, "increment": None, "add": None}], 0),
            ("gauge", [{"set": 5}, {"increment": True}, {"add": 7}, {"subtract": 2}, {"decrement": True}], 10),
            ("gauge", [{"set": -5}, {"subtract": -5}], 0),
            ("gauge", [{"set_to_current_time": True}], NOW),
            ("gauge", [{"increment": True, "decrement": True, "add": 9, "set": 9}], 1),
            ("gauge", [{"add": 0, "set": 9, "set_to_current_time": True}], 9),
            ("gauge", [{"set_to_current_time": False, "decrement": True}], -1),
        ],
    )
    def test_counter_and_gauge(self, metrics, kind, sent, expected):
        """The Go runtime takes `set: 0` for nothing, because its zero value is 0."""
        for options in sent:
            send(metrics, **{kind: options})

        assert samples(metrics) == {("m",): expected}

    @pytest.mark.parametrize("nothing", [{}, {"observe": None}])
    def test_summary(self, metrics, nothing):
        """What only makes the metric observes nothing; the Go runtime observed a 0."""
        send(metrics, summary=nothing)
        assert samples(metrics) == {("m_sum",): 0, ("m_count",): 0}
        for value in (2, 0, 1.5):
            send(metrics, summary={"observe": value})
        assert samples(metrics) == {("m_sum",): 3.5, ("m_count",): 3}

    def test_histogram_counts_into_client_golang_s_buckets(self, metrics):
        send(metrics, histogram={})
        for value in (0.005, 2, 2.5, 100):
            send(metrics, histogram={"observe": value})
        found = samples(metrics)

        counts = [found["m_bucket", ("le", bound)] for bound in ("0.005", "1.0", "2.5", "10.0", "+Inf")]
        assert counts == [1, 1, 3, 3, 4]
        assert len(found) == 12 + 2
        assert (found[("m_sum",)], found[("m_count",)]) == (104.505, 4)

    def test_histogram_with_buckets_of_its_own(self, metrics):
        send(metrics, histogram={"observe": 70, "buckets": [60, 600]})
        send(metrics, histogram={"observe": 10})
        found = samples(metrics)

        assert [found["m_bucket", ("le", bound)] for bound in ("60.0", "600.0", "+Inf")] == [1, 2, 2]

    def test_labels_are_series(self, metrics):
        send(metrics, counter={"add": 2}, labels={"b": "x", "a": "1"})
        send(metrics, counter={"increment": True}, labels={"a": "1", "b": "x"})
        send(metrics, counter={}, labels={"a": "2", "b": "x"})

        assert samples(metrics) == {("m", ("a", "1"), ("b", "x")): 3, ("m", ("a", "2"), ("b", "x")): 0}

    def test_description_may_change_and_the_first_counts(self, metrics):
        """Operator SDK's own tests describe what each task does."""
        send(metrics, counter={}, description="first")
        send(metrics, counter={"increment": True}, description="second")
        assert metrics.families["m"].help == "first"


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ([], "JSON object"),
            ({"name": "m"}, "a request should contain at least one metric"),
            (
                {"name": "m", "counter": {}, "gauge": {}},
                "only one metric can be processed at a time, not counter and gauge",
            ),
            ({"name": "m", "counter": {}, "colour": 1}, "unknown: colour"),
            ({"name": "m", "counter": {"set": 1}}, "counter: unknown: set"),
            ({"name": "m", "counter": 1}, "counter: must be a mapping"),
            ({"counter": {}}, "name: None"),
            ({"name": "", "counter": {}}, "name: ''"),
            ({"name": "1m", "counter": {}}, "name: '1m'"),
            ({"name": "m-m", "counter": {}}, "no metric name"),
            ({"name": "m\n", "counter": {}}, "no metric name"),
            ({"name": "é", "counter": {}}, "no metric name"),
            ({"name": "m" * 2000, "counter": {}}, "no metric name"),
            ({"name": "m", "description": 1, "counter": {}}, "description"),
            ({"name": "m", "description": "\ud800", "counter": {}}, "no valid text"),
            ({"name": "m", "counter": {"add": -1}}, "counter metrics cannot decrease in value"),
            ({"name": "m", "counter": {"increment": True, "add": -1}}, "cannot decrease"),
            ({"name": "m", "counter": {"increment": "yes"}}, "neither true nor false"),
            ({"name": "m", "gauge": {"set": "5"}}, "gauge.set: '5' is no number"),
            ({"name": "m", "gauge": {"set": True}}, "no number"),
            ({"name": "m", "gauge": {"set": math.nan}}, "finite"),
            ({"name": "m", "gauge": {"set": 10**400}}, "finite"),
            ({"name": "m", "counter": {}, "labels": ["a"]}, "labels: must be a mapping"),
            ({"name": "m", "counter": {}, "labels": {"a-b": "x"}}, "no label name"),
            ({"name": "m", "counter": {}, "labels": {"__a": "x"}}, "reserved"),
            ({"name": "m", "histogram": {}, "labels": {"le": "x"}}, "reserved"),
            ({"name": "m", "summary": {}, "labels": {"quantile": "x"}}, "reserved"),
            ({"name": "m", "counter": {}, "labels": {"a": 1}}, "labels.a: must be a text"),
            ({"name": "m", "counter": {}, "labels": {"a": "x" * 2000}}, "at most"),
            ({"name": "m", "counter": {}, "labels": {f"l{n}": "" for n in range(11)}}, "at most 10"),
            ({"name": "m", "histogram": {"buckets": []}}, "list of 1 to"),
            ({"name": "m", "histogram": {"buckets": [2, 1]}}, "rising order"),
            ({"name": "m", "histogram": {"buckets": [1, "x"]}}, "no number"),
        ],
    )
    def test_what_is_no_metric_is_told_so(self, body, words):
        with pytest.raises(BadMetric, match=re.escape(words)):
            parse(body)

    @pytest.mark.parametrize(
        ("first", "second", "words"),
        [
            ({"counter": {}}, {"gauge": {}}, "cannot change metric type of m, which is a counter"),
            ({"histogram": {}}, {"summary": {}}, "cannot change metric type of m, which is a histogram"),
            ({"counter": {}, "labels": {"a": "x"}}, {"counter": {}}, "m has the labels a, not no labels"),
            ({"counter": {}}, {"counter": {}, "labels": {"a": "x"}}, "m has no labels, not the labels a"),
            ({"histogram": {"buckets": [1, 2.5]}}, {"histogram": {"buckets": [1, 2]}}, "which are 1, 2.5"),
        ],
    )
    def test_a_name_stays_what_it_is(self, metrics, first, second, words):
        """A reader that finds two kinds under a name throws the whole scrape away."""
        send(metrics, **first)
        before = samples(metrics)
        with pytest.raises(BadMetric, match=words):
            send(metrics, **second)
        assert samples(metrics) == before

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("workqueue_depth", "gauge"), ("workqueue_depth_total", "counter"), ("process_open_fds", "summary")],
    )
    def test_the_operator_s_own_names_are_taken(self, metrics, name, kind):
        with pytest.raises(BadMetric, match=f"{name} is the name of one of the operator's own metrics"):
            send(metrics, name=name, **{kind: {}})
        assert not metrics.families

    def test_names_that_a_histogram_takes_up_are_taken(self, metrics):
        """m_count of the histogram m, and a gauge m_count, would be one series twice."""
        send(metrics, histogram={})
        with pytest.raises(BadMetric, match="m_count cannot be told from the histogram m"):
            send(metrics, name="m_count", gauge={})
        send(metrics, name="m_count_of_things", gauge={})


class TestBounds:
    def test_labels_of_one_metric(self, metrics, monkeypatch):
        """A label with an object's name in it would grow for ever."""
        monkeypatch.setattr(usermetrics, "_MAX_SERIES", 3)
        for number in range(3):
            send(metrics, counter={}, labels={"name": str(number)})
        with pytest.raises(BadMetric, match="m has 3 combinations of label values already"):
            send(metrics, counter={}, labels={"name": "3"})
        send(metrics, counter={"increment": True}, labels={"name": "2"})
        assert samples(metrics)["m", ("name", "2")] == 1

    def test_metrics(self, metrics, monkeypatch):
        monkeypatch.setattr(usermetrics, "_MAX_FAMILIES", 2)
        send(metrics, name="a", counter={})
        send(metrics, name="b", counter={})
        with pytest.raises(BadMetric, match="there are 2 metrics already"):
            send(metrics, name="c", counter={})
        send(metrics, name="b", counter={"increment": True})


def test_dry_run_says_no_and_does_nothing(metrics):
    send(metrics, counter={"increment": True}, dry_run=True)
    assert not metrics.families
    send(metrics, counter={"increment": True})
    send(metrics, counter={"increment": True}, labels={}, dry_run=True)
    with pytest.raises(BadMetric, match="cannot change metric type"):
        send(metrics, gauge={}, dry_run=True)
    assert samples(metrics) == {("m",): 1}


class TestText:
    def test_counter_keeps_its_name(self, metrics):
        """The library would make restarts_total of it, and dashboards look for restarts."""
        send(metrics, name="restarts", counter={"increment": True}, description='How "often"\\ \nso far')
        text = usermetricstext.render(metrics.families, openmetrics=False).decode()

        assert text == '# HELP restarts How "often"\\\\ \\nso far\n# TYPE restarts counter\nrestarts 1.0\n'

    def test_openmetrics_has_the_same_series(self, metrics):
        """A counter without _total is of unknown type there, or a strict reader refuses everything."""
        send(metrics, name="a", counter={"increment": True})
        send(metrics, name="b_total", counter={"increment": True})
        send(metrics, name="c", gauge={"set": -1e300}, labels={"x": 'quote " slash \\ line \n end'})
        send(metrics, name="d", histogram={"observe": 3, "buckets": [1, 5]})
        send(metrics, name="e", summary={"observe": 3})
        assert samples(metrics, openmetrics=True) == samples(metrics)
        text = usermetricstext.render(metrics.families, openmetrics=True).decode()
        assert "# TYPE a unknown\n" in text
        assert "# TYPE b counter\n" in text
