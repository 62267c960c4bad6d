"""However many objects there are: what is kept of their runs does not fill the disk."""

import os
from pathlib import Path

import pytest

from runner.content import Content
from runner.execution.directory import RunArea, remove_tree
from runner.execution.outcome import RunOutcome, Verdict
from runner.execution.run import RunSpec
from runner.execution.shelf import Shelf, Shelved
from runner.objects import GroupVersionKind, ObjectRef, RunId

GVK = GroupVersionKind("g", "v1", "Echo")
BLOCK = 4096


def kept(folder: Path, name: str, *, blocks: int, age: float = 0) -> Path:
    """A run that takes so many blocks of 4 KiB, the directory of its events among them."""
    run = folder / name
    (run / "job_events").mkdir(parents=True)
    for number in range(blocks - 1):
        (run / "job_events" / str(number)).write_bytes(b"x" * BLOCK)
    os.utime(run, (1000 - age, 1000 - age))
    return run


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_runs_together_stay_below_their_limit(tmp_path: Path) -> None:
    """The oldest goes first, whosever it is."""
    shelf = Shelf([], limit_bytes=12 * BLOCK)
    for number in range(6):
        shelf.put(kept(tmp_path, f"r{number}", blocks=4))
        assert len(names(tmp_path)) <= 3
    assert names(tmp_path) == ["r4", "r5"]


def test_what_an_operator_before_left_counts_by_its_age(tmp_path: Path) -> None:
    runs = [kept(tmp_path, name, blocks=4, age=age) for name, age in (("new", 1), ("old", 9), ("middle", 5))]
    Shelf(runs, limit_bytes=9 * BLOCK)
    assert names(tmp_path) == ["middle", "new"]


def test_what_has_gone_meanwhile_makes_room(tmp_path: Path) -> None:
    """A run that its own object has replaced must not cost another one its place."""
    shelf = Shelf([], limit_bytes=12 * BLOCK)
    for name in ("a", "b", "c"):
        shelf.put(kept(tmp_path, name, blocks=4))
    (tmp_path / "b").rename(tmp_path.parent / "elsewhere")
    shelf.put(kept(tmp_path, "d", blocks=4))
    assert names(tmp_path) == ["a", "c", "d"]


def test_what_it_knows_of_runs_that_have_gone_does_not_pile_up(tmp_path: Path) -> None:
    """An object that is looked at for months keeps its newest runs; the others must not cost memory."""
    shelf = Shelf([], limit_bytes=1 << 40)
    for number in range(1000):
        run = kept(tmp_path, f"r{number}", blocks=1)
        shelf.put(run)
        remove_tree(run)
    assert len(shelf) < 200


@pytest.mark.parametrize(("max_artifacts", "expected"), [(0, 2), (1, 1)])
async def test_a_run_that_keeps_something_makes_room_for_it(tmp_path: Path, max_artifacts: int, expected: int) -> None:
    area = RunArea.open(tmp_path)
    one, other = (ObjectRef("a", name) for name in ("x", "y"))
    kept(area.kept(GVK, one), "old", blocks=4)
    kept(area.kept(GVK, other), "new", blocks=4)
    shelf = Shelf([area.kept(GVK, one) / "old"], limit_bytes=6 * BLOCK)

    async def execute(spec: RunSpec) -> RunOutcome:
        return RunOutcome(run_id=spec.run_id, verdict=Verdict.SUCCEEDED, return_code=0, stats=None)

    spec = RunSpec(
        run_id=RunId("new"),
        gvk=GVK,
        ref=other,
        content=Content(),
        extra_vars={},
        kubeconfig="",
        max_artifacts=max_artifacts,
    )
    assert (await Shelved(execute, area, shelf)(spec)).succeeded
    assert len(list(area.all_kept())) == expected
    area.close()
