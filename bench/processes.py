"""What a process and its children have used, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "cpu_seconds", "peak_rss_mb"]

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU seconds of a process by itself, and of all children it has waited for."""

    own_s: float
    children_s: float

    @property
    def total_s(self) -> float:
        return self.own_s + self.children_s


def cpu_seconds(pid: int) -> Usage:
    """Read the counters; children count once they have ended and were waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, system, children, children_system = (int(field) / _TICKS for field in fields[11:15])
    return Usage(own_s=own + system, children_s=children + children_system)


def peak_rss_mb(pid: int) -> float:
    """Highest resident memory of that one process so far, in MB of 1024 KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no VmHWM")
