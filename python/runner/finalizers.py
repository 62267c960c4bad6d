"""Adds and removes a finalizer: only our own entry is touched, and only as the object stands.

Each write carries the version of the object that it was computed from.
"""

from typing import Any

from runner.kube.client import KubeClient
from runner.kube.errors import ApiError
from runner.objects import Meta, Raw, Resource
from runner.results import ReconcileError

__all__ = ["add", "remove"]

_ATTEMPTS = 5


async def add(client: KubeClient, resource: Resource, obj: Raw, name: str) -> Raw:
    """Put a finalizer behind those that are there; return the object as it is then.

    Raises:
        KubeError: the API server said no, also because the object has changed since it was read.
    """
    meta = Meta.of(obj)
    return await _set(client, resource, meta, [*meta.finalizers, name])


async def remove(client: KubeClient, resource: Resource, meta: Meta, name: str) -> None:
    """Let the object go. A conflict is read again and retried here, because the run was done.

    Raises:
        ReconcileError: somebody else changed the object each time we tried.
        KubeError: the API server said no, or nothing.
    """
    for _ in range(_ATTEMPTS):
        try:
            current = Meta.of(await client.get(resource, meta.ref))
            if current.uid != meta.uid or name not in current.finalizers:
                return
            rest = [other for other in current.finalizers if other != name]
            await _set(client, resource, current, rest)
        except ApiError as error:
            if error.not_found:
                return
            if not error.conflict:
                raise
        else:
            return
    raise ReconcileError("Conflict", "the object was changed by others each time its finalizer was removed")


async def _set(client: KubeClient, resource: Resource, meta: Meta, finalizers: list[str]) -> Raw:
    metadata: dict[str, Any] = {"finalizers": finalizers, "resourceVersion": meta.resource_version}
    return await client.patch(resource, meta.ref, {"metadata": metadata})
