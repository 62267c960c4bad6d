"""The picture: well-formed whatever the names, and true to the figures."""

from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from bench import picture, svg
from bench.measurement import Measurement
from bench.report import Report

_SVG = "{http://www.w3.org/2000/svg}"


def measured(variant: str, per_s: float, p50_s: float) -> Measurement:
    latencies = {f"job_latency_p{percent}_s": p50_s * factor for percent, factor in ((50, 1), (95, 10), (99, 100))}
    figures = {"reconciles_per_s": per_s, **latencies}
    return Measurement(scenario="create-onetask", variant=variant, count=7, workers=2, figures=figures)  # type: ignore[arg-type]


REPORT = Report(
    scenario_set="default",
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    machine={"cpu": "Some <CPU> & more", "cpus": 2, "memory_gb": 8.0},
    versions={"commit": "abc", "ansible-core": "2", "python": "3", "kubernetes-server": "v1"},
    measurements=[measured("warm", 20.0, 0.01), measured("plain", 5.0, 1.0)],
    missing={},
)


def drawn(report: Report) -> ET.Element:
    text = picture.draw(report)
    assert text is not None
    return ET.fromstring(text)


def bars(root: ET.Element, variant: str) -> list[float]:
    """Widths of a path's rectangles, the legend's first."""
    return [float(shape.attrib["width"]) for shape in root.iter(f"{_SVG}rect") if shape.get("class") == variant]


def places(root: ET.Element, variant: str) -> list[float]:
    return [float(shape.attrib["cx"]) for shape in root.iter(f"{_SVG}circle") if shape.get("class") == variant]


def test_bars_are_as_long_as_their_figures() -> None:
    root = drawn(REPORT)
    assert bars(root, "warm")[1] == pytest.approx(4 * bars(root, "plain")[1], rel=0.01)


def test_the_same_factor_is_the_same_distance_in_the_latencies() -> None:
    warm, plain = places(drawn(REPORT), "warm"), places(drawn(REPORT), "plain")
    steps = [warm[1] - warm[0], warm[2] - warm[1], plain[1] - plain[0]]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.1)
    assert plain[0] == pytest.approx(warm[2], abs=0.1)


def test_everything_stays_within_the_picture() -> None:
    root = drawn(REPORT)
    assert all(0 <= place <= float(root.attrib["width"]) for place in places(root, "warm") + places(root, "plain"))
    texts = [float(shape.attrib["y"]) for shape in root.iter(f"{_SVG}text")]
    assert max(texts) < float(root.attrib["height"])


def test_values_and_place_of_measuring_are_written_out() -> None:
    said = [shape.text for shape in drawn(REPORT).iter(f"{_SVG}text")]
    for expected in ("20.00", "5.00", "0.01 / 0.10 / 1.00 s", "Some <CPU> & more, 2 CPUs, 8.0 GB"):
        assert expected in said


def test_without_throughput_and_latency_there_is_no_picture() -> None:
    other = Measurement(scenario="idle", variant="warm", count=1, workers=1, figures={"operator_rss_mb": 60.0})
    assert picture.draw(replace(REPORT, measurements=[other])) is None


@pytest.mark.parametrize("scenario", ["create-onetask", "growth"])
@pytest.mark.parametrize("per_s", [0.0, 1e-4, 20.0, 12345.0])
def test_any_figure_can_be_drawn(scenario: str, per_s: float) -> None:
    """With goals to scale by, and without."""
    one = replace(measured("peer", per_s, 0.0), scenario=scenario)
    assert len(bars(drawn(replace(REPORT, measurements=[one])), "peer")) == 2


def test_text_and_style_are_escaped() -> None:
    shape = svg.text(1, 2, '<&>"', style='a"b')
    element = ET.fromstring(shape.markup)
    assert (element.text, element.get("class")) == ('<&>"', 'a"b')
