"""Notices that a role and somebody else undo each other's writes to a child, and says how long its owner waits. Pure.

Promises: a change that a role makes to a child for the `TIMES`th time, each soon after the one before and all for one
generation of the owner, is a loop; while it goes on, what happens to the owner's children is looked at after a delay
that doubles with each run that does it again, up to `MAX_DELAY_S`; a new generation of the owner, or an owner made
again, begins with nothing held against it. Does not keep anyone from writing, and forgets what is over. Keeps digests,
of so many owners that wrote last.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.clock import Clock
from runner.gateway.childdiff import Change
from runner.gateway.ownership import Owner
from runner.objects import GroupVersionKind, ObjectRef, RunId, Uid

__all__ = ["FIRST_DELAY_S", "MAX_DELAY_S", "QUIET_S", "TIMES", "Loop", "LoopBreaker"]

TIMES = 5
"""So often must the same change be made; a person who tries something out gives up before."""
QUIET_S = 60.0
"""The same change after a longer pause (beyond our own delay) is no loop: it costs little, and may be meant."""
FIRST_DELAY_S = 5.0
MAX_DELAY_S = 300.0
_REMIND_S = 3600.0
"""Events are kept for about so long."""
_NAMED = 5
_OWNERS = 1000
_CHANGES = 32
"""Remembered of each owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """A loop worth telling of; `str()` is for the owner's people."""

    child: str
    fields: tuple[str, ...]
    """None: it is the whole child, which is made and deleted."""
    times: int
    delay_s: float

    def __str__(self) -> str:
        names = ", ".join(self.fields[:_NAMED])
        more = f" and {len(self.fields) - _NAMED} more" if len(self.fields) > _NAMED else ""
        undone = f"{names}{more}: put back each time that the role wrote it" if names else "gone each time it was made"
        return (
            f"{self.child}: {undone}, {self.times} times by now; changes of children are looked at after"
            f" {self.delay_s:g} s now, up to {MAX_DELAY_S:g} s; have one of the two let it be"
            f"{', or name the field under dependentIgnore in watches.yaml' if names else ''}"
        )


@dataclass(slots=True)
class _Repeated:
    times: int
    last: float
    told: float | None = None


@dataclass(slots=True)
class _State:
    """What one owner's runs did of late."""

    uid: Uid
    generation: int
    changes: OrderedDict[tuple[str, bytes], _Repeated] = field(default_factory=OrderedDict)
    last: float = 0.0
    delay_s: float = 0.0
    looped_at: float = 0.0
    delayed_by: RunId | None = None
    """The run that the delay was last raised for: a run that writes twice is one round."""

    def waits_s(self, now: float) -> float:
        return self.delay_s if now - self.looped_at <= self.delay_s + QUIET_S else 0.0


class LoopBreaker:
    """For all owners. `delay_s` is what `Dependents` asks, the rest is what the gateway tells."""

    def __init__(self, *, clock: Clock, count: Callable[[GroupVersionKind], None] = lambda _gvk: None) -> None:
        """Args:
        count: told the owner's kind of each change that is part of a loop.
        """
        self._clock = clock
        self._count = count
        self._owners: OrderedDict[tuple[GroupVersionKind, ObjectRef], _State] = OrderedDict()

    def __len__(self) -> int:
        """Owners of whom something is remembered."""
        return len(self._owners)

    def delay_s(self, gvk: GroupVersionKind, ref: ObjectRef) -> float:
        """Seconds for which an owner is not to be woken by what happens to its children; mostly 0."""
        state = self._owners.get((gvk, ref))
        return state.waits_s(self._clock.monotonic()) if state else 0.0

    def begins(self, owner: Owner, generation: int) -> None:
        """Take note that a run begins, for that generation of its owner."""
        state = self._owners.get((owner.gvk, owner.ref))
        if state is not None and (state.uid, state.generation) != (owner.uid, generation):
            del self._owners[owner.gvk, owner.ref]

    def changed(self, owner: Owner, generation: int, run_id: RunId, child: str, change: Change) -> Loop | None:
        """Take note of what a run did to a child; return what its owner should be told, if that is due.

        Args:
            child: which one, in words that stay the same, such as `ConfigMap n/x`.
        """
        now = self._clock.monotonic()
        self.begins(owner, generation)
        state = self._touched(owner, generation, now)
        repeated = _count_one(state, (child, change.digest), now)
        if repeated.times < TIMES:
            return None
        self._count(owner.gvk)
        _raise_delay(state, run_id, now)
        if repeated.told is not None and now - repeated.told < _REMIND_S:
            return None
        repeated.told = now
        fields = tuple(str(path) for path in change.fields)
        return Loop(child=child, fields=fields, times=repeated.times, delay_s=state.delay_s)

    def _touched(self, owner: Owner, generation: int, now: float) -> _State:
        state = self._owners.setdefault((owner.gvk, owner.ref), _State(owner.uid, generation))
        state.last = now
        self._owners.move_to_end((owner.gvk, owner.ref))
        while len(self._owners) > _OWNERS or self._over(next(iter(self._owners.values())), now):
            self._owners.popitem(last=False)
        return state

    @staticmethod
    def _over(state: _State, now: float) -> bool:
        return now - state.last > QUIET_S + state.delay_s


def _count_one(state: _State, key: tuple[str, bytes], now: float) -> _Repeated:
    known = state.changes.pop(key, None)
    if known is None or now - known.last > QUIET_S + state.waits_s(now):
        known = _Repeated(0, now)
    known.times += 1
    known.last = now
    state.changes[key] = known
    if len(state.changes) > _CHANGES:
        state.changes.popitem(last=False)
    return known


def _raise_delay(state: _State, run_id: RunId, now: float) -> None:
    if state.delayed_by != run_id:
        state.delay_s = min(2 * state.waits_s(now) or FIRST_DELAY_S, MAX_DELAY_S)
        state.delayed_by = run_id
    state.looped_at = now
