"""Writes a status only where it says something new, and never over somebody else's words.

Each write carries the resource version it was computed from; on a conflict the object is read again and the status
computed again, without running anything twice. Fields that the CRD's schema drops are learned from the first answer
and left out from then on, so that a pruned field is not written for ever.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runner.kube.client import KubeClient
from runner.kube.errors import ApiError
from runner.logs import fields
from runner.objects import GroupVersionKind, Meta, Raw, Resource, Uid
from runner.results import ReconcileError
from runner.status import Path, lost, same, without

__all__ = ["StatusWriter", "Written"]

logger = logging.getLogger(__name__)

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How an object stands after a write that may not have been needed."""

    obj: Raw
    """As the server has it now."""
    before: Raw
    """The status that the new one was computed from."""
    changed: bool


class StatusWriter:
    """For one kind. Knows which fields of a status its CRD keeps."""

    def __init__(self, client: KubeClient, gvk: GroupVersionKind) -> None:
        self._client = client
        self._gvk = gvk
        self._pruned: frozenset[Path] = frozenset()
        self._told_no_subresource = False

    async def write(
        self, resource: Resource, obj: Raw, compute: Callable[[Raw], Raw], *, fresh: bool = True
    ) -> Written | None:
        """Bring the status to what `compute` makes of it; return `None` if the object is gone or another one now.

        Args:
            obj: the object as last read; it is read anew first unless that was just now (`fresh`).
            compute: from the present status to the wanted one; pure, may be called several times.

        Raises:
            ReconcileError: somebody else changed the object each time we tried.
            KubeError: the API server said no, or nothing.
        """
        meta = Meta.of(obj)
        current: Raw | None = obj if fresh else await self._read(resource, meta)
        for _ in range(_ATTEMPTS):
            if current is None:
                return None
            before: Raw = current.get("status") or {}
            wanted = without(compute(before), self._pruned)
            if same(before, wanted) or not self._has_status(resource):
                return Written(obj=current, before=before, changed=False)
            try:
                returned = await self._patch(resource, current, wanted)
            except ApiError as error:
                if error.not_found:
                    return None
                if not error.conflict:
                    raise
                current = await self._read(resource, meta)
                continue
            self._learn(wanted, returned.get("status") or {})
            return Written(obj=returned, before=before, changed=True)
        raise ReconcileError("Conflict", "the status was changed by others each time it was written")

    async def _patch(self, resource: Resource, current: Raw, wanted: Raw) -> Raw:
        meta = Meta.of(current)
        changed: dict[str, Any] = {
            key: value for key, value in wanted.items() if value != (current.get("status") or {}).get(key)
        }
        # The version tells namesakes apart too; a UID is no precondition of a status write.
        body: Raw = {"metadata": {"resourceVersion": meta.resource_version}, "status": changed}
        return await self._client.patch(resource, meta.ref, body, subresource="status")

    async def _read(self, resource: Resource, meta: Meta) -> Raw | None:
        try:
            obj = await self._client.get(resource, meta.ref)
        except ApiError as error:
            if error.not_found:
                return None
            raise
        return obj if _uid(obj) == meta.uid else None

    def _has_status(self, resource: Resource) -> bool:
        if "status" in resource.subresources:
            return True
        if not self._told_no_subresource:
            self._told_no_subresource = True
            logger.error(
                "this kind has no status subresource, so no status is written",
                extra=fields(gvk=self._gvk, remedy="add it to the CRD, or set manageStatus: false in watches.yaml"),
            )
        return False

    def _learn(self, sent: Raw, returned: Raw) -> None:
        new = lost(sent, returned) - self._pruned
        if new:
            self._pruned |= new
            logger.warning(
                "the CRD has no place for some fields of the status; they are left out from now on",
                extra=fields(gvk=self._gvk, fields=sorted(".".join(("status", *path)) for path in new)),
            )


def _uid(obj: Raw) -> Uid:
    return Meta.of(obj).uid
