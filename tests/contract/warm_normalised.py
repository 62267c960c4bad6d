"""The fields in which a warm run may differ from a plain one. All of them; whatever is not named here is equal.

Review this file when it changes: each line is a difference that nobody will ever be told of.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["EVENT_KEYS", "RESULT_KEYS", "TEXTS", "api_call", "event", "text"]

EVENT_KEYS = frozenset({
    "created", "duration", "end", "start",  # times
    "pid",
    "parent_uuid", "play_uuid", "playbook_uuid", "task_uuid", "uuid",
    "runner_ident",  # the run's id
    "start_line", "end_line", "counter",  # of lines that `verbose` events have, and those are not compared
})  # fmt: skip
RESULT_KEYS = frozenset({
    "ansible_job_id", "atime", "ctime", "delta", "end", "inode", "mtime", "start",  # of processes and files just made
    "creationTimestamp", "lastTransitionTime", "managedFields", "resourceVersion", "time", "uid",  # the API server's
})  # fmt: skip
TEXTS = (
    (re.compile(r"/[^\s'\"]*/live/[A-Za-z0-9_]+/\d+(?=/|\b)"), "RUN"),
    (re.compile(r"ansible-(tmp|local|moduletmp)-[0-9._a-z-]+"), "TEMPORARY"),
    (re.compile(r"ansible_[a-z_.]+_payload_[a-z0-9_]+"), "TEMPORARY"),
    (re.compile(r"/tmp[a-z0-9_]{8}\b"), "/TEMPORARY"),
    (re.compile(r'"version": "\d+"'), '"version": "INODE"'),  # of an inode; those of software have dots
    (re.compile(r"\bj\d{6,}\.\d+\b"), "JOB"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "TIME"),
    (re.compile(r"0x[0-9a-f]{6,}"), "ADDRESS"),
    (re.compile(r"\b(equal)-(plain|warm)-"), "equal-"),  # the namespace: each path has its own
    (re.compile(r"\\?\"resourceVersion\\?\":\s*\\?\"\d+\\?\""), "VERSION"),
    (re.compile(r"'Audit-Id': '[^']*'|'Date': '[^']*'|'X-Kubernetes-Pf-[A-Za-z-]*': '[^']*'"), "HEADER"),
)
_IN_TEXT = re.compile(rf'"({"|".join(sorted(RESULT_KEYS))})": ("[^"]*"|[0-9.]+|null)')
"""The same fields where a result is displayed."""
_SKIPPED = frozenset({"verbose", "debug"})
"""Text that is not about a task: at -vvv a plain run names the commands it starts, and a warm one starts none."""
_DISCOVERY = re.compile(r"/(version|apis?(/[^/]+){0,2}|openapi/.*)(\?.*)?")


def text(value: str) -> str:
    for pattern, name in TEXTS:
        value = pattern.sub(name, value)
    return _IN_TEXT.sub(r'"\1": "NORMALISED"', value)


def event(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """One event of ansible-runner without what may differ; `None`: not compared."""
    if raw.get("event") in _SKIPPED:
        return None
    kept = {key: value for key, value in raw.items() if key not in EVENT_KEYS}
    return {key: _value(value) for key, value in kept.items()}


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        inode = {"version"} if "inode" in value else set()
        return {key: _value(item) for key, item in value.items() if key not in EVENT_KEYS | RESULT_KEYS | inode}
    if isinstance(value, list):
        return [_value(item) for item in value]
    return text(value) if isinstance(value, str) else value


def api_call(entry: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """One entry of the audit log; `None` for discovery, which a warm run does once and a plain one in each task."""
    if _DISCOVERY.fullmatch(entry["requestURI"]):
        return None
    body = json.dumps(_value(entry.get("requestObject")), sort_keys=True)
    code = (entry.get("responseStatus") or {}).get("code")
    return entry["verb"], text(entry["requestURI"]), code, body, entry.get("userAgent")
