"""How many CPUs this process may use: what the machine has, less what its cgroup and its affinity mask take away.

`os.cpu_count` tells of the machine, and a container on a big node that may use half a CPU is none. Does not follow
changes: it is read once, at the start.
"""

import os
from pathlib import Path

__all__ = ["available", "limit_of"]

_CGROUPS = Path("/sys/fs/cgroup")
_OURS = Path("/proc/self/cgroup")


def available(*, ours: Path = _OURS, cgroups: Path = _CGROUPS) -> float:
    """Return the CPUs that this process may use at once; half a CPU is 0.5.

    Args:
        ours: says which control groups this process is in.
        cgroups: where control groups are mounted.
    """
    allowed = float(len(os.sched_getaffinity(0)))
    limit = limit_of(_read(ours), cgroups)
    return allowed if limit is None else min(allowed, limit)


def limit_of(groups: str, root: Path) -> float | None:
    """Return the least CPU limit on the way from a process's groups to the root; `None`: no limit.

    Args:
        groups: the lines of `/proc/<pid>/cgroup`.
        root: where control groups are mounted. In a container that is often its own group, whatever path `groups`
            names: what does not exist below it is passed over.
    """
    limits = []
    for line in groups.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            limits += [_unified(_read(group / "cpu.max")) for group in _upwards(root, path)]
        elif "cpu" in controllers.split(","):
            limits += [_legacy(group) for group in _upwards(root / controllers, path)]
    return min((limit for limit in limits if limit is not None), default=None)


def _upwards(root: Path, path: str) -> list[Path]:
    parts = [part for part in path.split("/") if part]
    return [root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _unified(text: str) -> float | None:
    quota, _, period = text.strip().partition(" ")
    return _ratio(quota, period)


def _legacy(group: Path) -> float | None:
    return _ratio(_read(group / "cpu.cfs_quota_us").strip(), _read(group / "cpu.cfs_period_us").strip())


def _ratio(quota: str, period: str) -> float | None:
    # No limit is `max` in version 2 and -1 in version 1.
    if not (quota.isdecimal() and period.isdecimal() and int(period)):
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
