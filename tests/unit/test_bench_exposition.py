"""Reading Prometheus' text format, against the library that writes it."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from bench.exposition import Sample, samples, total


def test_what_the_library_writes_is_read_back() -> None:
    """Labels with every character that has to be escaped, and names that begin alike."""
    registry = CollectorRegistry()
    counter = Counter("things", "Things", ("kind", "why"), registry=registry)
    counter.labels(kind='a "b" {c}, d="e"', why="back\\slash\nline").inc(2)
    counter.labels(kind="other", why="").inc(3)
    Counter("things_more", "More", registry=registry).inc(50)
    text = generate_latest(registry).decode()
    assert list(samples(text, "things_total")) == [
        Sample(labels={"kind": 'a "b" {c}, d="e"', "why": "back\\slash\nline"}, value=2.0),
        Sample(labels={"kind": "other", "why": ""}, value=3.0),
    ]
    assert total(text, "things_total") == 5
    assert total(text, "things_total", kind="other") == 3
    assert total(text, "things_more_total") == 50


def test_a_histogram_gives_its_sum_and_count() -> None:
    registry = CollectorRegistry()
    histogram = Histogram("span_seconds", "Spans", registry=registry)
    histogram.observe(0.25)
    histogram.observe(1.5)
    text = generate_latest(registry).decode()
    assert (total(text, "span_seconds_sum"), total(text, "span_seconds_count")) == (1.75, 2)


def test_what_is_not_there_counts_nothing() -> None:
    assert total("# HELP things_total Things\n", "things_total") == 0
    assert total("", "things_total", kind="any") == 0
