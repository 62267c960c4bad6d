"""Reads what a role sends of a metric: JSON as Operator SDK's `osdk_metric` module has always sent it (pure).

    {"name": ..., "description": ..., "counter": {"increment": true}}        one kind, with at most one operation
    {..., "labels": {"queue": "mail"}, "histogram": {"observe": 0.2, "buckets": [0.1, 1]}}     ours has more

An operation that is null, false, or an `add` or `subtract` of 0 is none. Of several the first in Operator SDK's order
counts: increment, decrement, add, subtract, set, set_to_current_time. Unlike there, `set: 0` sets to 0, and a histogram
or summary without `observe` observes nothing.
"""

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

__all__ = ["BadMetric", "Change", "Kind", "Operation", "parse"]

Kind = Literal["counter", "gauge", "histogram", "summary"]
Operation = Literal["none", "add", "set", "set_to_current_time", "observe"]

_KINDS: tuple[Kind, ...] = get_args(Kind)
_OPTIONS: dict[Kind, frozenset[str]] = {
    "counter": frozenset({"increment", "add"}),
    "gauge": frozenset({"increment", "decrement", "add", "subtract", "set", "set_to_current_time"}),
    "histogram": frozenset({"observe", "buckets"}),
    "summary": frozenset({"observe"}),
}
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_OWN_LABELS = {"histogram": "le", "summary": "quantile"}
_MAX_TEXT = 1024
_MAX_LABELS = 10
_MAX_BUCKETS = 100


class BadMetric(Exception):  # noqa: N818 - reads as what it is
    """A role asked for what cannot be; the message is for the role's author."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a role asked for."""

    name: str
    help: str
    kind: Kind
    labels: tuple[tuple[str, str], ...] = ()
    """Sorted by name."""
    operation: Operation = "none"
    amount: float = 0.0
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, without infinity; empty: those it has, or the usual ones."""


def parse(body: object) -> Change:
    """Read one decoded request.

    Raises:
        BadMetric: it is none.
    """
    if not isinstance(body, Mapping):
        raise BadMetric("a metric is a JSON object")
    unknown = set(body) - {"name", "description", "labels", *_KINDS}
    if unknown:
        raise BadMetric(f"unknown: {', '.join(sorted(map(str, unknown)))}")
    kinds = [kind for kind in _KINDS if body.get(kind) is not None]
    if not kinds:
        raise BadMetric("a request should contain at least one metric: counter, gauge, histogram or summary")
    if len(kinds) > 1:
        raise BadMetric(f"only one metric can be processed at a time, not {' and '.join(kinds)}")
    kind = kinds[0]
    name = body.get("name")
    if not isinstance(name, str) or len(name) > _MAX_TEXT or not _NAME.fullmatch(name):
        raise BadMetric(f"name: {_shown(name)} is no metric name; write letters, digits and _, the first no digit")
    options = body[kind]
    if not isinstance(options, Mapping):
        raise BadMetric(f"{kind}: must be a mapping")
    unknown = set(options) - _OPTIONS[kind]
    if unknown:
        raise BadMetric(f"{kind}: unknown: {', '.join(sorted(map(str, unknown)))}")
    operation, amount = _operation(kind, options)
    return Change(
        name=name,
        help=_text("description", body.get("description") or ""),
        kind=kind,
        labels=_labels(body.get("labels"), kind),
        operation=operation,
        amount=amount,
        bounds=_bounds(options.get("buckets")),
    )


def _operation(kind: Kind, options: Mapping[str, Any]) -> tuple[Operation, float]:
    """The first that was asked for; see the module's docstring."""
    number = {
        option: _number(f"{kind}.{option}", options[option])
        for option in ("add", "subtract", "set", "observe")
        if options.get(option) is not None
    }
    wanted = {
        option: _flag(f"{kind}.{option}", options[option])
        for option in ("increment", "decrement", "set_to_current_time")
        if options.get(option) is not None
    }
    if kind == "counter" and number.get("add", 0.0) < 0:
        raise BadMetric("counter metrics cannot decrease in value")
    if wanted.get("increment"):
        return "add", 1.0
    if wanted.get("decrement"):
        return "add", -1.0
    if number.get("add"):
        return "add", number["add"]
    if number.get("subtract"):
        return "add", -number["subtract"]
    if "set" in number:
        return "set", number["set"]
    if wanted.get("set_to_current_time"):
        return "set_to_current_time", 0.0
    if "observe" in number:
        return "observe", number["observe"]
    return "none", 0.0


def _labels(value: object, kind: Kind) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise BadMetric("labels: must be a mapping of names to values")
    if len(value) > _MAX_LABELS:
        raise BadMetric(f"labels: there are {len(value)}, and at most {_MAX_LABELS} are taken")
    labels = []
    for name, text in value.items():
        if not isinstance(name, str) or len(name) > _MAX_TEXT or not _LABEL.fullmatch(name):
            raise BadMetric(f"labels: {_shown(name)} is no label name; write letters, digits and _, the first no digit")
        if name.startswith("__") or name == _OWN_LABELS.get(kind):
            raise BadMetric(f"labels: {name} is reserved; choose another name")
        labels.append((name, _text(f"labels.{name}", text)))
    return tuple(sorted(labels))


def _bounds(value: object) -> tuple[float, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value or len(value) > _MAX_BUCKETS:
        raise BadMetric(f"histogram.buckets: must be a list of 1 to {_MAX_BUCKETS} numbers")
    bounds = tuple(_number("histogram.buckets", bound) for bound in value)
    if any(low >= high for low, high in itertools.pairwise(bounds)):
        raise BadMetric("histogram.buckets: must be in rising order")
    return bounds


def _number(where: str, value: object) -> float:
    # Numbers beyond a float's range arrive as infinite or as huge integers.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadMetric(f"{where}: {_shown(value)} is no number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadMetric(f"{where}: must be a finite number")
    return number


def _flag(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise BadMetric(f"{where}: {_shown(value)} is neither true nor false")
    return value


def _text(where: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise BadMetric(f"{where}: must be a text of at most {_MAX_TEXT} characters")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadMetric(f"{where}: is no valid text") from error
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
