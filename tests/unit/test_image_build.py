"""How an image is built: which engine, with which words, and what a failure says."""

import io
import itertools
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.progress import Progress
from scripts.image import build, debian, engines, steps
from scripts.image.build import Wish
from scripts.image.engines import Engine, Recipe
from scripts.image.errors import NoEngineError, NotOnRuntimeError, StepFailedError
from scripts.image.project import Project, build_project

RECIPE = Recipe(
    root=Path("/project"),
    target="operator",
    name="localhost/x:dev",
    arguments={"BASE_IMAGE": "base:1", "VERSION": "1", "REVISION": "abc"},
    epoch=7,
    ca=Path("/ca"),
)
BUILDAH = engines.buildah(Path("/place"), driver="overlay", temporary=Path("/place/tmp"))
ENGINES = [Engine(program="docker"), Engine(program="podman"), BUILDAH]


def by_program(engine: Engine) -> str:
    return engine.program


@pytest.mark.parametrize(
    ("working", "wanted", "expected"),
    [
        ({"docker", "podman", "buildah"}, "", "docker"),
        ({"podman", "buildah"}, "", "podman"),
        ({"buildah"}, "", "buildah"),
        (set(), "", None),
        ({"docker", "buildah"}, "buildah", "buildah"),
        ({"buildah"}, "docker", None),
    ],
)
def test_the_first_engine_that_works_is_taken_and_a_named_one_is_never_replaced(
    working: set[str], wanted: str, expected: str | None
) -> None:
    assert engines.choose(wanted, working.__contains__) == expected


@pytest.mark.parametrize("engine", ENGINES, ids=by_program)
def test_every_engine_is_told_the_same(engine: Engine) -> None:
    command = engine.build(RECIPE)
    pairs = list(itertools.pairwise(command))
    for pair in (
        ("--target", "operator"),
        ("--tag", "localhost/x:dev"),
        ("--secret", "id=ca,src=/ca"),
        ("--build-arg", "BASE_IMAGE=base:1"),
        ("--build-arg", "VERSION=1"),
        ("--build-arg", "REVISION=abc"),
    ):
        assert pair in pairs
    assert "--no-cache" not in command
    assert "--no-cache" in engine.build(RECIPE, anew=True)
    assert "--target" not in engine.build(replace(RECIPE, target=""))


def test_the_dockerfile_is_told_base_version_and_revision_and_of_an_init_where_there_is_one() -> None:
    wish = Wish(root=Path("/project"), target="operator", name="n", version="1", revision="abc")
    told = {"BASE_IMAGE": "base:1", "VERSION": "1", "REVISION": "abc"}
    assert build._recipe(wish, "base:1").arguments == told
    assert build._recipe(replace(wish, init="debian:1"), "base:1").arguments == {**told, "INIT_IMAGE": "debian:1"}


@pytest.mark.parametrize("engine", ENGINES, ids=by_program)
def test_the_time_of_files_is_asked_for_as_the_engine_has_it(engine: Engine) -> None:
    command = engine.build(RECIPE)
    assert ("--timestamp" in command) is engine.keeps_times
    assert ("SOURCE_DATE_EPOCH=7" in command) is not engine.keeps_times


@pytest.mark.parametrize(
    "command",
    [
        BUILDAH.build(RECIPE),
        BUILDAH.save("n", Path("a")),
        BUILDAH.load(Path("a")),
        BUILDAH.load(Path("a"), saved_as="n"),
        BUILDAH.pull("n"),
        BUILDAH.tidy(),
    ],
)
def test_buildah_works_in_our_store_alone(command: list[str]) -> None:
    """`rm --all` in the user's own would remove containers of theirs."""
    assert command[1:5] == ["--root", "/place/storage", "--runroot", "/place/run"]


@pytest.mark.parametrize("engine", ENGINES, ids=by_program)
def test_what_an_engine_has_saved_it_takes_back(engine: Engine) -> None:
    """buildah has to be told the form of an archive, the others find out."""
    words = engine.load(Path("/a.tar"), saved_as="localhost/x:dev")
    assert words[-1] == ("oci-archive:/a.tar:localhost/x:dev" if engine is BUILDAH else "/a.tar")
    assert words[-1] in engine.save("localhost/x:dev", Path("/a.tar"))


def test_engines_with_a_store_of_the_users_are_not_tidied() -> None:
    assert [engine.tidy() for engine in ENGINES[:2]] == [None, None]


def test_a_base_of_debians_packages_holds_nothing_of_the_machine() -> None:
    command = debian.command(Path("x.tar"))
    assert command[-2:] == ["trixie", "x.tar"]
    assert any("etc/hostname" in word and "etc/resolv.conf" in word for word in command)


def quiet() -> Progress:
    return Progress(quiet=True)


def test_a_step_that_fails_shows_the_end_of_what_it_said(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "step.log"
    script = "import sys; print(*range(100), sep='\\n'); print('the reason', file=sys.stderr); sys.exit(3)"
    with pytest.raises(StepFailedError) as caught:
        steps.run("baking", [sys.executable, "-c", script], log=log, progress=quiet())
    shown = str(caught.value).splitlines()
    assert shown[0] == f"baking failed; {log} ends with:"
    assert "the reason" in "".join(shown)
    assert len(shown) == 21
    assert "0\n" in log.read_text()


def test_a_program_that_is_not_there_is_a_step_that_failed(tmp_path: Path) -> None:
    with pytest.raises(StepFailedError, match="no-such-program"):
        steps.run("baking", ["no-such-program"], log=tmp_path / "log", progress=quiet())


def test_a_step_is_shown_from_its_start(tmp_path: Path) -> None:
    stream = io.StringIO()
    steps.run("baking", [sys.executable, "-c", ""], log=tmp_path / "log", progress=Progress(stream=stream))
    assert stream.getvalue().startswith("  baking ...\n  baking: done in ")


def test_an_answer_is_none_where_the_program_fails_or_is_missing() -> None:
    assert steps.answer([sys.executable, "-c", "print(' x ')"]) == "x"
    assert steps.answer([sys.executable, "-c", "raise SystemExit(1)"]) is None
    assert steps.answer(["no-such-program"]) is None


def test_an_engine_that_was_named_and_does_not_work_is_an_error_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHOPERATOR_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoEngineError, match=r"ENGINE=podman: podman info .* fails here; leave ENGINE out"):
        build.build(Wish(root=tmp_path, target="operator", name="n", engine="podman"), quiet())


@pytest.mark.parametrize("text", [None, "FROM quay.io/somebody/ansible-operator:v1\n# ARG RUNTIME\n"])
def test_a_project_that_can_not_be_given_the_runtime_is_told_how(text: str | None, tmp_path: Path) -> None:
    """Before anything is built: the image would be made on something else."""
    dockerfile = tmp_path / "Dockerfile"
    if text is not None:
        dockerfile.write_text(text, encoding="utf-8")
    runtime = Wish(root=tmp_path, target="base", name="n", engine="podman")
    with pytest.raises(NotOnRuntimeError, match="no such file" if text is None else "ARG RUNTIME=") as caught:
        build_project(Project(root=tmp_path, name="p", runtime=runtime), quiet())
    assert str(dockerfile) in str(caught.value)


def test_a_result_is_copied_in_one_step(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "dist" / "b"
    source.write_bytes(b"x")
    build.copy(source, target)
    assert target.read_bytes() == b"x"
    assert list(target.parent.iterdir()) == [target]
