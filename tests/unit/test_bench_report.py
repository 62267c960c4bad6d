"""The JSON file: what was written is what is read again."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from bench import report
from bench.measurement import Measurement
from bench.report import Report

REPORT = Report(
    scenario_set="create-onetask",
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    machine={"cpu": "x", "cpus": 2, "load_at_start": [0.1, 0.2, 0.3]},
    versions={"commit": "abc-dirty"},
    measurements=[
        Measurement(
            scenario="create-onetask",
            variant="warm",
            count=3,
            workers=2,
            figures={"reconciles_per_s": 12.3456},
            samples={"job_latency_s": [0.1, 0.2]},
        )
    ],
    missing={"create-onetask plain": "2 of 3 Echoes are not done"},
)


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = REPORT.write(tmp_path / "results")
    assert path.name == "2026-01-02T030405Z-create-onetask.json"
    assert report.read(path) == REPORT


def test_the_name_is_in_utc_and_figures_have_four_digits(tmp_path: Path) -> None:
    """Names sort by time, wherever they were made."""
    east = timezone(timedelta(hours=5))
    (one,) = REPORT.measurements
    precise = replace(one, figures={"reconciles_per_s": 1 / 3})
    path = replace(REPORT, at=datetime(2026, 1, 2, 8, 4, 5, tzinfo=east), measurements=[precise]).write(tmp_path)
    assert path.name.startswith("2026-01-02T030405Z")
    assert json.loads(path.read_text())["measurements"][0]["figures"] == {"reconciles_per_s": 0.3333}
