"""Whom a change concerns: from an event of a dependent object to the keys of its owners. Pure.

Owners are found by kind and name, never by UID: when a stale child of a deleted namesake goes away, the new owner of
that name waits for exactly this event. Whether the child is its own, a reconcile decides by comparing UIDs.
"""

from runner.objects import GroupVersionKind, ObjectRef, WatchEvent
from runner.predicates import Dependent
from runner.workqueue.lanes import Lane

__all__ = ["lane_of", "owners_in_event", "owners_of"]


def lane_of(event: WatchEvent) -> Lane:
    """Return how urgent an event is: what is there when we start to look did not just happen."""
    return Lane.ROUTINE if event.initial else Lane.CHANGES


def owners_in_event(event: WatchEvent, owner_gvk: GroupVersionKind, *, owner_namespaced: bool) -> set[ObjectRef]:
    """Return the owners that a dependent has or had: who lost a child must hear of it too."""
    return {
        owner
        for dependent in (event.old, event.new)
        if dependent is not None
        for owner in owners_of(dependent, event.ref.namespace, owner_gvk, owner_namespaced=owner_namespaced)
    }


def owners_of(
    dependent: Dependent, child_namespace: str, owner_gvk: GroupVersionKind, *, owner_namespaced: bool
) -> set[ObjectRef]:
    """Return the objects of the owner's group and kind (in whatever version) that a dependent names as its owner.

    Owner references count first, and both annotations as well, for owners in another namespace or scope. Names that
    can belong to no object of that scope are left out.
    """
    owners = set()
    namespace = child_namespace if owner_namespaced else ""
    if namespace or not owner_namespaced:  # a cluster-scoped child can't have a namespaced owner by reference
        owners = {
            ObjectRef(namespace, owner.name)
            for owner in dependent.owners
            if (owner.gvk.group, owner.gvk.kind) == (owner_gvk.group, owner_gvk.kind) and owner.name
        }
    annotated = _annotated(dependent, owner_gvk, owner_namespaced=owner_namespaced)
    return owners | {annotated} if annotated else owners


def _annotated(dependent: Dependent, owner_gvk: GroupVersionKind, *, owner_namespaced: bool) -> ObjectRef | None:
    kind = f"{owner_gvk.kind}.{owner_gvk.group}" if owner_gvk.group else owner_gvk.kind
    if dependent.primary_type != kind:
        return None
    namespace, _, name = dependent.primary.rpartition("/")
    if not name or "/" in namespace or owner_namespaced != bool(namespace):
        return None
    return ObjectRef(namespace, name)
