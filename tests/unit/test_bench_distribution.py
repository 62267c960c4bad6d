"""Statistics that the benchmark's figures rest on."""

import pytest

from bench.distribution import percentile, percentiles, slope, tenths_difference


@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    [(1, 50, 1), (1, 99, 1), (2, 50, 1), (3, 50, 2), (100, 50, 50), (100, 95, 95), (100, 99, 99), (101, 99, 100),
     (10, 0, 1), (10, 100, 10)],
)  # fmt: skip
def test_percentile_is_the_smallest_value_that_covers_the_share(count: int, percent: float, expected: float) -> None:
    """Nearest rank: always a value that was measured, never one in between."""
    assert percentile([float(value) for value in range(count, 0, -1)], percent) == expected


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_percentiles_are_named_with_their_unit() -> None:
    assert percentiles([2.0, 1.0], "run") == {"run_p50_s": 1.0, "run_p95_s": 2.0, "run_p99_s": 2.0}


def test_slope_of_a_line_is_its_own_and_of_noise_around_it_nearly_so() -> None:
    xs = [float(x) for x in range(100)]
    assert slope(xs, [3 + 0.5 * x for x in xs]) == pytest.approx(0.5)
    assert slope(xs, [3 + 0.5 * x + (-1) ** int(x) for x in xs]) == pytest.approx(0.5, abs=0.01)
    assert slope(xs, [7.0 for _ in xs]) == 0


def test_slope_of_one_place_is_refused() -> None:
    with pytest.raises(ValueError, match="same place"):
        slope([1.0, 1.0], [1.0, 2.0])


def test_tenths_difference_compares_means_of_both_ends() -> None:
    values = [1.0, 3.0, *[100.0] * 16, 10.0, 12.0]
    assert tenths_difference(values) == 9.0
    assert tenths_difference([1.0, 5.0]) == 4.0
