"""Goals: judged as shown, and only about what can be measured."""

import pytest

from bench.goals import GOALS, Goal, goal_of, verdict
from bench.measurement import FIGURES, Measurement
from bench.scenarios import SCENARIOS


def measured(value: float, *, variant: str = "warm", scenario: str = "latency") -> Measurement:
    return Measurement(
        scenario=scenario,
        variant=variant,
        count=1,
        workers=1,
        figures={"job_latency_p50_s": value},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("value", "reached"), [(0.05, "aim"), (0.1, "aim"), (0.1004, "aim"), (0.101, "must"), (0.25, "must"), (0.26, "no")]
)
def test_a_bound_from_above_is_reached_at_or_below_it(value: float, reached: str) -> None:
    """What is shown as 0.100 s counts as 0.100 s."""
    assert Goal(scenario="latency", figure="job_latency_p50_s", must=0.25, aim=0.1).reached(value) == reached


@pytest.mark.parametrize(("value", "reached"), [(9.99, "no"), (10.0, "must"), (19.99, "must"), (20.0, "aim")])
def test_a_bound_from_below_is_reached_at_or_above_it(value: float, reached: str) -> None:
    goal = Goal(scenario="create-onetask", figure="reconciles_per_s", must=10, aim=20, at_least=True)
    assert goal.reached(value) == reached
    assert goal.bounds() == ("≥ 10.00", "≥ 20.00")


def test_every_goal_is_about_a_scenario_and_a_figure_that_exist() -> None:
    """One that is misspelled would never be missed."""
    assert {goal.scenario for goal in GOALS} <= {scenario.name for scenario in SCENARIOS}
    assert {goal.figure for goal in GOALS} <= FIGURES.keys()


def test_a_verdict_names_each_path_that_was_measured_and_no_other_scenario() -> None:
    goal = goal_of("latency", "job_latency_p50_s")
    assert goal is not None
    found = [measured(0.08), measured(1.5, variant="plain"), measured(9, scenario="start")]
    assert verdict(goal, found) == "warm aim, plain no"
    assert verdict(goal, []) == ""


def test_a_figure_without_a_label_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="speed"):
        Measurement(scenario="x", variant="warm", count=1, workers=1, figures={"speed": 1.0})


def test_a_tiny_shrinking_is_shown_without_a_sign() -> None:
    assert FIGURES["operator_growth_mb"].show(-0.001) == "0.00 MB"
    assert FIGURES["operator_growth_mb"].show(-0.01) == "-0.01 MB"
