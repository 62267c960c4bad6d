"""Watches the kinds that owners have children of, and turns what happens to a child into a look at its owner.

Promises: one watch for each owner kind and child kind, started when the first such child is seen and kept. Does not
read the cluster itself: the injected `start` runs an informer with the projection and the handler that it is given.
"""

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from runner import handlers, predicates
from runner.fieldpaths import FieldPath
from runner.gateway.ownership import Owner
from runner.logs import fields
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource, WatchEvent
from runner.predicates import Dependent, DependentStatus
from runner.workqueue.lanes import Lane

__all__ = ["Dependents", "DependentsOf", "Queue", "Start"]

logger = logging.getLogger(__name__)

Start = Callable[[Resource, Callable[[Raw], Dependent], Callable[[WatchEvent], None]], None]
"""Begins to watch all objects of a resource, in the namespaces that the operator watches; it is given what to keep of
each, and whom to tell of changes."""


class Queue(Protocol):
    """Where keys of owners go."""

    def add_after(self, key: ObjectRef, seconds: float, lane: Lane) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DependentsOf:
    """What a watch wants to know of its dependents."""

    gvk: GroupVersionKind
    """The owners' kind."""
    queue: Queue
    status: DependentStatus = "false"
    """Which changes of a dependent's status count."""
    cluster_scoped: bool = False
    """Watch cluster-scoped children of namespaced owners too: it takes the right to list them everywhere."""
    ignore: tuple[FieldPath, ...] = ()
    """Fields of dependents whose changes do not count."""


class Dependents:
    """All watches of dependents. `observe` is what the gateway's `on_child` calls."""

    def __init__(
        self,
        watches: Iterable[DependentsOf],
        *,
        start: Start,
        namespaces: Collection[str] = frozenset(),
        delay_s: Callable[[GroupVersionKind, ObjectRef], float] = lambda _gvk, _ref: 0.0,
    ) -> None:
        """Args:
        namespaces: those the operator watches; children in others are not heard of. Empty: all.
        delay_s: how long an owner waits before it is looked at for the sake of its children.
        """
        self._watches = {watch.gvk: watch for watch in watches}
        self._start = start
        self._namespaces = frozenset(namespaces)
        self._delay_s = delay_s
        self._started: set[tuple[GroupVersionKind, GroupVersionKind]] = set()

    def observe(self, owner: Owner, child: Resource, namespace: str) -> None:
        """Take note that an owner has a child of this resource in this namespace (empty: cluster-scoped)."""
        key = (owner.gvk, child.gvk)
        if key in self._started:
            return
        watch = self._watches.get(owner.gvk)
        if watch is None or not self._within_reach(watch, owner, namespace):
            return
        self._started.add(key)
        logger.info("dependents are watched", extra=fields(owner=owner.gvk, child=child.gvk))
        project = predicates.dependents_of((watch.gvk,), ignore=watch.ignore)
        self._start(child, project, self._handler(watch, owner_namespaced=owner.namespaced))

    def _within_reach(self, watch: DependentsOf, owner: Owner, namespace: str) -> bool:
        if not namespace:
            return watch.cluster_scoped or not owner.namespaced
        return not self._namespaces or namespace in self._namespaces

    def _handler(self, watch: DependentsOf, *, owner_namespaced: bool) -> Callable[[WatchEvent], None]:
        def handle(event: WatchEvent) -> None:
            if not predicates.dependent_changed(event.old, event.new, status=watch.status):
                return
            for ref in handlers.owners_in_event(event, watch.gvk, owner_namespaced=owner_namespaced):
                watch.queue.add_after(ref, self._delay_s(watch.gvk, ref), handlers.lane_of(event))

        return handle
