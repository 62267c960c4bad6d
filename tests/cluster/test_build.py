"""Finding and building binaries, with a Go of the tests' own that only writes a script."""

import io
import threading
from pathlib import Path

import pytest

from cluster import build, versions
from cluster.errors import BuildFailedError
from cluster.progress import Progress
from cluster.versions import KUBERNETES, Module, Program, Version

API_SERVER = KUBERNETES.program("kube-apiserver")

_GO = """#!/bin/sh
[ "$1" = version ] && { echo go version go9.9.9 linux/amd64; exit; }
echo "$@" >> "$GO_CALLS"
while [ $# -gt 0 ]; do [ "$1" = -o ] && output=$2; shift; done
echo half > "$output"
sleep "${GO_SLEEP:-0}"
[ -n "$GO_FAILS" ] && { echo "cannot find module"; exit 1; }
echo '#!/bin/sh' > "$output"
"""


class Workshop:
    """A cache, a fake Go and a module to build."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = tmp_path / "cache"
        self.assets = tmp_path / "assets"
        self.assets.mkdir()
        tools = tmp_path / "tools"
        tools.mkdir()
        self._script(tools / "go", _GO)
        self._calls = tmp_path / "calls"
        source = tmp_path / "module"
        source.mkdir()
        (source / "go.mod").write_text("module m\n\ngo 1.20\n")
        self.program = Program(
            name="tool",
            package="m/tool",
            module=Module(directory=source, version=Version(1, 34, 4), ldflags="-s"),
        )
        self.output = io.StringIO()
        self.progress = Progress(stream=self.output)
        self.environ = {"ECHOPERATOR_CACHE": str(self.cache), "PATH": f"{tools}:/usr/bin:/bin"}
        monkeypatch.setenv("PATH", self.environ["PATH"])
        monkeypatch.setenv("GO_CALLS", str(self._calls))

    @staticmethod
    def _script(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def asset(self, version: str) -> Path:
        self._script(self.assets / "tool", f"#!/bin/sh\necho Kubernetes {version}\n")
        self.environ["KUBEBUILDER_ASSETS"] = str(self.assets)
        return self.assets / "tool"

    def provide(self) -> Path:
        return build.provide([self.program], self.progress, environ=self.environ)["tool"]

    def calls(self) -> int:
        return len(self._calls.read_text().splitlines()) if self._calls.exists() else 0


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    return Workshop(tmp_path, monkeypatch)


def test_a_missing_program_is_built_once_and_then_found(workshop: Workshop) -> None:
    first = workshop.provide()
    assert first.is_relative_to(workshop.cache / "bin")
    assert first.name == "tool"
    assert workshop.provide() == first
    assert workshop.calls() == 1


def test_a_changed_module_is_built_anew(workshop: Workshop) -> None:
    first = workshop.provide()
    (workshop.program.module.directory / "go.sum").write_text("changed\n")
    assert workshop.provide() != first
    assert workshop.calls() == 2


def test_a_failed_build_leaves_nothing_and_says_what_go_said(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO_FAILS", "1")
    with pytest.raises(BuildFailedError, match="cannot find module") as failed:
        workshop.provide()
    assert failed.value.program == "tool"
    assert [path.name for path in workshop.cache.rglob("*") if path.is_file()] == [".lock"]


def test_two_builders_at_once_build_once(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_SLEEP", "0.3")
    found: list[str] = []
    builders = [threading.Thread(target=lambda: found.append(workshop.provide().read_text())) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert found == ["#!/bin/sh\n"] * 2
    assert workshop.calls() == 1


def test_assets_of_the_same_minor_are_used_as_they_are(workshop: Workshop) -> None:
    asset = workshop.asset("v1.34.1")
    assert workshop.provide() == asset
    assert workshop.calls() == 0


def test_assets_of_another_minor_are_named_and_built_instead(workshop: Workshop) -> None:
    asset = workshop.asset("v1.30.0")
    assert workshop.provide() != asset
    lines = [line for line in workshop.output.getvalue().splitlines() if "KUBEBUILDER_ASSETS" in line]
    assert lines == [f"  KUBEBUILDER_ASSETS: {asset} is 1.30.0, wanted is 1.34.x; not used"]


def test_building_says_what_it_does_and_how_much_was_there(workshop: Workshop) -> None:
    workshop.provide()
    said = workshop.output.getvalue()
    assert "Building a program (0 are there already)\n" in said
    assert "[1/1] tool 1.34.4 ..." in said
    assert "[1/1] tool 1.34.4: done in " in said


@pytest.mark.parametrize(
    ("output", "misfit"),
    [
        ("Kubernetes v1.34.9", None),
        ("Kubernetes v1.33.0", "/x is 1.33.0, wanted is 1.34.x"),
        ("", "/x does not tell its version"),
    ],
)
def test_judge_names_the_misfit(output: str, misfit: str | None) -> None:
    assert build.judge(API_SERVER, Path("/x"), output).misfit == misfit


def test_judge_names_the_oldest_etcd_that_would_do() -> None:
    found = build.judge(versions.ETCD, Path("/x"), "etcd Version: 3.4.23")
    assert found.misfit == "/x is 3.4.23, wanted is >= 3.5.13, < 4"
