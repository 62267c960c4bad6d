"""What one machine knows of its one node: who runs it, and what to put back.

A node takes things there is only one of (the packet filter, kernel settings, the cgroup tree), so the record and
the node's own files stand at fixed places. `/run` is short, as socket paths have to be.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.iptables import Chain
from cluster.nodeconfig import NodePorts
from cluster.processes import ProcessId
from cluster.recordfile import RecordFile
from cluster.state import Running

RUN = Path("/run/echoperator-node")
"""Sockets, containerd's state, network namespaces; and the record."""
DATA = Path("/var/lib/echoperator-node")
"""Images, containers' file systems, the kubelet's volumes. Removed with the node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The node that runs, or ran and was not cleaned up."""

    directory: Path
    """The directory of the control plane it belongs to."""
    sysctls: Mapping[str, str]
    """Kernel settings as they were before."""
    chains: tuple[Chain, ...]
    """Packet filter chains of node programs that were there before."""
    cgroups: tuple[str, ...]
    """The cgroups directly below which Pods' cgroups were before, so not ours to remove."""
    absent: tuple[str, ...]
    """Directories, made by a node's programs at places of their own choice, that were not there before."""
    ports: NodePorts
    running: Mapping[str, Running] = field(default_factory=dict)
    complete: bool = False

    def with_running(self, name: str, process: ProcessId) -> "Record":
        running = Running(process=process, since=datetime.now(UTC))
        return replace(self, running={**self.running, name: running})

    def alive(self) -> bool:
        return any(running.process.alive() for running in self.running.values())


def to_json(record: Record) -> str:
    return json.dumps(
        {
            "directory": str(record.directory),
            "sysctls": dict(record.sysctls),
            "chains": [[chain.family, chain.table, chain.name] for chain in record.chains],
            "cgroups": list(record.cgroups),
            "absent": list(record.absent),
            "ports": asdict(record.ports),
            "complete": record.complete,
            "processes": {
                name: {
                    "pid": running.process.pid,
                    "startTicks": running.process.start,
                    "since": running.since.isoformat(),
                }
                for name, running in record.running.items()
            },
        },
        indent=2,
    )


def from_json(text: str) -> Record:
    raw: dict[str, Any] = json.loads(text)
    return Record(
        directory=Path(raw["directory"]),
        sysctls=raw["sysctls"],
        chains=tuple(Chain(family, table, name) for family, table, name in raw["chains"]),
        cgroups=tuple(raw["cgroups"]),
        absent=tuple(raw["absent"]),
        ports=NodePorts(**raw["ports"]),
        complete=raw["complete"],
        running={
            name: Running(
                process=ProcessId(pid=process["pid"], start=process["startTicks"]),
                since=datetime.fromisoformat(process["since"]),
            )
            for name, process in raw["processes"].items()
        },
    )


_FILE = RecordFile(RUN, encode=to_json, decode=from_json)
read = _FILE.read
write = _FILE.write
forget = _FILE.forget
locked = _FILE.locked
