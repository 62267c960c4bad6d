"""Keys that are ready to be worked on, in two lanes: those for whose outcome somebody waits go first.

Promises: within a lane keys come out in the order in which they got into it; while keys wait in both, the second lane
gets every tenth turn, so a flood of changes delays routine and never stops it. Does not wait and holds no key twice.
"""

from collections import OrderedDict
from collections.abc import Hashable
from enum import IntEnum

__all__ = ["Lane", "Lanes"]

_CHANGES_IN_A_ROW = 9


class Lane(IntEnum):
    """Which keys go first; the lower the more urgent."""

    CHANGES = 0
    """Something happened, and somebody waits to see what comes of it."""
    ROUTINE = 1
    """Nobody waits: periodic looks, delays that a run asked for, all that is there when we start."""


class Lanes[K: Hashable]:
    """Keys, each with its lane and the instant since which it is ready."""

    def __init__(self) -> None:
        self._changes: OrderedDict[K, float] = OrderedDict()
        self._routine: OrderedDict[K, float] = OrderedDict()
        self._changes_in_a_row = 0

    def __len__(self) -> int:
        return len(self._changes) + len(self._routine)

    def __contains__(self, key: K) -> bool:
        return key in self._changes or key in self._routine

    def put(self, key: K, lane: Lane, *, since: float) -> None:
        """Add a key at its lane's end. One that is there already stays where it is, unless this lane is more urgent."""
        if lane is Lane.ROUTINE:
            if key not in self._changes:
                self._routine.setdefault(key, since)
        else:
            self._changes.setdefault(key, self._routine.pop(key, since))

    def take(self) -> tuple[K, Lane, float]:
        """Remove the key whose turn it is; return it with its lane and the instant since which it was ready.

        Raises:
            KeyError: there is none.
        """
        if not self._changes or (self._routine and self._changes_in_a_row == _CHANGES_IN_A_ROW):
            self._changes_in_a_row = 0
            key, since = self._routine.popitem(last=False)
            return key, Lane.ROUTINE, since
        self._changes_in_a_row = self._changes_in_a_row + 1 if self._routine else 0
        key, since = self._changes.popitem(last=False)
        return key, Lane.CHANGES, since

    def clear(self) -> None:
        self._changes.clear()
        self._routine.clear()
