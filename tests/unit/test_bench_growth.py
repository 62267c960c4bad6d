"""Growth of memory, from samples."""

import pytest

from bench.scenarios.growth import Sample, growth_figures


def samples(*, operator_mb_per_1000: float, warm: bool = True) -> list[Sample]:
    return [
        Sample(
            reconciles=50 * index,
            operator_mb=60 + operator_mb_per_1000 * 50 * index / 1000,
            warm_mb=80.0 if warm else None,
            warm_pid=(100 if index < 50 else 200) if warm else None,
        )
        for index in range(100)
    ]


def test_a_leak_is_found_with_its_size_and_what_does_not_leak_is_not() -> None:
    figures = growth_figures(samples(operator_mb_per_1000=2))
    assert figures["operator_growth_mb_per_1000"] == pytest.approx(2)
    assert figures["operator_growth_mb"] == pytest.approx(9.0)
    assert figures["warm_growth_mb_per_1000"] == 0
    assert figures["warm_growth_mb"] == 0
    assert figures["warm_parents"] == 2


def test_without_a_warm_parent_nothing_is_said_of_it() -> None:
    assert growth_figures(samples(operator_mb_per_1000=0, warm=False)).keys() == {
        "operator_growth_mb_per_1000",
        "operator_growth_mb",
    }
