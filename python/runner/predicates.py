"""Which changes are worth a reconcile: pure functions over what an informer keeps of an object.

An object that a watch is about is kept as `Primary`, one that such an object may own as `Dependent`: digests in place
of its text, so that ten thousand of them are cheap. Does not read the cluster.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runner.fieldpaths import FieldPath
from runner.labelselector import EVERYTHING, Selector
from runner.objects import GroupVersionKind, OwnerReference, Raw, Uid, parse_time

__all__ = [
    "PRIMARY_ANNOTATION",
    "PRIMARY_TYPE_ANNOTATION",
    "Dependent",
    "DependentStatus",
    "Primary",
    "changed",
    "dependent_changed",
    "dependents_of",
    "stable",
]

PRIMARY_ANNOTATION = "operator-sdk/primary-resource"
"""Names the owner where an owner reference can't: `namespace/name`, `name` or `/name`."""
PRIMARY_TYPE_ANNOTATION = "operator-sdk/primary-resource-type"
"""That owner's `Kind.group`, or `Kind` in the core group."""

DependentStatus = Literal["false", "terminal", "all"]
"""Which status changes of a dependent count: none, reaching its end, or each."""

_UNSTABLE_METADATA = ("resourceVersion", "managedFields", "generation")
_TERMINAL_CONDITIONS = ("Complete", "Failed")
_TERMINAL_PHASES = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """What is kept of an object that a watch is about."""

    uid: Uid
    generation: int = 0
    """0: its kind has none."""
    created_s: int = 0
    """Since 1970; 0: unknown. For metrics."""
    deleting: bool = False
    annotations: bytes = b""
    """Digest; empty if there are none, or where their changes do not count."""
    selected: bool = True
    """Whether the watch's selector matches it."""

    @classmethod
    def of(cls, obj: Mapping[str, Any], *, annotations: bool, selector: Selector = EVERYTHING) -> "Primary":
        """Read a raw object, of which no more than the metadata is needed; `annotations`: their changes count."""
        meta: Mapping[str, Any] = obj.get("metadata") or {}
        counted = meta.get("annotations") if annotations else None
        return cls(
            uid=Uid(str(meta.get("uid") or "")),
            generation=int(meta.get("generation") or 0),
            created_s=_created_s(meta),
            deleting=bool(meta.get("deletionTimestamp")),
            annotations=_digest(counted) if counted else b"",
            selected=selector.matches(meta.get("labels") or {}),
        )


def _created_s(meta: Mapping[str, Any]) -> int:
    try:
        return int(parse_time(str(meta.get("creationTimestamp") or "")).timestamp())
    except ValueError:
        return 0


def changed(old: Primary | None, new: Primary | None) -> bool:
    """Tell whether a primary object should be reconciled after this change.

    Creation and deletion always; an update if what its author wrote changed (the generation says so, except for
    kinds that have none, of which each update counts), deletion began, or it was not selected before. A status write
    of ours does not count, nor what happens to an object that is not selected, except for its deletion: it may have
    been selected once, and wait for our finalizer.
    """
    if new is not None and not (new.selected or new.deleting):
        return False
    return old is None or new is None or new.generation == 0 or old != new


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """What is kept of an object that some primary object may own."""

    uid: Uid
    owners: tuple[OwnerReference, ...] = ()
    primary: str = ""
    """Value of `PRIMARY_ANNOTATION`."""
    primary_type: str = ""
    """Value of `PRIMARY_TYPE_ANNOTATION`."""
    digest: bytes = b""
    """Of everything but the status, what the server counts by itself, and what is to be ignored."""
    status_digest: bytes = b""
    """Of the status; empty if there is none."""
    finished: str = ""
    """The end it reached, such as `Complete`, `Succeeded` or `Failed`; empty while it may still change by itself."""

    @classmethod
    def of(cls, obj: Mapping[str, Any], *, ignore: Collection[FieldPath] = ()) -> "Dependent":
        """Read a raw object; a change of the fields to ignore leaves this equal, unless it is one of its owners."""
        meta: Mapping[str, Any] = obj.get("metadata") or {}
        annotations: Mapping[str, str] = meta.get("annotations") or {}
        counted = FieldPath.cut(obj, ignore)
        status = counted.get("status")
        return cls(
            uid=Uid(str(meta.get("uid") or "")),
            owners=tuple(OwnerReference.of(owner) for owner in meta.get("ownerReferences") or ()),
            primary=str(annotations.get(PRIMARY_ANNOTATION) or ""),
            primary_type=str(annotations.get(PRIMARY_TYPE_ANNOTATION) or ""),
            digest=_digest(stable(counted)),
            status_digest=_digest(status) if status else b"",
            finished=_finished(counted),
        )


_NOBODYS = Dependent(uid=Uid(""))


def dependents_of(
    kinds: Iterable[GroupVersionKind], *, ignore: Collection[FieldPath] = ()
) -> Callable[[Raw], Dependent]:
    """Return the projection for a kind that is watched for the sake of owners of these kinds, in whatever version.

    Most Secrets or Pods of a cluster belong to others: all of those are kept as one and the same value, which is no
    owner's, so that only an object that begins or ceases to be somebody's is a change.
    """
    wanted = frozenset((kind.group, kind.kind) for kind in kinds)

    def project(obj: Raw) -> Dependent:
        return _NOBODYS if wanted.isdisjoint(_owner_kinds(obj)) else Dependent.of(obj, ignore=ignore)

    return project


def _owner_kinds(obj: Raw) -> Iterator[tuple[str, str]]:
    """Yield group and kind of each owner that an object names, by reference or by annotation."""
    meta: Mapping[str, Any] = obj.get("metadata") or {}
    for owner in meta.get("ownerReferences") or ():
        gvk = GroupVersionKind.of(owner)
        yield gvk.group, gvk.kind
    kind, _, group = str((meta.get("annotations") or {}).get(PRIMARY_TYPE_ANNOTATION) or "").partition(".")
    yield group, kind


def dependent_changed(old: Dependent | None, new: Dependent | None, *, status: DependentStatus) -> bool:
    """Tell whether the owners of a dependent object should be reconciled after this change.

    Deletion always. An update if anything but the status changed, or by the rule that `status` names. Creation never
    (the owner made it itself), except where the status counts and the object shows up with one that counts: then
    the change happened while nobody watched, such as a Job that finished before its kind was first listed.
    """
    if new is None:
        return True
    if old is None:
        return _status_news(None, new, status)
    return old.uid != new.uid or old.digest != new.digest or _status_news(old, new, status)


def _status_news(old: Dependent | None, new: Dependent, status: DependentStatus) -> bool:
    match status:
        case "all":
            return new.status_digest != (old.status_digest if old else b"")
        case "terminal":
            return new.finished not in ("", old.finished if old else "")
        case "false":
            return False


def stable(obj: Mapping[str, Any]) -> Raw:
    """Return what of an object somebody wrote: all but the status and what the server counts by itself."""
    # apiVersion and kind never change, and the items of a list may come without them.
    stable = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    meta: Mapping[str, Any] = obj.get("metadata") or {}
    stable["metadata"] = {key: value for key, value in meta.items() if key not in _UNSTABLE_METADATA}
    return stable


def _digest(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _finished(obj: Mapping[str, Any]) -> str:
    status = obj.get("status")
    if not isinstance(status, Mapping):
        return ""
    if obj.get("kind") == "Pod" and obj.get("apiVersion") == "v1":
        return _one_of(_TERMINAL_PHASES, status.get("phase"))
    conditions = status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if isinstance(condition, Mapping) and condition.get("status") == "True":
            finished = _one_of(_TERMINAL_CONDITIONS, condition.get("type"))
            if finished:
                return finished
    return ""


def _one_of(known: tuple[str, ...], value: Any) -> str:
    # Our own text and not the object's equal one, of which each object would keep another.
    return next((text for text in known if text == value), "")
