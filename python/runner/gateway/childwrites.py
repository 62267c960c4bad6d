"""Tells the loop breaker what runs do to their owners' children, from what passes the gateway.

A write is compared with what its run saw of the child before; of a write without a look before it nothing is known,
unless it made the child. Neither is of one by a subresource.
"""

import json
import logging
from typing import NamedTuple, Protocol

from runner.gateway import bodies, childdiff
from runner.gateway.access import Grant, Session
from runner.gateway.answers import Refusal
from runner.gateway.childdiff import Change
from runner.gateway.loopbreaker import Loop
from runner.gateway.ownership import Owner
from runner.gateway.policy import ApiRequest
from runner.logs import fields
from runner.objects import Raw, Resource, RunId

__all__ = ["UNGUARDED", "ChildWrites", "Loops", "Sent", "Shown"]

logger = logging.getLogger(__name__)

_CREATED = 201
_PARTS = frozenset({"application/merge-patch+json", "application/strategic-merge-patch+json"})
_JSON = "application/json"
_LIST_OF_STEPS = "application/json-patch+json"
_NO_WHOLE_OBJECT = "meta.k8s.io/"
"""API group of what some clients ask for instead, such as tables."""


class Sent(NamedTuple):
    """A request's body."""

    body: bytes
    kind: str
    """Its media type."""


class Shown(NamedTuple):
    """An answer that shows a child."""

    resource: Resource
    status: int
    body: bytes
    obj: Raw
    """The object in the body."""


class Loops(Protocol):
    """Who decides what is a loop: a `LoopBreaker`."""

    def begins(self, owner: Owner, generation: int) -> None: ...

    def changed(self, owner: Owner, generation: int, run_id: RunId, child: str, change: Change) -> Loop | None: ...


class _Unguarded:
    def begins(self, owner: Owner, generation: int) -> None:
        pass

    def changed(self, owner: Owner, generation: int, run_id: RunId, child: str, change: Change) -> Loop | None:
        pass


UNGUARDED = _Unguarded()


class ChildWrites:
    """Sees each answer that shows a child which is watched."""

    def __init__(self, loops: Loops) -> None:
        self._loops = loops

    def saw(self, session: Session, asked: ApiRequest, sent: Sent, shown: Shown) -> None:
        """Take note of a look at a child or a write to it."""
        if str(shown.obj.get("apiVersion") or "").startswith(_NO_WHOLE_OBJECT):
            return
        gvk, meta = shown.resource.gvk, shown.obj.get("metadata") or {}
        name = f"{meta['namespace']}/{meta.get('name')}" if meta.get("namespace") else str(meta.get("name"))
        before = session.showed(f"{gvk.group}/{gvk.kind} {name}", shown.body)
        if asked.is_write and before != shown.body:
            change = _change(session.grant, before, sent, shown)
            if change is not None:
                self._tell(session, f"{gvk.kind} {name}", change)

    def _tell(self, session: Session, child: str, change: Change) -> None:
        grant = session.grant
        loop = self._loops.changed(grant.owner, grant.owner_generation, grant.run_id, child, change)
        if loop is not None:
            session.access.usage.loops.append(loop)
            values = {"owner": grant.owner_ref, "run": grant.run_id, "child": child, "fields": ", ".join(loop.fields)}
            logger.warning("a child is changed back and forth", extra=fields(**values, times=loop.times))


def _change(grant: Grant, before: bytes | None, sent: Sent, shown: Shown) -> Change | None:
    made = shown.status == _CREATED
    if before is None and not made:
        return None
    try:
        wish = _object_in(sent)
        if before is None or made:
            return childdiff.making(wish, ignore=grant.dependent_ignore)
        return childdiff.between(json.loads(before), wish, shown.obj, ignore=grant.dependent_ignore)
    except RecursionError:
        return None  # too deep to compare, perhaps on purpose


def _object_in(sent: Sent) -> Raw | None:
    """Read what a write wants the object to be, or `None` where it says so in another way."""
    if sent.kind == _LIST_OF_STEPS:
        return None
    try:
        obj = bodies.decode(sent.body, _JSON if sent.kind in _PARTS else sent.kind)
        # YAML has keys that are no text.
        return obj if sent.kind in {_JSON, *_PARTS} else json.loads(json.dumps(obj))
    except Refusal:
        return None  # the server could read it, so it is in a format that only passes here
