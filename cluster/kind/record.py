"""What one machine knows of the container engine that runs for its kind clusters, and what to put back after it.

There is one at most, so its files stand at fixed places. `/run` is short, as socket paths have to be.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.processes import ProcessId

RUN = Path("/run/echoperator-kind")
"""The engine's socket, its containers' state; and the record."""
DATA = Path("/var/lib/echoperator-kind")
"""Images and containers' file systems. Removed with the engine."""

LOCK = RUN / "lock"
_RECORD = RUN / "record.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The engine that runs, or ran and was not cleaned up."""

    sysctls: Mapping[str, str]
    """Kernel settings as they were before."""
    absent: tuple[str, ...]
    """Directories, made by the engine's programs at places of their own choice, that were not there before."""
    process: ProcessId | None = None
    """The first process of its namespaces' outer side; `None`: not started yet."""

    def alive(self) -> bool:
        return self.process is not None and self.process.alive()


def to_json(record: Record) -> str:
    process = record.process
    return json.dumps(
        {
            "sysctls": dict(record.sysctls),
            "absent": list(record.absent),
            "process": None if process is None else {"pid": process.pid, "startTicks": process.start},
        },
        indent=2,
    )


def from_json(text: str) -> Record:
    raw: dict[str, Any] = json.loads(text)
    process = raw["process"]
    return Record(
        sysctls=raw["sysctls"],
        absent=tuple(raw["absent"]),
        process=None if process is None else ProcessId(pid=process["pid"], start=process["startTicks"]),
    )


def read() -> Record | None:
    """The machine's engine.

    Returns:
        `None`: it has none, and none has to be cleaned up.
    """
    try:
        return from_json(_RECORD.read_text())
    except (FileNotFoundError, PermissionError):  # without root there can be none of ours
        return None


def write(record: Record) -> None:
    temporary = _RECORD.with_name(f".record.{os.getpid()}.json")
    temporary.write_text(to_json(record))
    temporary.replace(_RECORD)


def forget() -> None:
    """Remove the record; the machine is as it was."""
    _RECORD.unlink(missing_ok=True)


@contextmanager
def locked() -> Iterator[None]:
    """Hold the machine's lock on kind clusters: one start or stop at a time."""
    RUN.mkdir(mode=0o700, parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
