"""An API server in memory, as far as a reconcile sees one: get and merge-patch objects of one kind, create Events.

tests/contract/test_fake_objects_contract.py runs the same cases against this and a real API server. It refuses calls
and arguments it does not know.
"""

import copy
from collections.abc import Callable
from typing import Any

from runner.kube.client import MERGE_PATCH
from runner.kube.errors import ApiError
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource

__all__ = ["ECHOS", "FakeObjects"]

ECHOS = Resource(
    gvk=GroupVersionKind("mmontes.io", "v1alpha1", "Echo"),
    plural="echos",
    namespaced=True,
    verbs=frozenset({"get", "list", "watch"}),
    subresources=frozenset({"status"}),
)


class FakeObjects:
    """Holds Echoes with a status subresource, and the Events that were created."""

    def __init__(self) -> None:
        self.objects: dict[ObjectRef, Raw] = {}
        self.events: list[Raw] = []
        self.writes: list[tuple[str, ObjectRef, Raw]] = []
        """Every patch that was accepted: subresource, object, body."""
        self.reads = 0
        self.prune: Callable[[Raw], Raw] = lambda status: status
        """What the CRD's schema leaves of a status."""
        self.before_patch: Callable[[], None] = lambda: None
        """Called before each patch is looked at: somebody else's chance to be quicker."""
        self._version = 100
        self._uids = 0

    # What a cluster's users do

    def put(self, ref: ObjectRef, *, spec: Raw | None = None, **metadata: Any) -> Raw:
        """Create an object; return it as stored."""
        self._uids += 1
        meta = {"namespace": ref.namespace, "name": ref.name, "uid": f"uid-{self._uids}", "generation": 1, **metadata}
        obj: Raw = {"apiVersion": ECHOS.gvk.api_version, "kind": "Echo", "metadata": meta}
        if spec is not None:
            obj["spec"] = spec
        self.objects[ref] = obj
        self._touch(obj)
        return copy.deepcopy(obj)

    def edit(self, ref: ObjectRef, spec: Raw) -> None:
        obj = self.objects[ref]
        obj["spec"] = spec
        obj["metadata"]["generation"] += 1
        self._touch(obj)

    def set_status(self, ref: ObjectRef, **status: Any) -> None:
        """Write into the status as a role does."""
        obj = self.objects[ref]
        obj["status"] = {**(obj.get("status") or {}), **status}
        self._touch(obj)

    def delete(self, ref: ObjectRef) -> None:
        """Delete, or mark as being deleted where there are finalizers."""
        obj = self.objects[ref]
        if obj["metadata"].get("finalizers"):
            obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            obj["metadata"]["generation"] += 1
            self._touch(obj)
        else:
            del self.objects[ref]

    # What the client's callers do

    async def get(self, resource: Resource, ref: ObjectRef) -> Raw:
        assert resource.plural == "echos"
        self.reads += 1
        return copy.deepcopy(self._existing(ref))

    async def patch(
        self, resource: Resource, ref: ObjectRef, body: Raw, *, content_type: str = MERGE_PATCH, subresource: str = ""
    ) -> Raw:
        assert (resource.plural, content_type) == ("echos", MERGE_PATCH)
        assert subresource in {"", "status"}
        self.before_patch()
        obj = self._existing(ref)
        meta = body.get("metadata") or {}
        self._check(obj, meta)
        new = copy.deepcopy(obj)
        if subresource == "status":
            new["status"] = self.prune(_merged(obj.get("status") or {}, body.get("status") or {}))
        else:
            new = _merged(obj, {key: value for key, value in body.items() if key != "status"})
            new["metadata"]["resourceVersion"] = obj["metadata"]["resourceVersion"]
        self.writes.append((subresource, ref, body))
        if new != obj:
            self.objects[ref] = new
            self._touch(new)
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            del self.objects[ref]
        return copy.deepcopy(new)

    async def create(self, resource: Resource, body: Raw, *, namespace: str = "") -> Raw:
        assert resource.plural == "events"
        assert namespace == body["metadata"]["namespace"]
        self.events.append(body)
        return body

    def _existing(self, ref: ObjectRef) -> Raw:
        if ref not in self.objects:
            raise ApiError(404, reason="NotFound", message=f"{ref} not found")
        return self.objects[ref]

    def _check(self, obj: Raw, meta: Raw) -> None:
        assert set(meta) <= {"resourceVersion", "finalizers", "annotations"}
        wanted = meta.get("resourceVersion")
        if wanted and wanted != obj["metadata"]["resourceVersion"]:
            raise ApiError(409, reason="Conflict", message="the object has been modified")

    def _touch(self, obj: Raw) -> None:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = copy.deepcopy(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
