"""Statistics of samples, pure: percentiles by nearest rank, least-squares slope, first tenth against last."""

import math
from collections.abc import Sequence
from statistics import fmean

__all__ = ["percentile", "percentiles", "slope", "tenths_difference"]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values do not exceed. Always one of the values."""
    if not values:
        raise ValueError("no values")
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def percentiles(values: Sequence[float], prefix: str) -> dict[str, float]:
    """Figures `<prefix>_p50_s`, `_p95_s`, `_p99_s` of durations in seconds."""
    return {f"{prefix}_p{percent}_s": percentile(values, percent) for percent in (50, 95, 99)}


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """How much `y` grows for each 1 of `x`, on the line of least squares."""
    middle_x, middle_y = fmean(xs), fmean(ys)
    spread = math.fsum((x - middle_x) ** 2 for x in xs)
    if not spread:
        raise ValueError("all samples were taken at the same place: they have no slope")
    return math.fsum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread


def tenths_difference(values: Sequence[float]) -> float:
    """Mean of the last tenth less mean of the first; tenths hold at least one value."""
    tenth = max(1, len(values) // 10)
    return fmean(values[-tenth:]) - fmean(values[:tenth])
