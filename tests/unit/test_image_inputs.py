"""What names a build: everything that reaches an image counts, nothing else does."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.image import build, inputs

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_only_a_list_of_what_gets_in_is_taken() -> None:
    assert inputs.allowed("# why\n*\n!a\n!b/c\n**/__pycache__\n") == ["a", "b/c"]
    with pytest.raises(ValueError, match="first line must be"):
        inputs.allowed(".git\n")


def test_all_that_the_dockerfile_takes_from_the_project_is_let_in_and_exists() -> None:
    """A path that `.dockerignore` hides would fail a build in minutes; here it fails in milliseconds."""
    instructions = DOCKERFILE.replace("\\\n", " ")
    sources = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", instructions, re.MULTILINE)
        for source in line.split()[:-1]
    } | set(re.findall(r"type=bind,source=([^,\s]+)", instructions))
    assert sources == set(inputs.allowed((ROOT / ".dockerignore").read_text(encoding="utf-8")))
    assert [source for source in sources if not (ROOT / source).exists()] == []


def project(path: Path) -> Path:
    (path / "roles" / "__pycache__").mkdir(parents=True)
    (path / ".dockerignore").write_text("*\n!roles\n!watches.yaml\n")
    (path / "Dockerfile").write_text("FROM x\n")
    (path / "watches.yaml").write_text("[]\n")
    (path / "roles" / "main.yml").write_text("---\n")
    (path / "roles" / "link").symlink_to("main.yml")
    return path


def test_a_checkouts_modes_times_and_bytecode_change_nothing(tmp_path: Path) -> None:
    here = project(tmp_path / "a")
    before = inputs.digest(here)
    (here / "README.md").write_text("not let in\n")
    (here / "roles" / "__pycache__" / "x.pyc").write_bytes(b"x")
    (here / "roles" / "main.yml").chmod(0o600)
    shutil.copytree(here, tmp_path / "b", symlinks=True)
    assert inputs.digest(here) == inputs.digest(tmp_path / "b") == before


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore", "watches.yaml", "roles/main.yml"])
def test_each_content_counts(tmp_path: Path, name: str) -> None:
    here = project(tmp_path / "a")
    before = inputs.digest(here)
    (here / name).write_text((here / name).read_text() + "# more\n")
    assert inputs.digest(here) != before


def test_a_links_aim_and_a_files_name_count(tmp_path: Path) -> None:
    here = project(tmp_path / "a")
    seen = {inputs.digest(here)}
    (here / "roles" / "link").unlink()
    (here / "roles" / "link").symlink_to("other.yml")
    seen.add(inputs.digest(here))
    (here / "roles" / "main.yml").rename(here / "roles" / "other.yml")
    seen.add(inputs.digest(here))
    assert len(seen) == 3


def test_parts_of_a_key_do_not_run_together() -> None:
    assert inputs.key("ab", "c") != inputs.key("a", "bc")


def test_the_base_that_is_looked_for_is_the_dockerfiles() -> None:
    assert f"ARG BASE_IMAGE={build.DEFAULT_BASE}\n" in DOCKERFILE


def test_the_dockerfile_has_no_faults_that_hadolint_knows() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
