"""The picture of a report: throughput as bars, latency as ranges from p50 to p99, one colour a path. Pure but `main`.

Draws a JSON file of bench/results again: `python -m bench.picture FILE`.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import report, svg
from bench.goals import goal_of
from bench.measurement import FIGURES, VARIANTS, Measurement
from bench.report import Report

__all__ = ["draw", "main"]

_WIDTH, _MARGIN, _LABELS, _VALUES = 900.0, 24.0, 230.0, 150.0
_ROW, _BAR = 22.0, 12.0
_LEFT, _RIGHT = _MARGIN + _LABELS, _WIDTH - _MARGIN - _VALUES

_THROUGHPUT = "reconciles_per_s"
_LATENCY = ("job_latency_p50_s", "job_latency_p95_s", "job_latency_p99_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """Where a value stands, between the left and the right edge."""

    ticks: Sequence[float]
    place: Callable[[float], float]

    @classmethod
    def linear(cls, highest: float) -> "_Axis":
        """From 0 to a round number above `highest`, in at most five steps."""
        step = _round_up(highest / 5)
        end = step * max(1, math.ceil(highest / step))
        return cls(
            ticks=[step * index for index in range(round(end / step) + 1)],
            place=lambda value: _LEFT + (_RIGHT - _LEFT) * value / end,
        )

    @classmethod
    def decades(cls, lowest: float, highest: float) -> "_Axis":
        """From the power of ten below to the one above, each decade as wide as the other."""
        first, last = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
        last = max(last, first + 1)
        return cls(
            ticks=[10.0**power for power in range(first, last + 1)],
            place=lambda value: _LEFT + (_RIGHT - _LEFT) * (math.log10(value) - first) / (last - first),
        )


def draw(drawn: Report) -> str | None:
    """The report as SVG; `None`: it has neither throughput nor latency to show."""
    throughput = [one for one in drawn.measurements if _THROUGHPUT in one.figures]
    latency = [one for one in drawn.measurements if _LATENCY[0] in one.figures]
    if not throughput and not latency:
        return None
    shapes, y = _head(drawn)
    for draw_panel, found in ((_throughput, throughput), (_latency, latency)):
        if found:
            panel, y = draw_panel(found, y)
            shapes += panel
    description = f"Throughput and latency of {drawn.scenario_set}, {drawn.at:%Y-%m-%d}"
    return svg.document(_WIDTH, y, shapes, description=description)


def _head(drawn: Report) -> tuple[list[svg.Shape], float]:
    machine, versions = drawn.machine, drawn.versions
    subject = f"{versions['commit']}, {drawn.at:%Y-%m-%d}"
    place = f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['memory_gb']} GB"
    used = f"ansible-core {versions['ansible-core']}, Python {versions['python']}"
    server = f"Kubernetes {versions['kubernetes-server']}"
    shapes = [
        svg.text(_MARGIN, 34, "Throughput and latency", style="title"),
        svg.text(_MARGIN, 54, f"{subject} · {used}, {server}", style="quiet"),
        svg.text(_MARGIN, 71, place, style="quiet"),
    ]
    x, y = _MARGIN, 84
    for variant in VARIANTS:
        if any(one.variant == variant for one in drawn.measurements):
            shapes += [svg.rectangle(x, y, 12, 12, style=variant), svg.text(x + 18, y + 10, variant)]
            x += 80
    for bound in ("must", "aim"):
        shapes += [svg.line(x + 6, y, x + 6, y + 12, style=bound), svg.text(x + 18, y + 10, bound)]
        x += 80
    return shapes, y + 26.0


def _throughput(found: Sequence[Measurement], top: float) -> tuple[list[svg.Shape], float]:
    goals = [goal_of(one.scenario, _THROUGHPUT) for one in found]
    bounds = [bound for goal in goals if goal for bound in (goal.must, goal.aim)]
    axis = _Axis.linear(max([one.figures[_THROUGHPUT] for one in found] + bounds))
    shapes, y = _frame(
        "Reconciles per second; create-* from the first request to the last status", axis, len(found), top
    )
    for one, goal in zip(found, goals, strict=True):
        value = one.figures[_THROUGHPUT]
        end = axis.place(value)
        shapes += [_label(one, y), svg.rectangle(_LEFT, y, end - _LEFT, _BAR, style=one.variant)]
        for style, bound in (("must", goal.must), ("aim", goal.aim)) if goal else ():
            shapes.append(svg.line(axis.place(bound), y - 3, axis.place(bound), y + _BAR + 3, style=style))
        shapes.append(svg.text(_RIGHT + 12, y + _BAR - 2, FIGURES[_THROUGHPUT].show(value)))
        y += _ROW
    return shapes, y + 30


def _latency(found: Sequence[Measurement], top: float) -> tuple[list[svg.Shape], float]:
    values = [one.figures[name] for one in found for name in _LATENCY]
    axis = _Axis.decades(max(min(values), 1e-3), max(*values, 1e-3))
    shapes, y = _frame("Seconds from resource to Job, p50 to p99; all at once but for latency*", axis, len(found), top)
    for one in found:
        values = [one.figures[name] for name in _LATENCY]
        places = [axis.place(max(value, 1e-3)) for value in values]
        middle = y + _BAR / 2
        shapes += [_label(one, y), svg.line(places[0], middle, places[-1], middle, style=f"range {one.variant}")]
        shapes += [svg.circle(place, middle, 4, style=one.variant) for place in places]
        shown = " / ".join(f"{value:.2f}" for value in values)
        shapes.append(svg.text(_RIGHT + 12, y + _BAR - 2, f"{shown} s"))
        y += _ROW
    return shapes, y + 30


def _frame(heading: str, axis: _Axis, rows: int, top: float) -> tuple[list[svg.Shape], float]:
    """Heading, ticks and grid of a panel, and where its first row begins."""
    first, last = top + 34, top + 34 + rows * _ROW
    shapes = [svg.text(_MARGIN, top + 18, heading, style="heading")]
    for tick in axis.ticks:
        x = axis.place(tick)
        shapes += [
            svg.line(x, first - 6, x, last, style="axis"),
            svg.text(x, last + 14, f"{tick:g}", anchor="middle", style="quiet"),
        ]
    return shapes, first


def _label(one: Measurement, y: float) -> svg.Shape:
    return svg.text(_LEFT - 10, y + _BAR - 2, f"{one.scenario}, {one.variant} ({one.count:,})", anchor="end")


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((factor * power for factor in (1, 2, 5) if factor * power >= value), 10 * power)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.picture", description="Draw a result file again.")
    parser.add_argument("file", type=Path, help="a JSON file of bench/results")
    path: Path = parser.parse_args().file
    drawn = draw(report.read(path))
    if drawn is None:
        print("nothing to draw: no throughput and no latency in this file")
        return 1
    path.with_suffix(".svg").write_text(drawn, encoding="utf-8")
    print(path.with_suffix(".svg"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
