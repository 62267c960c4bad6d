"""Which collections come with the operator: looked up where they are installed, nothing of Ansible imported."""

import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from runner.doctor.project import collections_in

__all__ = ["Shipped", "look"]

_OWN = Path(__file__).resolve().parents[3] / "collections"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """What roles find without installing anything."""

    collections: Mapping[str, str]
    """Name to version; empty: it says none."""
    modules: frozenset[str] = frozenset()
    """Names of ansible-core's own modules and actions."""
    python: frozenset[str] = frozenset()
    """Everything in ansible-core that can be imported, with dots."""
    redirects: Mapping[str, str] = field(default_factory=dict)
    """Old short names of modules that have moved into a collection, to their full names."""
    removed: Mapping[str, str] = field(default_factory=dict)
    """Names of modules that are gone, to what ansible-core says about it."""


@cache
def look() -> Shipped:
    """Look into our own collections, this Python's, and ansible-core; once, as none of them changes."""
    found: dict[str, str] = {"ansible.builtin": "", "ansible.legacy": ""}
    for directory in _installed():
        for name in collections_in(directory):
            found.setdefault(name, _version(directory / "ansible_collections" / name.replace(".", "/")))
    core = _directory_of("ansible")
    if core is None:
        return Shipped(collections=found)
    modules = {
        path.stem.removeprefix("_") for place in ("modules", "plugins/action") for path in (core / place).glob("*.py")
    }
    plugins = _load(core / "config" / "ansible_builtin_runtime.yml").get("plugin_routing", {})
    routing = {**plugins.get("modules", {}), **plugins.get("action", {})}
    return Shipped(
        collections=found,
        modules=frozenset(modules),
        python=frozenset(_importable(core)),
        redirects={name: entry["redirect"] for name, entry in routing.items() if "redirect" in entry},
        removed={
            name: str(entry["tombstone"].get("warning_text", "it has been removed"))
            for name, entry in routing.items() if "tombstone" in entry
        },
    )  # fmt: skip


def _installed() -> list[Path]:
    packages = importlib.util.find_spec("ansible_collections")
    places = [] if packages is None else [Path(place).parent for place in packages.submodule_search_locations or ()]
    return [_OWN, *places]


def _directory_of(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _importable(core: Path) -> Iterator[str]:
    for path in core.rglob("*.py"):
        parts = path.relative_to(core.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _version(collection: Path) -> str:
    manifest = collection / "MANIFEST.json"
    if manifest.is_file():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    galaxy = collection / "galaxy.yml"
    return str(_load(galaxy).get("version", "")) if galaxy.is_file() else ""


def _load(path: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = path.read_text(encoding="utf-8")
    return yaml.load(text, Loader=loader) or {}  # noqa: S506 - both are the safe loader
