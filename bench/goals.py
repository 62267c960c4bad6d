"""What is expected of which figure: `must` and `aim`. Says whether they are reached; nothing fails by it."""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.measurement import FIGURES, Measurement

__all__ = ["GOALS", "Goal", "goal_of", "verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound for one figure of one scenario."""

    scenario: str
    figure: str
    must: float
    aim: float
    at_least: bool = False
    """The figure has to reach the bound; else to stay at or below it."""

    def reached(self, value: float) -> str:
        """`aim`, `must` or `no`, for the value as it is shown."""
        value = FIGURES[self.figure].rounded(value)
        for name, bound in (("aim", self.aim), ("must", self.must)):
            if value >= bound if self.at_least else value <= bound:
                return name
        return "no"

    def bounds(self) -> tuple[str, str]:
        """`must` and `aim` as people write them."""
        sign, figure = "≥" if self.at_least else "≤", FIGURES[self.figure]
        return f"{sign} {figure.show(self.must)}", f"{sign} {figure.show(self.aim)}"


def _both(figure: str, must: float, aim: float, *scenarios: str) -> list[Goal]:
    return [Goal(scenario=scenario, figure=figure, must=must, aim=aim) for scenario in scenarios]


GOALS: tuple[Goal, ...] = (
    Goal(scenario="create-onetask", figure="reconciles_per_s", must=10, aim=20, at_least=True),
    Goal(scenario="create-shipped", figure="reconciles_per_s", must=6, aim=12, at_least=True),
    Goal(scenario="create-onetask", figure="cpu_per_reconcile_s", must=0.12, aim=0.06),
    *_both("job_latency_p50_s", 0.25, 0.1, "latency", "latency-shipped"),
    *_both("job_latency_p99_s", 0.6, 0.25, "latency", "latency-shipped"),
    Goal(scenario="ten-tasks", figure="reconcile_mean_s", must=1.5, aim=0.4),
    Goal(scenario="noop-resync", figure="writes", must=0, aim=0),
    Goal(scenario="noop-resync", figure="runtime_reads_per_reconcile", must=2, aim=2),
    *_both("start_to_first_reconcile_s", 3, 1.5, "start", "idle"),
    Goal(scenario="idle", figure="operator_peak_rss_mb", must=300, aim=150),
    Goal(scenario="idle", figure="listed_and_queued_s", must=20, aim=8),
    # 5 MB over 5,000 reconciles, as a slope: it can be told from fewer.
    Goal(scenario="growth", figure="operator_growth_mb_per_1000", must=1, aim=0),
    Goal(scenario="growth", figure="warm_growth_mb_per_1000", must=1, aim=0),
    Goal(scenario="create-with-node", figure="most_runs_of_an_object", must=2, aim=2),
)


def goal_of(scenario: str, figure: str) -> Goal | None:
    return next((goal for goal in GOALS if goal.scenario == scenario and goal.figure == figure), None)


def verdict(goal: Goal, measurements: Iterable[Measurement]) -> str:
    """Which bound each path reaches: `warm aim, plain no`; empty where the figure was not measured."""
    found = [one for one in measurements if one.scenario == goal.scenario and goal.figure in one.figures]
    return ", ".join(f"{one.variant} {goal.reached(one.figures[goal.figure])}" for one in found)
