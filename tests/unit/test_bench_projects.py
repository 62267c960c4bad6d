"""The benchmark's own projects are what their scenarios say they are."""

from pathlib import Path

import pytest
import yaml

from bench.rig import PROJECTS
from runner import watches
from runner.content import SearchPath

FILES = sorted(PROJECTS.glob("*/watches*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_project_is_accepted_without_a_warning(file: Path) -> None:
    """The operator is started with `--strict`."""
    loaded = watches.load(file, search=SearchPath.of(file.parent, {}), environment={})
    assert list(loaded.warnings) == []
    assert [watch.gvk.kind for watch in loaded.watches] == ["Echo"]


def tasks(project: str) -> list[dict[str, object]]:
    file = PROJECTS / project / "roles" / project / "tasks" / "main.yml"
    found: list[dict[str, object]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def test_onetask_has_one_task_and_sets_nothing_that_only_one_runtime_knows() -> None:
    """Or it would not be what other operators are measured with."""
    assert [task.keys() - {"name"} for task in tasks("onetask")] == [{"kubernetes.core.k8s"}]
    (watch,) = yaml.safe_load((PROJECTS / "onetask" / "watches.yaml").read_text(encoding="utf-8"))
    assert watch.keys() == {"version", "group", "kind", "role"}


def test_tentask_has_ten_tasks_for_ten_objects() -> None:
    found = tasks("tentask")
    assert [task["ansible.builtin.import_tasks"] for task in found] == ["configmap.yml"] * 10
    assert [task["vars"] for task in found] == [{"tentask_number": number} for number in range(10)]
