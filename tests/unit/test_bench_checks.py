"""The checks before any figure: each wrong result has to be found."""

import copy
from typing import Any

import pytest

from bench.checks import WrongResult, demand, job_problems, reconciled, same_objects, until


def echo(name: str = "a", *, generation: int = 1, observed: int | None = 1, successful: str = "True") -> dict[str, Any]:
    status: dict[str, Any] = {"conditions": [{"type": "Successful", "status": successful}]}
    if observed is not None:
        status["observedGeneration"] = observed
    metadata = {"name": name, "uid": f"uid-{name}", "generation": generation}
    return {"metadata": metadata, "spec": {"message": f"message {name}"}, "status": status}


def job(name: str = "a") -> dict[str, Any]:
    container = {"command": ["printf", "%s\\n", f"message {name}"]}
    metadata = {"name": name, "ownerReferences": [{"uid": f"uid-{name}"}]}
    return {"metadata": metadata, "spec": {"template": {"spec": {"containers": [container]}}}}


def changed(obj: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    made = copy.deepcopy(obj)
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return made


def test_each_echo_with_its_own_job_is_right() -> None:
    assert job_problems([echo("a"), echo("b")], [job("b"), job("a")]) == []


@pytest.mark.parametrize(
    ("jobs", "problem"),
    [
        ([], "Echo a has no Job"),
        ([job("a"), job("b")], "Job b has no Echo"),
        ([changed(job(), "metadata", "ownerReferences", to=[])], "Job a belongs to []"),
        ([changed(job(), "metadata", "ownerReferences", 0, "uid", to="x")], "Job a belongs to ['x']"),
        (
            [changed(job(), "spec", "template", "spec", "containers", 0, "command", to=["true"])],
            "Job a runs ['true']",
        ),
    ],
)
def test_each_wrong_job_is_found(jobs: list[dict[str, Any]], problem: str) -> None:
    assert job_problems([echo("a")], jobs) == [problem]


def test_reconciled_is_success_of_the_present_generation() -> None:
    assert reconciled(echo())
    assert not reconciled(echo(successful="False"))
    assert not reconciled(echo(generation=2))
    assert not reconciled({"metadata": {"name": "a", "generation": 1}})


def test_an_operator_that_names_no_generation_is_believed() -> None:
    assert reconciled(echo(observed=None))


def test_a_touched_a_new_and_a_lost_object_are_found() -> None:
    before, after = [echo("a"), echo("b"), echo("c")], [echo("a", generation=2), echo("c"), echo("d")]
    assert same_objects(before, after, by=("uid", "generation")) == ["a was touched", "b was touched", "d was touched"]
    assert same_objects(before, before, by=("uid", "generation")) == []


def test_many_problems_are_named_in_part() -> None:
    demand([])
    with pytest.raises(WrongResult, match=r"^0; 1; 2; 3; 4; 5; 6; 7; 8; 9; and 2 more$"):
        demand([str(number) for number in range(12)])


async def test_waiting_ends_with_what_was_found_or_says_what_was_not() -> None:
    found = iter([None, "", "it"])

    async def look() -> str | None:
        return next(found)

    async def never() -> None:
        return None

    assert await until(look, within_s=5, every_s=0.001, what="it") == "it"
    with pytest.raises(WrongResult, match=r"not within 0\.01 s: the end"):
        await until(never, within_s=0.01, every_s=0.001, what="the end")
