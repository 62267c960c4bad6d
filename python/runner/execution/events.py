"""One event of ansible-runner, cut down to what the operator acts on (pure), and the lines it travels in.

Promises: a line is short whatever the task printed; nothing of a `no_log` task but that it was one. Every key of a
projection is optional except `kind`; absent means that the event does not say.
"""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["MAX_LINE", "MAX_MESSAGE", "NO_LOG", "REQUEUE_AFTER", "decode", "encode", "project", "shorten"]

NO_LOG = "the output has been hidden due to the fact that 'no_log: true' was specified for this result"
REQUEUE_AFTER = "operator_sdk.util.requeue_after"
MAX_MESSAGE = 1024
"""Bytes of a message that are kept."""
MAX_LINE = 1 << 20
_MAX_NAME = 512
_MAX_HOSTS = 200
_COUNTERS = ("ok", "changed", "skipped", "failures", "dark", "rescued", "ignored")
_OUTPUT = frozenset({"warning", "deprecated", "system_warning", "error"})
_TOO_LARGE = "the task's result was too large to report"
_FAILED = frozenset({"runner_on_failed", "runner_item_on_failed", "runner_on_unreachable", "runner_on_async_failed"})


def project(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """Keep what matters of one event; `None` for one that nobody acts on."""
    kind = str(event.get("event") or "")
    if kind in _OUTPUT:
        message = shorten(str(event.get("stdout") or ""))
        return {"kind": kind, "created": event.get("created"), "msg": message} if message else None
    if not kind.startswith(("playbook_on_", "runner_")) or kind == "runner_on_start":
        return None
    data: Mapping[str, Any] = event.get("event_data") or {}
    kept = {
        "kind": kind,
        "created": event.get("created"),
        "task": _task(kind, data),
        "task_action": _name(data.get("task_action")),
        "resolved_action": _name(data.get("resolved_action")),
        "task_path": _name(data.get("task_path")),
        "play": _name(data.get("play")),
        "host": _name(data.get("host")),
        "ignore_errors": True if data.get("ignore_errors") else None,
        "duration": data.get("duration"),
        "stats": _stats(data) if kind == "playbook_on_stats" else None,
        **_result(kind, data),
    }
    return {key: value for key, value in kept.items() if value is not None}


def _task(kind: str, data: Mapping[str, Any]) -> str | None:
    """The task's name as Ansible shows it: with its role in front."""
    task = data.get("name") if kind == "playbook_on_task_start" else data.get("task")
    role = data.get("role")
    if task and role and not str(task).startswith(f"{role} : "):
        task = f"{role} : {task}"
    return _name(task)


def _result(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    result = data.get("res")
    if not isinstance(result, Mapping):
        return {}
    failed = kind in _FAILED
    if "censored" in result or result.get("_ansible_no_log"):
        return {"changed": _flag(result), "no_log": True, "msg": NO_LOG if failed else None}
    kept: dict[str, Any] = {"changed": _flag(result), "msg": _message(result, failed=failed)}
    if not failed and data.get("resolved_action") == REQUEUE_AFTER and isinstance(result.get("period"), str):
        kept["requeue_after"] = result["period"][:64]
    return kept


def _flag(result: Mapping[str, Any]) -> bool | None:
    return True if result.get("changed") is True else None


def _message(result: Mapping[str, Any], *, failed: bool) -> str | None:
    """`msg` as it is; of a failed task without one, the next best thing that says why."""
    for key in ("msg", "reason", "module_stderr", "stderr", "stdout") if failed else ("msg",):
        value = result.get(key)
        if value:
            return shorten(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False))
    return (_TOO_LARGE if not result else "") if failed else None


def _stats(data: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Counters by host. `localhost` and the first hosts only, should there be very many."""
    kept: dict[str, dict[str, int]] = {}
    for counter in _COUNTERS:
        hosts = data.get(counter)
        if isinstance(hosts, Mapping):
            names = sorted(hosts, key=lambda name: name != "localhost")[:_MAX_HOSTS]
            kept[counter] = {str(name)[:256]: int(hosts[name]) for name in names}
    return kept


def _name(value: Any) -> str | None:
    return shorten(str(value), _MAX_NAME) if value else None


def shorten(text: str, limit: int = MAX_MESSAGE) -> str:
    """Keep at most that many bytes of UTF-8, and say so where something is cut."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - 3].decode("utf-8", "ignore") + "…"


def encode(record: Mapping[str, Any]) -> bytes:
    """One record as one line."""
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any] | None:
    """Read a line back; `None` for anything that is no record, such as the half line of a writer that was killed."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("kind"), str) else None
