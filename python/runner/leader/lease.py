"""The Lease record in client-go's format, and what to do with one that was seen: values in, a decision out.

Promises: no record raises, however odd; and one that somebody edited, blanked or deleted under its holder makes no
second holder among those who had seen the first, unless it was made to look exactly like a release.
Does no I/O and reads no clock: instants are handed in, monotonic.
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

__all__ = [
    "JITTER",
    "RESOURCE",
    "Claim",
    "LeaderSettings",
    "LeaseRecord",
    "Move",
    "Sighting",
    "body",
    "decide",
    "micro_time",
    "observe",
    "version",
]

RESOURCE = objects.Resource(
    gvk=objects.GroupVersionKind("coordination.k8s.io", "v1", "Lease"), plural="leases", namespaced=True
)

JITTER = 1.2
"""client-go's: a follower waits up to this share of the retry period longer, so that not all ask at once."""

_RELEASED_DURATION_S = 1
_INT32 = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderSettings:
    """Raises `ValueError` naming the flags where the values cannot work."""

    name: str
    namespace: str
    identity: str
    """Who we are in the record: unique for each process, or a restarted one waits for its own old record."""
    lease_duration_s: float = 15.0
    """Seconds without a change of the record before another may take over; whole seconds are written, rounded up."""
    renew_deadline_s: float = 10.0
    """Seconds from the sending of the last good renewal to our end. The gap to lease_duration_s is for killing runs."""
    retry_period_s: float = 2.0
    """Seconds between renewals, and at least that between a follower's looks."""

    def __post_init__(self) -> None:
        wrong = [
            f"{flag} must not be empty"
            for flag, value in (
                ("--leader-election-id", self.name),
                ("--leader-election-namespace", self.namespace),
                ("the leader election identity", self.identity),
            )
            if not value
        ]
        if not self.retry_period_s > 0:
            wrong.append(f"--leader-elect-retry-period ({self.retry_period_s:g}s) must be positive")
        if not JITTER * self.retry_period_s < self.renew_deadline_s:
            wrong.append(
                f"--leader-elect-renew-deadline ({self.renew_deadline_s:g}s) must be more than "
                f"{JITTER:g} times --leader-elect-retry-period ({self.retry_period_s:g}s)"
            )
        if not self.renew_deadline_s < self.lease_duration_s < math.inf:
            wrong.append(
                f"--leader-elect-lease-duration ({self.lease_duration_s:g}s) must be more than "
                f"--leader-elect-renew-deadline ({self.renew_deadline_s:g}s)"
            )
        if wrong:
            raise ValueError("; ".join(wrong))


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
        """Its last holder gave it up in client-go's way, so nobody acts under it any more.

        That way sets all of this at once; a hand that empties the holder leaves the rest as it was.
        """
        unheld = not self.holder and self.duration_s == _RELEASED_DURATION_S
        return unheld and bool(self.acquired) and self.acquired == self.renewed

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
        return type(self)(duration_s=_RELEASED_DURATION_S, acquired=now, renewed=now, transitions=self.transitions)


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
    version: str = ""
    """Its resourceVersion; empty where there is no Lease."""
    guard_s: float = 0.0
    """How long after the last change that somebody else may act; 0: there is nobody else."""
    guarded_until: float = -math.inf


class Move(enum.Enum):
    """What to do about a sighting."""

    CREATE = "create"
    TAKE_OVER = "take over"
    RENEW = "renew"
    STAND_BY = "stand by"


def observe(
    before: Sighting | None, record: LeaseRecord | None, claim: Claim, *, version: str, now: float, at_least_s: float
) -> Sighting:
    """Note what was read at `now`, an instant after the answer came.

    Only a change counts, and only the instant at which we saw it: no time in the record is believed. Any write is a
    change, even one that left the record as it was; client-go looks at the record alone, and so takes one that was
    put back to an old state for one that nobody renewed. Another holder is left alone for the record's own duration,
    yet for no less than `at_least_s` (our own): a duration edited to 0 must not shorten the life of a holder that
    never heard of it.
    """
    if before is not None and (before.record, before.version) == (record, version):
        return before
    guard_s = _guard(before, record, claim, at_least_s)
    guarded_until = now + guard_s if guard_s else -math.inf
    return Sighting(record=record, version=version, guard_s=guard_s, guarded_until=guarded_until)


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


def body(ref: objects.ObjectRef, read: Mapping[str, Any], record: LeaseRecord) -> Raw:
    """The Lease to send. Over one that was `read`: with its version and uid, so that only that very one is replaced."""
    meta = {key: value for key, value in _metadata(read).items() if key != "managedFields"}
    return {
        "apiVersion": RESOURCE.gvk.api_version,
        "kind": RESOURCE.gvk.kind,
        "metadata": {**meta, "namespace": ref.namespace, "name": ref.name},
        "spec": record.as_spec(),
    }


def version(read: Mapping[str, Any]) -> str:
    """The resource version that a write has to name; empty where none was given."""
    return _text(_metadata(read).get("resourceVersion"))


def micro_time(instant: datetime) -> str:
    """Format as metav1.MicroTime does: always six digits of a second, `Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _metadata(read: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = read.get("metadata")
    return meta if isinstance(meta, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
