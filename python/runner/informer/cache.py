"""What is held of the objects of one kind, and which events follow from what the server says of them.

Promises:
- of each object only the projection is kept;
- the cache changes before the event is handed on; `on_event` and `project` may raise, it is logged and goes on;
- an object deleted and made again under its name is reported as deleted, then as new;
- news that are older than what is held change nothing.

Does not ask the server anything: `informer` does, and tells it here.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from runner.logs import fields
from runner.objects import ObjectRef, Raw, WatchEvent

__all__ = ["KINDS", "Held", "ObjectCache", "order"]

logger = logging.getLogger(__name__)

_BREATH = 500
"""So many objects are gone through in one turn of the event loop; the lease is renewed on the same loop."""

KINDS = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})
"""Types of a watch's events that mean something here."""


class Held[T](NamedTuple):
    """One object as it is kept."""

    uid: str
    version: str
    value: T


class ObjectCache[T]:
    """The objects of one kind, as far as the server told."""

    def __init__(
        self,
        *,
        project: Callable[[Raw], T],
        on_event: Callable[[WatchEvent], None],
        on_panic: Callable[[], None],
        log_fields: Callable[..., dict[str, object]] = fields,
    ) -> None:
        """Args:
        project: what to keep of an object; may read the raw object but not hold on to it.
        on_panic: told when `project` or `on_event` raised.
        """
        self._project = project
        self._on_event = on_event
        self._on_panic = on_panic
        self._log_fields = log_fields
        self._objects: dict[ObjectRef, Held[T]] = {}
        self._initial = True

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, ref: ObjectRef) -> T | None:
        held = self._objects.get(ref)
        return held.value if held else None

    def refs(self) -> Collection[ObjectRef]:
        """All objects held; a live view, so copy it before waiting for anything."""
        return self._objects.keys()

    def collect(self, obj: Raw, found: dict[ObjectRef, Held[T]]) -> None:
        """Add what is to be kept of a listed object to `found`; of one that did not change, what is held already."""
        ref, uid, version = _identity(obj)
        if not ref.name:
            return
        held = self._objects.get(ref)
        if held is None or (held.uid, held.version) != (uid, version):
            held = self._projected(ref, uid, version, obj) or held
        if held is not None:
            found[ref] = held

    async def replace(self, found: dict[ObjectRef, Held[T]]) -> None:
        """Make `found` what is held, and report the difference. A list is the truth: versions are not compared."""
        for count, ref in enumerate([ref for ref in self._objects if ref not in found]):
            self._remove(ref)
            await _breathe(count)
        for count, (ref, held) in enumerate(found.items()):
            if self._objects.get(ref) is not held:
                self._put(ref, held)
            await _breathe(count)
        self._initial = False

    def clear(self) -> None:
        """Report all that is held as deleted."""
        for ref in list(self._objects):
            self._remove(ref)

    def apply(self, kind: str, obj: Any, position: str) -> str:
        """Take in an event of a watch that had come to `position`; return the position now."""
        if kind not in KINDS or not isinstance(obj, dict):
            logger.debug("unknown watch event ignored", extra=self._log_fields(type=kind))
            return position
        ref, uid, version = _identity(obj)
        if kind == "DELETED":
            self._deleted(ref, uid, version)
        elif kind != "BOOKMARK" and ref.name:
            self._seen(ref, uid, version, obj, position)
        return version if version and order(version, position) != -1 else position

    def _deleted(self, ref: ObjectRef, uid: str, version: str) -> None:
        held = self._objects.get(ref)
        if held is None:
            return
        compared = order(version, held.version)
        # Of a namesake: if newer, then what we hold must be gone as well; else it is old news.
        gone = compared != -1 if held.uid == uid else compared == 1
        if gone:
            self._remove(ref)

    def _seen(self, ref: ObjectRef, uid: str, version: str, obj: Raw, position: str) -> None:
        old = self._objects.get(ref)
        # What is not held may have been deleted: an event from before our position would bring back its ghost.
        if order(version, old.version if old else position) in (-1, 0):
            return
        new = self._projected(ref, uid, version, obj)
        if new is not None:
            self._put(ref, new)

    def _put(self, ref: ObjectRef, new: Held[T]) -> None:
        old = self._objects.get(ref)
        if old is not None and old.uid != new.uid:
            self._remove(ref)
            old = None
        self._objects[ref] = new
        self._emit(ref, old.value if old else None, new.value)

    def _remove(self, ref: ObjectRef) -> None:
        old = self._objects.pop(ref)
        self._emit(ref, old.value, None)

    def _emit(self, ref: ObjectRef, old: T | None, new: T | None) -> None:
        try:
            self._on_event(WatchEvent(ref=ref, old=old, new=new, initial=self._initial))
        except Exception:
            self._on_panic()
            logger.exception("event handler panicked", extra=self._log_fields(ref=str(ref)))

    def _projected(self, ref: ObjectRef, uid: str, version: str, obj: Raw) -> Held[T] | None:
        try:
            return Held(uid, version, self._project(obj))
        except Exception:
            self._on_panic()
            logger.exception("object not understood; what was known of it stays", extra=self._log_fields(ref=str(ref)))
            return None


def _identity(obj: Raw) -> tuple[ObjectRef, str, str]:
    meta = obj.get("metadata")
    if not isinstance(meta, dict):
        meta = {}
    # Ten thousand objects share a few namespaces; decoded JSON has a text of its own for each.
    namespace = sys.intern(str(meta.get("namespace") or ""))
    ref = ObjectRef(namespace, str(meta.get("name") or ""))
    return ref, str(meta.get("uid") or ""), str(meta.get("resourceVersion") or "")


def order(version: str, other: str) -> int | None:
    """Compare resource versions: -1 older, 0 equal, 1 newer; `None`: these two have no order."""
    if version == other and version:
        return 0
    # Integers for all that the API server stores; an aggregated server may use what it likes.
    if not (version.isdecimal() and other.isdecimal()):
        return None
    return 1 if int(version) > int(other) else -1


async def _breathe(count: int) -> None:
    if count % _BREATH == _BREATH - 1:
        await asyncio.sleep(0)
