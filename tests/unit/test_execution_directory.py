"""What a run leaves on disk is private while it runs and gone or bounded afterwards."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.execution.directory import RunArea, RunDirectory, remove_tree
from runner.objects import GroupVersionKind, ObjectRef, RunId

GVK = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")
REF = ObjectRef("default", "hello")


@pytest.fixture
def area(tmp_path: Path) -> Iterator[RunArea]:
    area = RunArea.open(tmp_path / "base")
    yield area
    area.close()


def created(path: Path, **options: object) -> RunDirectory:
    directory = RunDirectory(path)
    settings: dict[str, object] = {
        "extra_vars": '{"a": 1}',
        "kubeconfig": "k",
        "cmdline": "--diff",
        "interpreter": "/usr/bin/python3",
        "inventory": None,
    }
    directory.create(**{**settings, **options})  # type: ignore[arg-type]
    return directory


def modes(path: Path) -> dict[str, int]:
    return {str(entry.relative_to(path)): stat.S_IMODE(entry.lstat().st_mode) for entry in path.rglob("*")}


def test_everything_is_private_from_the_start(area: RunArea) -> None:
    old = os.umask(0)
    try:
        directory = created(area.place())
    finally:
        os.umask(old)
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    assert modes(directory.path) == {
        "artifacts": 0o700,
        "env": 0o700,
        "env/cmdline": 0o600,
        "env/extravars": 0o600,
        "inventory": 0o700,
        "inventory/hosts": 0o600,
        "kubeconfig": 0o600,
        "project": 0o700,
        "tmp": 0o700,
    }
    assert (directory.path / "inventory/hosts").read_text() == (
        'localhost ansible_connection=local ansible_python_interpreter="/usr/bin/python3"\n'
    )


def test_a_directory_is_never_reused(area: RunArea) -> None:
    """ansible-runner would take the old run's variables."""
    place = area.place()
    created(place)
    with pytest.raises(FileExistsError):
        created(place)
    assert area.place() != place


def test_an_inventory_is_copied_with_its_programs(area: RunArea, tmp_path: Path) -> None:
    source = tmp_path / "inventory"
    (source / "group_vars").mkdir(parents=True)
    (source / "group_vars" / "all.yml").write_text("a: 1")
    (source / "dynamic").write_text("#!/bin/sh\n")
    (source / "dynamic").chmod(0o755)
    directory = created(area.place(), inventory=source)
    assert modes(directory.inventory) == {"group_vars": 0o700, "group_vars/all.yml": 0o600, "dynamic": 0o700}
    single = created(area.place(), inventory=source / "dynamic")
    assert modes(single.inventory) == {"hosts": 0o700}
    with pytest.raises(FileNotFoundError):
        created(area.place(), inventory=tmp_path / "absent")


def test_the_newest_runs_of_an_object_are_kept(area: RunArea) -> None:
    folder = area.kept(GVK, REF)
    for number in range(4):
        run_id = RunId(f"r{number}")
        directory = created(area.place())
        (directory.artifacts / run_id).mkdir()
        directory.keep(run_id, folder, count=2, output=b"end")
        os.utime(folder / run_id, (number, number))
        directory.remove()
    assert sorted(entry.name for entry in folder.iterdir()) == ["r2", "r3"]
    assert (folder / "r3" / "stdout").read_bytes() == b"end"
    assert folder.parts[-6:] == ("mmontes.io", "v1alpha1", "Echo", "default", "hello", "artifacts")


def test_what_was_kept_of_an_object_goes_with_it(area: RunArea) -> None:
    for ref in (REF, ObjectRef("default", "other"), ObjectRef("", "of-the-cluster")):
        (area.kept(GVK, ref) / "r1").mkdir(parents=True)
    assert len(list(area.all_kept())) == 3
    area.forget(GVK, REF)
    assert not area.kept(GVK, REF).parent.exists()
    assert len(list(area.all_kept())) == 2


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../../etc"])
def test_no_name_leads_out_of_the_base(area: RunArea, tmp_path: Path, name: str) -> None:
    folder = area.kept(GVK, ObjectRef("", name))
    assert folder.resolve() == folder
    assert folder.is_relative_to(tmp_path / "base" / "runner" / "mmontes.io" / "v1alpha1" / "Echo")


def test_leftovers_of_a_dead_operator_are_swept_and_those_of_a_living_one_are_not(tmp_path: Path) -> None:
    base = tmp_path / "base"
    living = RunArea.open(base)
    created(living.place())
    script = (
        "import os, pathlib, sys; from runner.execution.directory import RunArea; "
        "area = RunArea.open(pathlib.Path(sys.argv[1])); (area.place().parent / 'dead').mkdir(); os._exit(0)"
    )
    root = Path(sys.modules["runner"].__file__ or "").parent.parent
    subprocess.run([sys.executable, "-c", script, str(base)], check=True, env={"PYTHONPATH": str(root)})
    assert len(list(base.glob("live/*/dead"))) == 1
    third = RunArea.open(base)
    assert [path.name for path in base.glob("live/*/*/")] == ["1"]
    third.close()
    living.close()
    assert list((base / "live").iterdir()) == []


def test_a_base_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """In a shared /tmp the name can be guessed and prepared."""
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="remove it or set TMPDIR"):
        RunArea.open(tmp_path / "link")


def test_a_base_that_was_open_to_all_is_closed(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir(mode=0o777)
    RunArea.open(base).close()
    assert stat.S_IMODE(base.stat().st_mode) == 0o700


def test_removal_gets_through_closed_directories_and_never_follows_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch(mode=0o640)
    tree = tmp_path / "tree"
    (tree / "closed" / "inner").mkdir(parents=True)
    (tree / "closed" / "inner" / "file").touch()
    (tree / "link").symlink_to(outside)
    (tree / "closed" / "inner").chmod(0)
    (tree / "closed").chmod(0o500)
    remove_tree(tree)
    remove_tree(tree)
    assert not tree.exists()
    assert stat.S_IMODE((outside / "file").stat().st_mode) == 0o640
