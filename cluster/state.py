"""What `state.json` says of a control plane: enough for another process to check, restart and stop it.

The file is the only truth about which processes belong to it; every reader reads it anew.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.components import Layout, Ports, Settings
from cluster.errors import UnreadableStateError
from cluster.processes import ProcessId

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A component's process and when it was started."""

    process: ProcessId
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A control plane as it was last started or changed."""

    kubernetes: str
    """The minor it was built from, a key of `versions.KUBERNETES_RELEASES`."""
    settings: Settings
    tied_to_caller: bool
    running: Mapping[str, Running] = field(default_factory=dict)
    complete: bool = False
    """Off while it is being started."""

    def with_running(self, name: str, process: ProcessId) -> "State":
        """The state after the component `name` was (re)started."""
        running = Running(process=process, since=datetime.now(UTC))
        return replace(self, running={**self.running, name: running})


def to_json(state: State) -> str:
    settings = state.settings
    return json.dumps(
        {
            "format": _FORMAT,
            "kubernetes": state.kubernetes,
            "server": settings.server,
            "address": settings.address,
            "durable": settings.durable,
            "audit": settings.audit,
            "controllerManager": settings.controller_manager,
            "scheduler": settings.scheduler,
            "tiedToCaller": state.tied_to_caller,
            "complete": state.complete,
            "ports": asdict(settings.ports),
            "binaries": {name: str(path) for name, path in settings.binaries.items()},
            "processes": {
                name: {
                    "pid": running.process.pid,
                    "startTicks": running.process.start,
                    "since": running.since.isoformat(),
                }
                for name, running in state.running.items()
            },
        },
        indent=2,
    )


def from_json(text: str, directory: Path) -> State:
    """Read what `to_json` wrote.

    Raises:
        UnreadableStateError: It did not.
    """
    try:
        raw: dict[str, Any] = json.loads(text)
        if raw["format"] != _FORMAT:
            raise UnreadableStateError(f"{directory}: state.json has format {raw['format']}, not {_FORMAT}")
        return State(
            kubernetes=raw["kubernetes"],
            settings=Settings(
                layout=Layout(directory),
                ports=Ports(**raw["ports"]),
                binaries={name: Path(path) for name, path in raw["binaries"].items()},
                address=raw["address"],
                durable=raw["durable"],
                audit=raw["audit"],
                controller_manager=raw["controllerManager"],
                scheduler=raw["scheduler"],
            ),
            tied_to_caller=raw["tiedToCaller"],
            complete=raw["complete"],
            running={
                name: Running(
                    process=ProcessId(pid=process["pid"], start=process["startTicks"]),
                    since=datetime.fromisoformat(process["since"]),
                )
                for name, process in raw["processes"].items()
            },
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableStateError(f"{directory}: state.json is not of this version's making") from error


def read(directory: Path) -> State | None:
    """The state of the control plane in `directory`.

    Returns:
        `None`: there is none.
    """
    try:
        text = Layout(directory).state.read_text()
    except FileNotFoundError:
        return None
    return from_json(text, directory)


def write(state: State) -> None:
    """Replace `state.json` in one step."""
    path = state.settings.layout.state
    temporary = path.with_name(f".state.{os.getpid()}.json")
    temporary.write_text(to_json(state))
    temporary.replace(path)
