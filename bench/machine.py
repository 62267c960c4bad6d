"""What was measured on: the machine, the versions, the commit. Asks the machine, knows nothing by itself."""

import json
import os
import platform
import subprocess
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

from cluster import build, processes
from cluster import versions as programs
from cluster.progress import Progress

__all__ = ["describe", "versions"]

_ROOT = Path(__file__).resolve().parent.parent


def describe() -> dict[str, Any]:
    """CPU model and count, memory in GB of 1024 MB, kernel, and the load averages of this moment."""
    memory_kb = int(_value_of(Path("/proc/meminfo"), "MemTotal").split()[0])
    return {
        "cpu": _value_of(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "cpus": os.cpu_count(),
        "memory_gb": round(memory_kb / 1024**2, 1),
        "kernel": platform.release(),
        "load_at_start": [round(load, 2) for load in os.getloadavg()],
    }


def versions(peer: Path | None = None) -> dict[str, str]:
    """Of everything that has a part in the figures, the commit of this directory first.

    Builds the control plane's programs where they are missing, which takes minutes.

    Args:
        peer: another `ansible-operator`, which is asked by its command `version`.
    """
    packages = ("ansible-core", "ansible-runner", "kubernetes", "aiohttp")
    return {
        "commit": _commit(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
        "kubernetes.core": _collection_version("kubernetes", "core"),
        "kubernetes-server": _server_version(),
        **({} if peer is None else {"peer": _own_words(peer)}),
    }


def _value_of(file: Path, name: str) -> str:
    """The value of the first line `name: value`; empty where there is none."""
    rows = (line.partition(":") for line in file.read_text().splitlines())
    return next((value.strip() for key, _, value in rows if key.strip() == name), "")


def _commit() -> str:
    """The commit, with `-dirty` where files differ from it; `unknown` outside of a repository."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return processes.answer(command, env=os.environ) or "unknown"


def _server_version() -> str:
    """What the API server says of itself: it may have been found on the machine instead of built."""
    binary = build.provide(programs.control_plane_programs(programs.KUBERNETES), Progress())["kube-apiserver"]
    command = [str(binary), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]  # noqa: S603 - as above


def _own_words(program: Path) -> str:
    """The first line of what it says of its version; `unknown` where it has no such command."""
    said = processes.answer([program, "version"], env=os.environ)
    return said.splitlines()[0] if said else "unknown"


def _collection_version(namespace: str, name: str) -> str:
    manifest = Path(sysconfig.get_path("purelib")) / "ansible_collections" / namespace / name / "MANIFEST.json"
    if not manifest.is_file():
        return "unknown"
    return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
