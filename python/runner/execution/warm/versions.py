"""What the warm path was tested with. Anything else takes the plain path, with a reason for the log.

The warm path replaces private names of ansible-core and runs modules outside their own process; both hold only for
versions that the equivalence suite ran with.
"""

import importlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["MODULES", "CannotPreload", "check_core", "check_runner", "is_python_module", "package_of", "refusal"]

_CORE = re.compile(r"2\.21\.\d+")
_RUNNER = re.compile(r"2\.4\.\d+")
_TESTED = {"kubernetes.core": re.compile(r"6\.6\.\d+"), "operator_sdk.util": re.compile(r"0\.6\.\d+")}
"""Versions of collections whose modules may run in a fork. `operator_sdk.util` 0.6 is ours; 0.5 was Operator SDK's."""

_KUBERNETES = (
    "k8s", "k8s_cluster_info", "k8s_info", "k8s_json_patch", "k8s_log", "k8s_rollback", "k8s_scale", "k8s_service",
)  # fmt: skip
_BUILTIN = ("ping", "stat", "slurp")


class CannotPreload(Exception):  # noqa: N818 - what it names is the error
    """This installation or project is nothing for the warm path; the message says why."""


def check_core(version: str) -> None:
    """Raise `CannotPreload` for an ansible-core whose private names may have moved."""
    if not _CORE.fullmatch(version):
        raise CannotPreload(f"ansible-core {version} is not one that the warm path was tested with (2.21)")


def check_runner(version: str) -> None:
    if not _RUNNER.fullmatch(version):
        raise CannotPreload(f"ansible-runner {version} is not one that the warm path was tested with (2.4)")


def refusal(collection: str) -> str:
    """Why a collection's modules may not run in a fork; empty: they may."""
    if collection == "ansible.builtin":
        return ""
    root = _root(collection)
    if root is None:
        return "not installed"
    version = _version(root)
    if not _TESTED[collection].fullmatch(version):
        return f"version {version or 'unknown'} was not tested"
    return ""


def _root(collection: str) -> Path | None:
    try:
        package = importlib.import_module(f"ansible_collections.{collection}")
    except ImportError:
        return None
    return Path(next(iter(package.__path__)))


def _version(root: Path) -> str:
    try:
        manifest = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))
        return str(manifest["collection_info"]["version"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        text = (root / "galaxy.yml").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"^version:\s*[\"']?([^\s\"']+)", text, re.MULTILINE)
    return found[1] if found else ""


def _util(collection: str) -> tuple[str, ...]:
    root = _root(collection)
    folder = root / "plugins" / "modules" if root is not None else Path()
    return tuple(sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__"))


MODULES: Mapping[str, Callable[[str], tuple[str, ...]]] = {
    "ansible.builtin": lambda _collection: _BUILTIN,
    "kubernetes.core": lambda _collection: _KUBERNETES,
    "operator_sdk.util": _util,
}
"""The allow-list: by collection, the names of the modules that may run in a fork."""


def package_of(collection: str, name: str) -> str:
    """The module's Python name."""
    if collection == "ansible.builtin":
        return f"ansible.modules.{name}"
    return f"ansible_collections.{collection}.plugins.modules.{name}"


def is_python_module(source: bytes) -> bool:
    """Whether Ansible would run that file with Python and in the usual way."""
    first = source.split(b"\n", 1)[0]
    return not first.startswith(b"#!") or first.strip() in {b"#!/usr/bin/python", b"#!/usr/bin/python3"}
