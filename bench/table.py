"""Measurements as text: one block a scenario, one column a path, goals beside them. Pure."""

from collections.abc import Sequence

from bench.goals import GOALS, goal_of, verdict
from bench.measurement import FIGURES, Measurement

__all__ = ["block", "grid", "summary"]


def block(title: str, measurements: Sequence[Measurement]) -> str:
    """One scenario: every figure of every path, in the order of `FIGURES`, and what was expected."""
    named = [name for name in FIGURES if any(name in one.figures for one in measurements)]
    header = ["", *(_path(one) for one in measurements), "must", "aim", "reached"]
    rows = [[FIGURES[name].label, *_values(name, measurements), *_goal(name, measurements)] for name in named]
    return f"{title}\n{grid([header, *rows])}"


def summary(measurements: Sequence[Measurement]) -> str:
    """Every goal that was measured, and what came of it; empty where none was."""
    rows = []
    for goal in GOALS:
        found = [one for one in measurements if one.scenario == goal.scenario and goal.figure in one.figures]
        if found:
            values = ", ".join(f"{one.variant} {FIGURES[goal.figure].show(one.figures[goal.figure])}" for one in found)
            label = FIGURES[goal.figure].label.strip()
            rows.append([goal.scenario, label, values, *goal.bounds(), verdict(goal, found)])
    return grid([["goals", "", "measured", "must", "aim", "reached"], *rows]) if rows else ""


def grid(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length as aligned columns; the first row is a header."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    rule = "-" * max(len(line) for line in lines)
    return "\n".join([lines[0], rule, *lines[1:]])


def _path(one: Measurement) -> str:
    return f"{one.variant} ({one.count:,}; {one.workers} at once)"


def _values(name: str, measurements: Sequence[Measurement]) -> list[str]:
    return [FIGURES[name].show(one.figures[name]) if name in one.figures else "" for one in measurements]


def _goal(name: str, measurements: Sequence[Measurement]) -> list[str]:
    goal = goal_of(measurements[0].scenario, name)
    return [*goal.bounds(), verdict(goal, measurements)] if goal else ["", "", ""]
