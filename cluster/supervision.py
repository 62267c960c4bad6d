"""Waiting for a process to work, and saying how it is: what the control plane and the node have in common."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster import processes
from cluster.errors import ComponentFailed
from cluster.processes import ProcessId
from cluster.state import Running

READY_TIMEOUT_S = 120.0
"""Seconds a component may take until it works; ten times what two busy cores need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentStatus:
    """One component as it is now."""

    name: str
    pid: int
    """0 when it does not run."""
    port: int
    """0 when it listens on none."""
    since: str
    """When it was started, ISO 8601 in UTC; empty when it never was."""
    running: bool
    paused: bool
    healthy: bool

    @classmethod
    def of(cls, name: str, running: Running | None, port: int, healthy: Callable[[], bool]) -> "ComponentStatus":
        """Look at a component's process, and ask it for its health if it runs."""
        alive = running is not None and running.process.alive()
        return cls(
            name=name,
            pid=running.process.pid if running is not None and alive else 0,
            port=port,
            since=running.since.isoformat(timespec="seconds") if running is not None else "",
            running=alive,
            paused=running is not None and running.process.paused(),
            healthy=alive and healthy(),
        )


def await_ready(name: str, process: ProcessId, log: Path, ready: Callable[[], bool]) -> None:
    """Wait until `ready` holds.

    Raises:
        ComponentFailed: The process ended before, or it took more than `READY_TIMEOUT_S`.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not ready():
        if not process.alive():
            raise _failure(name, "ended before it was ready", log)
        if time.monotonic() > deadline:
            raise _failure(name, f"was not ready after {READY_TIMEOUT_S:.0f} s", log)
        time.sleep(0.05)
    if not process.alive():  # then it was somebody else who answered on its port
        raise _failure(name, "ended before it was ready", log)


def _failure(name: str, reason: str, log: Path) -> ComponentFailed:
    return ComponentFailed(name, reason, processes.tail(log), log)
