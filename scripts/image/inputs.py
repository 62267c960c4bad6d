"""What an image is made of, and a name for that state of it.

The list is `.dockerignore`'s, which lets nothing through but what it names; so what a builder sees is what is counted.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_IGNORED = ("__pycache__", ".egg-info")


def allowed(dockerignore: str) -> list[str]:
    """The paths that a `.dockerignore` of the form `*`, `!path`, ... lets through.

    Raises:
        ValueError: it lets through what it does not name.
    """
    lines = [line.strip() for line in dockerignore.splitlines() if line.strip() and not line.startswith("#")]
    if lines[:1] != ["*"]:
        raise ValueError(".dockerignore: the first line must be *, so that nothing unnamed gets into a build")
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


def digest(root: Path) -> str:
    """Name the state of Dockerfile, `.dockerignore` and all they let in: SHA-256 over names, kinds and contents.

    Modes and times count for nothing: the Dockerfile sets the one, the builder the other.
    """
    summary = hashlib.sha256()
    names = [".dockerignore", "Dockerfile", *allowed((root / ".dockerignore").read_text(encoding="utf-8"))]
    for path in _files(root, names):
        kind, content = (b"link", os.fsencode(path.readlink())) if path.is_symlink() else (b"file", path.read_bytes())
        summary.update(b"%s\0%s\0%d\0" % (os.fsencode(path.relative_to(root)), kind, len(content)))
        summary.update(content)
    return summary.hexdigest()


def key(*parts: str) -> str:
    """Name a build by everything that decides its result: 16 hexadecimal digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _files(root: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in sorted(names):
        path = root / name
        if path.is_dir() and not path.is_symlink():
            yield from (
                found
                for found in sorted(path.rglob("*"))
                if (found.is_symlink() or found.is_file()) and not _ignored(found.relative_to(root))
            )
        else:
            yield path


def _ignored(path: Path) -> bool:
    return any(part.endswith(_IGNORED) for part in path.parts)
