"""What on disk a warm parent was made from, and whether that is still so.

A fork has the code that its parent loaded, so a parent whose collections or configuration have changed since is stale.
Roles, playbooks, templates and variables are read anew by each run and need nothing of this.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Fingerprint", "watched"]

_Mark = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The state of some paths; a path that was not there counts too."""

    marks: tuple[tuple[str, _Mark], ...]

    @classmethod
    def take(cls, paths: Iterable[str]) -> "Fingerprint":
        return cls(marks=tuple((path, _mark(path)) for path in sorted(set(paths))))

    def changed(self) -> str:
        """The first path that is not as it was; empty: all are."""
        return next((path for path, mark in self.marks if _mark(path) != mark), "")


def _mark(path: str) -> _Mark:
    try:
        found = os.stat(path)  # noqa: PTH116 - about a hundred of them before each run
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def watched(files: Iterable[str], *, collections_path: str, configs: Iterable[str], names: Iterable[str]) -> set[str]:
    """All paths that matter to a warm parent.

    Args:
        files: what it has loaded.
        collections_path: where collections are searched; one that appears further in front would win.
        configs: where Ansible's configuration may be.
        names: collections whose modules it has loaded.
    """
    loaded = list(files)
    folders = {os.path.dirname(path) for path in loaded}  # noqa: PTH120 - texts
    roots = {
        f"{os.path.expanduser(base)}/ansible_collections/{name.replace('.', '/')}"  # noqa: PTH111 - as above
        for base in collections_path.split(":")
        if base
        for name in names
    }
    manifests = {f"{root}/{file}" for root in roots for file in ("MANIFEST.json", "galaxy.yml", "meta/runtime.yml")}
    return {*loaded, *folders, *roots, *manifests, *configs}
