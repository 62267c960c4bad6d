"""Logs what happens in a run, in the order in which it happens: one line an event, never a result's content.

And what the one line says that there is of every run at its end.
"""

import logging
from collections.abc import Mapping
from typing import Any

from runner.execution.outcome import RunOutcome, Verdict
from runner.execution.run import RunSpec
from runner.logs import fields
from runner.objects import GroupVersionKind, Meta
from runner.status import describe_failure

__all__ = ["RunLog", "summary"]

logger = logging.getLogger("ansible")

_FAILED = frozenset({"runner_on_failed", "runner_on_unreachable", "runner_on_async_failed"})
_TASKS = _FAILED | {"runner_on_ok", "error"}


class RunLog:
    """An `execution.run.Observe`."""

    def __init__(self, events: str) -> None:
        """Args:
        events: `nothing`, `tasks` or `everything`, as `--ansible-log-events` says.
        """
        self._events = events

    def __call__(self, spec: RunSpec, event: Mapping[str, Any]) -> None:
        kind = str(event.get("kind"))
        if self._events == "nothing" or (self._events == "tasks" and kind not in _TASKS):
            return
        values = fields(
            kind=spec.gvk.kind,
            ref=spec.ref,
            run=spec.run_id,
            event=kind,
            **{key: event[key] for key in ("task", "task_path", "changed", "duration") if event.get(key) is not None},
        )
        if kind in _FAILED and not event.get("ignore_errors"):
            values["fields"]["error"] = event.get("msg", "")
            logger.warning("task failed", extra=values)
        else:
            logger.info("task event", extra=values)


def summary(gvk: GroupVersionKind, meta: Meta, outcome: RunOutcome) -> dict[str, Any]:
    """What is logged of a run that has ended, as a log call's `extra`."""
    changed = sum(outcome.stats.changed.values()) if outcome.stats else 0
    values: dict[str, Any] = {
        "kind": gvk.kind,
        "ref": meta.ref,
        "generation": meta.generation,
        "run": outcome.run_id,
        "verdict": outcome.verdict.value,
        "rc": outcome.return_code,
        "seconds": round(outcome.seconds, 3),
        "changed": changed,
        "requeue_after_s": outcome.requeue_after_s,
    }
    if not outcome.succeeded:
        values["failure"] = describe_failure(outcome)
    if outcome.verdict is Verdict.SUCCEEDED and outcome.stats is not None and outcome.stats.no_hosts:
        values["warning"] = "no host matched, so nothing was run"
    return fields(**values)
