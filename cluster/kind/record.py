"""What one machine knows of the container engine that runs for its kind clusters, and what to put back after it.

There is one at most, so its files stand at fixed places. `/run` is short, as socket paths have to be.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.processes import ProcessId
from cluster.recordfile import RecordFile

RUN = Path("/run/echoperator-kind")
"""The engine's socket, its containers' state; and the record."""
DATA = Path("/var/lib/echoperator-kind")
"""Images and containers' file systems. Removed with the engine."""


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


_FILE = RecordFile(RUN, encode=to_json, decode=from_json)
read = _FILE.read
write = _FILE.write
forget = _FILE.forget
locked = _FILE.locked
