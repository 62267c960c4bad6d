"""What a role's write did to a child, said so that the same write doing the same again says the same. Pure.

Two writes are the same change if they ask for the same fields to go from the same values to the same values. What was
asked for counts and not only what came of it: an admission webhook may refuse a field and stamp another at each write.
Values are kept as a digest, for they may be secrets. Status and what the server counts by itself do not count, nor do
the fields that the watch ignores.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from runner.fieldpaths import FieldPath
from runner.objects import Raw
from runner.predicates import stable

__all__ = ["Change", "between", "making"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write's effect."""

    fields: tuple[FieldPath, ...]
    """Those that went from one value to another; none: the object was made."""
    digest: bytes
    """Of these, with their values; what else was asked for and is not so, is part of it too."""


class _Difference(NamedTuple):
    way: tuple[str | int, ...]
    old: Any
    new: Any


def making(sent: Raw | None, *, ignore: Collection[FieldPath] = ()) -> Change:
    """The change of a write that made the object; `sent` is the body, `None` if it could not be read."""
    return Change(fields=(), digest=_digest(["made", None if sent is None else _counted(sent, ignore)]))


def between(found: Raw, sent: Raw | None, answered: Raw, *, ignore: Collection[FieldPath] = ()) -> Change | None:
    """The change of a write to an object that was there; `None`: nothing that counts is different.

    Args:
        found: the object as the role last saw it.
        sent: the body, where it is (a part of) the object as it should be, else `None`.
        answered: the object as the server then had it.
    """
    before = _counted(found, ignore)
    done = list(_differences(before, _counted(answered, ignore)))
    if not done:
        return None
    asked = [] if sent is None else list(_asked(before, _counted(sent, ignore)))
    told = [wish for wish in asked if any(_touch(wish.way, change.way) for change in done)] or asked or done
    return Change(
        fields=tuple(sorted(FieldPath(difference.way) for difference in told)),
        digest=_digest([[*difference] for difference in asked or done]),
    )


def _counted(obj: Raw, ignore: Collection[FieldPath]) -> Raw:
    counted: Raw = FieldPath.cut(stable(obj), ignore)
    return counted


def _differences(old: Any, new: Any, way: tuple[str | int, ...] = ()) -> Iterator[_Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(key), new.get(key), (*way, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _differences(*pair, (*way, index))
    elif old != new:
        yield _Difference(way, old, new)


def _asked(old: Any, wish: Any, way: tuple[str | int, ...] = ()) -> Iterator[_Difference]:
    """As `_differences`, but what a wish does not mention it leaves as it is."""
    if isinstance(old, dict) and isinstance(wish, dict):
        for key in sorted(wish):
            yield from _asked(old.get(key), wish[key], (*way, key))
    elif isinstance(old, list) and isinstance(wish, list) and len(old) == len(wish):
        for index, pair in enumerate(zip(old, wish, strict=True)):
            yield from _asked(*pair, (*way, index))
    elif old != wish:
        yield _Difference(way, old, wish)


def _touch(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> bool:
    """Whether one is the other or lies within it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _digest(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
