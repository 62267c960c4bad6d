"""The status of a custom resource (pure): raw status in, raw status out.

`Running`, `Successful` and `Failure` have Operator SDK's types, reasons, messages and order of change, to the byte.
`Ready` and `observedGeneration` are ours; `Ready` is left alone once a role has written one, which shows in a
reason that is not in `_OUR_REASONS`. All other keys and conditions are the role's and pass through whole.
"""

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runner.execution.outcome import RunOutcome, TaskFailure, Verdict
from runner.objects import Raw, format_time

__all__ = [
    "REFUSED",
    "Path",
    "condition",
    "describe_failure",
    "failed",
    "finished",
    "lost",
    "needs_announcing",
    "refused",
    "running",
    "same",
    "without",
]

_RUNNING, _SUCCESSFUL, _FAILURE, _READY = "Running", "Successful", "Failure", "Ready"
_RECONCILED, _RECONCILING, REFUSED = "Reconciled", "Reconciling", "InvalidParameters"
_OUR_REASONS = frozenset({_RECONCILED, _RECONCILING, REFUSED, *(verdict.value for verdict in Verdict)})
_UNKNOWN_FAILURE = "unknown playbook failure"
_MESSAGE_LIMIT = 1024
"""Kubernetes allows 32 KiB in a condition's message; nobody reads more than this, and it may hold user text."""


def condition(status: Mapping[str, Any], kind: str) -> Raw | None:
    """Return the condition of that type, or `None`."""
    for entry in status.get("conditions") or ():
        if isinstance(entry, dict) and entry.get("type") == kind:
            return entry
    return None


def _is(status: Mapping[str, Any], kind: str, value: str) -> bool:
    found = condition(status, kind)
    return found is not None and found.get("status") == value


def needs_announcing(status: Mapping[str, Any], generation: int) -> bool:
    """Whether `Running` is written at the start of a run, and not only if the run takes long.

    It is where someone waits to see it: a new generation, or after anything but a success. A run that just looks
    whether all is well writes nothing.
    """
    return status.get("observedGeneration", generation) != generation or not _is(status, _SUCCESSFUL, "True")


def running(status: Mapping[str, Any], *, generation: int, now: datetime) -> Raw:
    """The status while a run is in progress."""
    new = _copy(status)
    successful = condition(new, _SUCCESSFUL)
    if successful is not None:
        # The Go runtime keeps reason and message here ("Last reconciliation succeeded"); users match on them.
        _set(new, {**successful, "status": "False"}, now)
    _set(new, _entry(_RUNNING, "True", "Running", "Running reconciliation"), now)
    _set_ready(new, "Unknown", _RECONCILING, "Running reconciliation", generation, now)
    return new


def finished(status: Mapping[str, Any], outcome: RunOutcome, *, generation: int, now: datetime) -> Raw:
    """The status after a run, whatever it came to."""
    if not outcome.succeeded:
        return failed(
            status,
            legacy_message=_legacy_message(outcome),
            reason=outcome.verdict.value,
            message=describe_failure(outcome),
            result=_result(outcome),
            generation=generation,
            now=now,
        )
    new = _copy(status)
    done = _entry(_RUNNING, "True", "Successful", "Awaiting next reconciliation") | _result(outcome)
    _set(new, done, now)
    _set(new, _entry(_SUCCESSFUL, "True", "Successful", "Last reconciliation succeeded"), now)
    _set(new, _entry(_FAILURE, "False", "", ""), now)
    _set_ready(new, "True", _RECONCILED, "Last reconciliation succeeded", generation, now)
    new["observedGeneration"] = generation
    return new


def refused(status: Mapping[str, Any], message: str, *, generation: int, now: datetime) -> Raw:
    """The status of an object that is not run at all, because of what it says."""
    return failed(status, legacy_message=message, reason=REFUSED, message=message, generation=generation, now=now)


def failed(
    status: Mapping[str, Any],
    *,
    legacy_message: str,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
    result: Mapping[str, Any] | None = None,
) -> Raw:
    """The status after a failure; `reason` is for `Ready`, the older conditions have theirs fixed."""
    new = _copy(status)
    if condition(new, _RUNNING) is not None:
        _set(new, _entry(_RUNNING, "False", "Running", "Running reconciliation"), now)
    failure = _entry(_FAILURE, "True", "Failed", _cut(legacy_message))
    _set(new, {**failure, **(result or {})}, now)
    _set(new, _entry(_SUCCESSFUL, "False", "", ""), now)
    _set_ready(new, "False", reason, _cut(message), generation, now)
    new["observedGeneration"] = generation
    return new


def describe_failure(outcome: RunOutcome) -> str:
    """One line on what failed and where: task, file and line, and the task's own words."""
    if outcome.failures:
        first = _describe_task(outcome.failures[0])
        more = len(outcome.failures) - 1
        return f"{first} (and {more} more)" if more else first
    return outcome.detail or _FIXED_TEXT.get(outcome.verdict, outcome.verdict.value)


_FIXED_TEXT = {
    Verdict.UNREACHABLE: "a host could not be reached",
    Verdict.NO_STATS: "Ansible ended without a result",
    Verdict.KILLED: "the run was killed from outside",
    Verdict.TIMED_OUT: "the run took longer than its timeout and was killed",
    Verdict.CANCELLED: "the operator is stopping",
}


def _describe_task(failure: TaskFailure) -> str:
    where = f" ({failure.path})" if failure.path else ""
    return f"task '{failure.task}'{where}: {failure.message or _UNKNOWN_FAILURE}"


def _legacy_message(outcome: RunOutcome) -> str:
    if outcome.failures:
        return "\n".join(failure.message or _UNKNOWN_FAILURE for failure in outcome.failures)
    return describe_failure(outcome)


def _result(outcome: RunOutcome) -> Raw:
    if outcome.stats is None:
        return {}
    stats = outcome.stats
    host = "localhost"
    return {
        "ansibleResult": {
            "ok": stats.ok.get(host, 0),
            "changed": stats.changed.get(host, 0),
            "skipped": stats.skipped.get(host, 0),
            "failures": stats.failures.get(host, 0),
            "completion": outcome.completion,
        }
    }


# Comparing, and fields a CRD drops


Path = tuple[str, ...]
"""A place in a status; `*` stands for every entry of a list."""


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two statuses say the same: times and the counts of `ansibleResult` do not matter."""
    return bool(_comparable(one) == _comparable(other))


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _comparable(v) for k, v in value.items() if k not in {"lastTransitionTime", "ansibleResult"}}
    if isinstance(value, list):
        entries = [_comparable(entry) for entry in value]
        typed = all(isinstance(entry, dict) and "type" in entry for entry in entries)
        return sorted(entries, key=lambda entry: str(entry["type"])) if typed else entries
    return value


def lost(sent: Any, returned: Any) -> frozenset[Path]:
    """Paths of keys that were sent and did not come back: the CRD's schema has no place for them."""
    return frozenset(_lost(sent, returned, ()))


def _lost(sent: Any, returned: Any, path: Path) -> list[Path]:
    if isinstance(sent, dict) and isinstance(returned, dict):
        found: list[Path] = []
        for key, value in sent.items():
            found += _lost(value, returned[key], (*path, key)) if key in returned else [(*path, key)]
        return found
    if isinstance(sent, list) and isinstance(returned, list) and len(sent) == len(returned):
        return [p for one, other in zip(sent, returned, strict=True) for p in _lost(one, other, (*path, "*"))]
    return []


def without(status: Any, paths: frozenset[Path]) -> Any:
    """Return a copy of `status` that lacks those paths."""
    if not paths:
        return status
    return _without(status, paths, ())


def _without(value: Any, paths: frozenset[Path], here: Path) -> Any:
    if isinstance(value, dict):
        return {k: _without(v, paths, (*here, k)) for k, v in value.items() if (*here, k) not in paths}
    if isinstance(value, list):
        return [_without(entry, paths, (*here, "*")) for entry in value]
    return value


# Building


def _entry(kind: str, status: str, reason: str, message: str) -> Raw:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _copy(status: Mapping[str, Any]) -> Raw:
    new = copy.deepcopy(dict(status))
    if not isinstance(new.get("conditions"), list):
        new["conditions"] = []
    return new


def _set(status: Raw, entry: Raw, now: datetime) -> None:
    """Put a condition, as the Go runtime does: the time moves with the status, a changed entry goes to the end."""
    conditions: list[Any] = status["conditions"]
    old = condition(status, entry["type"])
    entry = {key: value for key, value in entry.items() if key != "lastTransitionTime"}
    if old is not None and all(old.get(key) == entry.get(key) for key in ("status", "reason", "message")):
        if "ansibleResult" in entry:
            old["ansibleResult"] = entry["ansibleResult"]
        return
    stays = old is not None and old.get("status") == entry["status"] and old.get("lastTransitionTime")
    entry["lastTransitionTime"] = stays or format_time(now)
    conditions[:] = [other for other in conditions if other is not old]
    conditions.append(entry)


def _set_ready(status: Raw, value: str, reason: str, message: str, generation: int, now: datetime) -> None:
    old = condition(status, _READY)
    if old is not None and old.get("reason") not in _OUR_REASONS:
        return
    _set(status, _entry(_READY, value, reason, message), now)
    ready = condition(status, _READY)
    if ready is not None:
        ready["observedGeneration"] = generation


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE_LIMIT else text[: _MESSAGE_LIMIT - 1] + "…"
