"""Paths of fields in API objects, as people write them: read, written, and cut out of objects. Pure.

`spec.replicas`, `metadata.annotations["example.com/seen"]`, `webhooks[*].clientConfig.caBundle`, `spec.ports[0]`.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["EACH", "FieldPath"]

EACH = -1
"""The step to every element of a list, written `[*]`."""

_NAME = re.compile(r"[A-Za-z0-9_$-]+")
_STEP = re.compile(
    r"""\.(?P<name>[A-Za-z0-9_$-]+)|\[(?P<index>\d+|\*)\]|\[(?P<double>"(?:[^"\\]|\\.)*")\]|\['(?P<single>[^']*)'\]"""
)
_REMEDY = """write it like spec.replicas, metadata.annotations["a/b"] or spec.containers[*].image"""


@dataclass(frozen=True, slots=True, order=True)
class FieldPath:
    """The way from an object to one of its fields, or with `EACH` to several."""

    steps: tuple[str | int, ...]
    """Keys of mappings and indexes of lists; the first is a key."""

    @classmethod
    def parse(cls, text: str) -> "FieldPath":
        """Read a path.

        Raises:
            ValueError: it is none; the text says from where on, and what one looks like.
        """
        first = _NAME.match(text)
        if first is None:
            raise ValueError(f"{text!r} does not begin with the name of a field; {_REMEDY}")
        steps: list[str | int] = [first[0]]
        end = first.end()
        while end < len(text):
            step = _step(text, end)
            if step is None:
                raise ValueError(f"{text!r} cannot be read from {text[end:]!r} on; {_REMEDY}")
            steps.append(step[0])
            end = step[1]
        return cls(tuple(steps))

    def __str__(self) -> str:
        return "".join(_written(step) for step in self.steps).removeprefix(".")

    @staticmethod
    def cut(value: Any, paths: Iterable["FieldPath"]) -> Any:
        """Return a value without these fields; nothing is changed in place.

        A mapping or list on the way that has nothing else goes too, so that what is left is the same whether a field
        was there or not. An element of a list keeps its place.
        """
        for path in paths:
            value = _without(value, path.steps)
        return value


def _step(text: str, start: int) -> tuple[str | int, int] | None:
    found = _STEP.match(text, start)
    if found is None:
        return None
    if found["index"] is not None:
        return EACH if found["index"] == "*" else int(found["index"]), found.end()
    if found["double"] is None:
        return found["name"] or found["single"] or "", found.end()
    try:
        return str(json.loads(found["double"])), found.end()
    except ValueError:
        return None


def _written(step: str | int) -> str:
    if isinstance(step, int):
        return "[*]" if step == EACH else f"[{step}]"
    return f".{step}" if _NAME.fullmatch(step) else f"[{json.dumps(step, ensure_ascii=False)}]"


def _without(value: Any, steps: tuple[str | int, ...]) -> Any:
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        return _without_key(value, step, rest) if isinstance(value, dict) and step in value else value
    if not isinstance(value, list):
        return value
    if step == EACH:
        return [_without(element, rest) for element in value] if rest else []
    return [
        element if index != step else _without(element, rest) if rest else None for index, element in enumerate(value)
    ]


def _without_key(mapping: dict[str, Any], key: str, rest: tuple[str | int, ...]) -> dict[str, Any]:
    left = _without(mapping[key], rest) if rest else None
    kept = {other: value for other, value in mapping.items() if other != key}
    return kept if left in (None, {}, []) else {**kept, key: left}
