"""What processes have used, from /proc."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from cluster import processes as system

__all__ = ["Memory", "Usage", "cpu_below", "cpu_of", "memory_of", "warm_parent_of"]

_TICKS = os.sysconf("SC_CLK_TCK")
_WARM_PARENT = b"runner.execution.warm.forkserver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU seconds, user and system, of a process itself, and of all children that it has waited for."""

    own_s: float
    children_s: float

    @classmethod
    def parse(cls, stat: str) -> "Usage":
        """From the text of `/proc/<pid>/stat`."""
        # The name stands in brackets and may hold anything, so count from behind it.
        fields = stat.rpartition(")")[2].split()
        own, system_own, children, system_children = (int(field) / _TICKS for field in fields[11:15])
        return cls(own_s=own + system_own, children_s=children + system_children)

    @property
    def total_s(self) -> float:
        return self.own_s + self.children_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of one process, in MB of 1024 KiB."""

    rss_mb: float
    peak_rss_mb: float
    """The highest ever."""
    pss_mb: float
    """Where a page is shared by n processes, an n-th of it counts."""


def cpu_of(pid: int) -> Usage:
    """Raises:
    FileNotFoundError: there is no such process.
    """
    return Usage.parse(Path(f"/proc/{pid}/stat").read_text())


def cpu_below(pid: int) -> float:
    """CPU seconds of every process below `pid`, alive or ended.

    The ended ones are in the count of whoever waited for them: the process itself or one that lives. Nothing is lost
    when a process ends between two calls, because orphans go to the operator, which adopts and waits for them.
    """
    spent = cpu_of(pid).children_s
    for process in system.descendants([pid]):
        with contextlib.suppress(OSError):
            spent += cpu_of(process.pid).total_s
    return spent


def memory_of(pid: int) -> Memory:
    """Raises:
    OSError: there is no such process.
    """
    status = _kilobytes(Path(f"/proc/{pid}/status").read_text())
    shared = _kilobytes(Path(f"/proc/{pid}/smaps_rollup").read_text())
    return Memory(rss_mb=status["VmRSS"] / 1024, peak_rss_mb=status["VmHWM"] / 1024, pss_mb=shared.get("Pss", 0) / 1024)


def warm_parent_of(operator: int) -> int | None:
    """The newest process that the operator's runs are forked from; `None`: there is none."""
    parents = [child for child in system.descendants([operator]) if _is_warm_parent(child.pid, operator)]
    return max(parents, key=lambda process: process.start).pid if parents else None


def _is_warm_parent(pid: int, operator: int) -> bool:
    """Its forks have the same command line, but another parent."""
    try:
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        return parent == operator and _WARM_PARENT in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _kilobytes(text: str) -> dict[str, int]:
    """The lines `Name:  123 kB` of a status file."""
    rows = (line.partition(":") for line in text.splitlines())
    return {name: int(value.split()[0]) for name, _, value in rows if value.endswith(" kB")}
