"""Where built binaries are kept, and under which name: outside the work tree, by content.

A change of `go.mod`, `go.sum`, a Go source beside them or a build flag gives a new directory, so a stale binary
can't be picked up. Never removes anything: the directory is the user's cache.
"""

import fcntl
import hashlib
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cluster import versions

_GOARCH = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def root(environ: Mapping[str, str] = os.environ) -> Path:
    """The cache directory: `ECHOPERATOR_CACHE`, else below `XDG_CACHE_HOME`, else below `~/.cache`."""
    if own := environ.get("ECHOPERATOR_CACHE"):
        return Path(own)
    if xdg := environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "echoperator"
    return Path(environ.get("HOME") or Path.home()) / ".cache" / "echoperator"


def build_environment() -> dict[str, str]:
    """The Go settings that decide what a binary looks like; they override whatever the user's Go is set to."""
    machine = platform.machine().lower()
    return {
        "CGO_ENABLED": "0",
        "GOOS": "linux",
        "GOARCH": _GOARCH.get(machine, machine),
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def build_flags(module: versions.Module) -> tuple[str, ...]:
    """The arguments of `go build` that decide what a binary looks like."""
    return ("-trimpath", "-buildvcs=false", "-ldflags", module.ldflags)


def key(contents: Mapping[str, bytes], flags: tuple[str, ...], environment: Mapping[str, str]) -> str:
    """Name a build by its inputs: 16 hex digits of a SHA-256 over file names, contents, flags and Go settings."""
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    for word in (*flags, *(f"{name}={value}" for name, value in sorted(environment.items()))):
        digest.update(f"\0{word}".encode())
    return digest.hexdigest()[:16]


def module_key(module: versions.Module) -> str:
    """The key of the module as it is on disk now."""
    sources = [module.directory / "go.mod", module.directory / "go.sum", *module.directory.glob("*.go")]
    contents = {path.name: path.read_bytes() for path in sources if path.exists()}
    return key(contents, build_flags(module), build_environment())


def binary(program: versions.Program, cache: Path) -> Path:
    """Where the program is, or will be once it is built."""
    return cache / "bin" / module_key(program.module) / program.name


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; a process that dies lets go of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
