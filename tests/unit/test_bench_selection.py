"""What a call measures, and how often."""

import pytest

from bench.scenarios import SCENARIOS
from bench.selection import SelectionError, select


def plan(*names: str, **options: object) -> list[tuple[str, str, int]]:
    return [(one.scenario.name, one.variant, one.count) for one in select(names, **options)]  # type: ignore[arg-type]


def test_a_scenario_by_name_is_measured_with_the_counts_of_its_goal_on_both_paths() -> None:
    assert plan("create-onetask") == [("create-onetask", "warm", 1000), ("create-onetask", "plain", 40)]


def test_without_a_name_the_default_set_is_measured_and_the_node_is_not_in_it() -> None:
    """A node changes the machine: only who asks for it by name gets it, or who asks for all."""
    names = {name for name, _, _ in plan()}
    assert names == {scenario.name for scenario in SCENARIOS if scenario.brief is not None}
    assert "create-with-node" not in names
    assert plan() == plan("default")
    assert {name for name, _, _ in plan("all")} == {scenario.name for scenario in SCENARIOS}


def test_a_count_is_for_the_warm_path_and_never_raises_that_of_a_slow_one() -> None:
    assert plan("create-onetask", count=20) == [("create-onetask", "warm", 20), ("create-onetask", "plain", 20)]
    assert plan("create-onetask", count=5000)[1] == ("create-onetask", "plain", 40)
    assert plan("create-onetask", count=20, slow_count=3)[1] == ("create-onetask", "plain", 3)


def test_a_count_is_for_the_only_path_too() -> None:
    assert plan("create-onetask", variants=["plain"], count=7) == [("create-onetask", "plain", 7)]
    assert plan("growth", variants=["plain"], count=7) == [("growth", "plain", 7)]


def test_a_peer_without_a_name_is_measured_where_it_can_be_and_beside_ours() -> None:
    names = ("create-onetask", "latency", "start")
    paths = ("warm", "plain", "peer")
    assert [(name, path) for name, path, _ in plan(peer=True)] == [(name, path) for name in names for path in paths]
    assert ("growth", "peer") not in {(name, path) for name, path, _ in plan("growth", peer=True)}


def test_a_peer_is_not_measured_where_none_was_given() -> None:
    with pytest.raises(SelectionError, match="nothing to measure"):
        plan("create-onetask", variants=["peer"])


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(SelectionError, match=r"no such scenario: craete \(have: create-onetask, .*default, all\)"):
        plan("latency", "craete")


def test_a_path_without_a_usual_count_needs_one() -> None:
    with pytest.raises(SelectionError, match="say how many"):
        plan("growth", variants=["plain"])
