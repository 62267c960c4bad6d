"""examples/foo: what is made of one source is as that source says."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2] / "examples" / "foo"
SPECS = "roles/foo/meta/argument_specs.yml"
DEFINITION = "config/crd/bases/example.com_foos.yaml"


def generate(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(project / "generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT, tmp_path / "foo"))


def test_what_is_committed_is_what_is_generated() -> None:
    done = generate(PROJECT, "--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", [SPECS, DEFINITION])
def test_file_that_was_changed_by_hand_is_named_and_put_right(copy: Path, name: str) -> None:
    before = (copy / name).read_text(encoding="utf-8")
    (copy / name).write_text(before + "\n", encoding="utf-8")
    assert generate(copy, "--check").stderr == f"{name} is not what api.yaml says; run python generate.py\n"
    assert generate(copy).returncode == 0
    assert (copy / name).read_text(encoding="utf-8") == before


def test_field_that_is_added_to_the_source_comes_into_every_version_and_into_the_role(copy: Path) -> None:
    api = yaml.safe_load((copy / "api.yaml").read_text(encoding="utf-8"))
    api["fields"]["colour"] = {"description": "Its colour.", "type": "string", "enum": ["red", "blue"]}
    (copy / "api.yaml").write_text(yaml.safe_dump(api), encoding="utf-8")
    assert generate(copy).returncode == 0
    crd = yaml.safe_load((copy / DEFINITION).read_text(encoding="utf-8"))
    wanted = {"description": "Its colour.", "type": "string", "enum": ["red", "blue"]}
    schemas = [version["schema"]["openAPIV3Schema"] for version in crd["spec"]["versions"]]
    assert [schema["properties"]["colour"] for schema in schemas] == [wanted, wanted]
    specs = yaml.safe_load((copy / SPECS).read_text(encoding="utf-8"))
    option = specs["argument_specs"]["main"]["options"]["_example_com_foo"]["options"]["colour"]
    assert option == {"description": "Its colour.", "type": "str", "choices": ["red", "blue"]}


def test_exactly_one_version_is_stored_and_all_have_one_schema() -> None:
    """Without a webhook the API server hands objects over as they stand, so the versions can't differ."""
    crd = yaml.safe_load((PROJECT / DEFINITION).read_text(encoding="utf-8"))
    versions = crd["spec"]["versions"]
    assert [(version["name"], version["storage"]) for version in versions] == [("v1beta1", True), ("v1alpha1", False)]
    assert versions[0]["schema"] == versions[1]["schema"]
    assert crd["spec"]["conversion"] == {"strategy": "None"}
