"""How values of watches.yaml are read: each returns the value, or raises a `ValueError` that says what was expected."""

from collections.abc import Mapping
from typing import Any, Literal

from runner.durations import parse_duration
from runner.labelselector import Selector
from runner.objects import GroupVersionKind

__all__ = [
    "DependentStatus", "boolean", "count", "dependent_status", "describe", "duration", "entries", "kinds", "mapping",
    "names", "selector", "text",
]  # fmt: skip

DependentStatus = Literal["false", "terminal", "all"]


def describe(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, found {describe(value)}")  # noqa: TRY004 - reported, not a caller's mistake
    return value


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in {"true", "false"}:  # what a ${VARIABLE} in quotes turns into
        return bool(value == "true")
    raise ValueError(f"must be true or false, found {describe(value)}")


def count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"must be a whole number from 0, found {describe(value)}")
    return value


def duration(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError(f"must be a duration such as '30s' or '1h', in quotes, found {describe(value)}")  # noqa: TRY004
    seconds = parse_duration(value)
    if seconds < 0:
        raise ValueError(f"must not be negative, found {value!r}")
    return seconds


def mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping, found {describe(value)}")  # noqa: TRY004
    return {str(key): entry for key, entry in value.items()}


def entries(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list, found {describe(value)}")  # noqa: TRY004
    return value


def names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ValueError(f"must be a list of names, found {describe(value)}")
    return tuple(value)


def kinds(value: Any) -> frozenset[GroupVersionKind]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) and entry.get("kind") for entry in value):
        raise ValueError(f"must be a list of mappings with group, version and kind, found {describe(value)}")
    return frozenset(
        GroupVersionKind(str(entry.get("group") or ""), str(entry.get("version") or ""), str(entry["kind"]))
        for entry in value
    )


def selector(value: Any) -> Selector:
    return Selector.parse(mapping(value))


def dependent_status(value: Any) -> DependentStatus:
    if value is False or value == "false":
        return "false"
    if value == "terminal":
        return "terminal"
    if value == "all":
        return "all"
    raise ValueError(f"must be false, terminal or all, found {describe(value)}")
