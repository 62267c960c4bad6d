"""Where the seconds of a run go, told by when the operator's log says what. Pure.

Wants a log of `--log-level=debug --ansible-log-events=everything`. An event's time is that of its arrival in the
operator, to the millisecond, so a phase holds what it took to be told of it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

__all__ = ["PHASES", "Phase", "phases", "records"]

_START, _END = "run starts", "run finished"
_PLAY, _TASK, _STATS = "playbook_on_start", "playbook_on_task_start", "playbook_on_stats"

PHASES: tuple[tuple[str, str, str], ...] = (
    ("start: fork or exec, settings, inventory", _START, _PLAY),
    ("play begins: variables, roles, first task", _PLAY, _TASK),
    ("tasks", _TASK, _STATS),
    ("end: last word, processes gone, directory gone", _STATS, _END),
    ("the whole run", _START, _END),
)
"""Name, where it begins, where it ends: at the first such event of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    name: str
    seconds: float
    """Mean over the runs that have both ends."""
    runs: int


def records(log: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """The lines of a JSON log that are about a run; a traceback's lines are none."""
    for line in log:
        if line.startswith(b"{"):
            record = json.loads(line)
            if "run" in record:
                yield record


def phases(log: Iterable[Mapping[str, Any]]) -> list[Phase]:
    """Means over all runs in the log, in the order of `PHASES`; phases that no run shows are left out."""
    runs = _marks(log)
    found = []
    for name, begin, end in PHASES:
        seconds = [marks[end] - marks[begin] for marks in runs if begin in marks and end in marks]
        if seconds:
            found.append(Phase(name=name, seconds=fmean(seconds), runs=len(seconds)))
    return found


def _marks(log: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """For each run, when it first said what."""
    runs: dict[str, dict[str, float]] = {}
    for record in log:
        what = record.get("event") or record["msg"]
        at = datetime.fromisoformat(record["ts"]).timestamp()
        runs.setdefault(record["run"], {}).setdefault(what, at)
    return list(runs.values())
