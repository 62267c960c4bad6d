"""Durations are Go's: existing watches.yaml files and annotations are written that way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("30s", 30),
        ("300ms", 0.3),
        ("1.5h", 5400),
        ("2h45m", 9900),
        ("-1m", -60),
        ("+1m", 60),
        (".5s", 0.5),
        ("1h0m0.5s", 3600.5),
        ("100us", 1e-4),
        ("100µs", 1e-4),
    ],
)
def test_parses_what_go_parses(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "1d", "1h ", "1h-5m", "1,5h", "--1s", "1.2.3s", "-"])
def test_refuses_what_go_refuses_and_names_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="write numbers with units"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (5400, "1h30m0s"), (0.25, "250ms"), (61, "1m1s"), (-2, "-2s"), (36000, "10h0m0s")]
)
def test_writes_as_go_writes(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_written_reads_back(milliseconds: int) -> None:
    """A duration shown to a user can be pasted into a setting."""
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=2e-3)
