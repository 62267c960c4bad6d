"""The Lease record in client-go's format, and what to do with one that was seen: values in, a decision out.

Promises: no record raises, however odd; and one that somebody edited, blanked or deleted under its holder makes no
second holder among those who had seen the first. Does no I/O and reads no clock: instants are handed in, monotonic.
"""

import dataclasses
import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from runner import objects
from runner.objects import Raw

__all__ = ["RESOURCE", "Claim", "LeaseRecord", "Move", "Sighting", "decide", "micro_time", "observe"]

RESOURCE = objects.Resource(
    gvk=objects.GroupVersionKind("coordination.k8s.io", "v1", "Lease"), plural="leases", namespaced=True
)

_RELEASED_DURATION_S = 1
_INT32 = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """A Lease's `spec`. Times are kept as text: they are shown and compared for equality, never reckoned with."""

    holder: str = ""
    """Empty: nobody holds it."""
    duration_s: int = 0
    """How long others must see no change before they take over; 0 where the record gives no usable number."""
    acquired: str = ""
    renewed: str = ""
    transitions: int = 0

    @classmethod
    def of(cls, lease: Mapping[str, Any]) -> Self:
        """Read a raw Lease; what is missing or of the wrong type gets its zero value."""
        spec = lease.get("spec")
        if not isinstance(spec, Mapping):
            spec = {}
        return cls(
            holder=_text(spec.get("holderIdentity")),
            duration_s=_count(spec.get("leaseDurationSeconds")),
            acquired=_text(spec.get("acquireTime")),
            renewed=_text(spec.get("renewTime")),
            transitions=_count(spec.get("leaseTransitions")),
        )

    def as_spec(self) -> Raw:
        return {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.duration_s,
            "acquireTime": self.acquired,
            "renewTime": self.renewed,
            "leaseTransitions": self.transitions,
        }

    @property
    def released(self) -> bool:
        """Its last holder gave it up in client-go's way, so nobody acts under it any more."""
        return not self.holder and self.duration_s == _RELEASED_DURATION_S

    def renew(self, *, renewed: str, duration_s: int) -> Self:
        """The same term of the same holder, seen alive later."""
        return dataclasses.replace(self, renewed=renewed, duration_s=duration_s)

    def take(self, *, holder: str, term: str, renewed: str, duration_s: int) -> Self:
        """A new holder's term over this record."""
        return type(self)(
            holder=holder,
            duration_s=duration_s,
            acquired=term,
            renewed=renewed,
            transitions=(self.transitions + 1) % _INT32,
        )

    def release(self, *, now: str) -> Self:
        """Given up: the next one need not wait."""
        return type(self)(
            duration_s=_RELEASED_DURATION_S, acquired=now, renewed=now, transitions=self.transitions
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What makes a record ours: our identity, and the term we wrote or tried to write.

    The term is the record's `acquireTime`. Identity alone would not do: two processes that were given the same one
    would each take the other's record for its own, and both would lead.
    """

    identity: str
    term: str = ""
    """Empty: we have not tried to write a term over what we last saw."""

    def owns(self, record: LeaseRecord | None) -> bool:
        return (
            record is not None and bool(self.term) and record.holder == self.identity and record.acquired == self.term
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What this process last saw of the Lease, and until when somebody else may act under it."""

    record: LeaseRecord | None
    """`None`: there is no Lease."""
    guard_s: float = 0.0
    """How long after the last change that somebody else may act; 0: there is nobody else."""
    guarded_until: float = -math.inf


class Move(enum.Enum):
    """What to do about a sighting."""

    CREATE = "create"
    TAKE_OVER = "take over"
    RENEW = "renew"
    STAND_BY = "stand by"


def observe(before: Sighting | None, record: LeaseRecord | None, claim: Claim, *, now: float, at_least_s: float) -> Sighting:
    """Note what was read at `now`, an instant after the answer came.

    Only a change counts, and only the instant at which we saw it: no time in the record is believed. Another holder
    is left alone for the record's own duration, yet for no less than `at_least_s` (our own): a duration edited to 0
    must not shorten the life of a holder that never heard of it.
    """
    if before is not None and before.record == record:
        return before
    guard_s = _guard(before, record, claim, at_least_s)
    return Sighting(record=record, guard_s=guard_s, guarded_until=now + guard_s if guard_s else -math.inf)


def _guard(before: Sighting | None, record: LeaseRecord | None, claim: Claim, at_least_s: float) -> float:
    if record is not None and (claim.owns(record) or record.released):
        return 0.0
    if record is not None and record.holder:
        return max(float(record.duration_s), at_least_s)
    # Deleted or blanked, and not by its holder, who learns of it at its next renewal only: wait as if it had renewed.
    return before.guard_s if before is not None else 0.0


def decide(seen: Sighting, claim: Claim, *, now: float) -> Move:
    """Choose the next step; a write that follows must be conditional on the version that was seen."""
    if claim.owns(seen.record):
        return Move.RENEW
    if now < seen.guarded_until:
        return Move.STAND_BY
    return Move.CREATE if seen.record is None else Move.TAKE_OVER


def micro_time(instant: datetime) -> str:
    """Format as metav1.MicroTime does: always six digits of a second, `Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
