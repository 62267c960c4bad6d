"""The objects that define kinds: custom resource definitions and API services.

When one of them changes, what is remembered of discovery is old. Watched where the operator may, and metadata only: a
definition's text is often a megabyte. Where it may not, memory ages; nothing fails for it.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp

from runner.clock import Clock
from runner.gateway.discovery import DiscoveryMemory
from runner.gateway.policy import ApiRequest
from runner.informer.listwatch import Informer, InformerObserver
from runner.kube.client import KubeClient
from runner.objects import GroupVersionKind, Resource, WatchEvent

__all__ = ["DEFINING", "defines_kinds", "informer", "metadata_only"]

DEFINING = tuple(
    Resource(gvk=GroupVersionKind(group, "v1", kind), plural=f"{kind.lower()}s", namespaced=False)
    for group, kind in (
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
    )
)
"""Known here and not asked for: discovery that had to be discovered would help nobody."""

_NAMES = frozenset((resource.gvk.group, resource.plural) for resource in DEFINING)
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""The server takes only this for a list, and only the other for a watch."""


def defines_kinds(asked: ApiRequest) -> bool:
    """Whether a request may change which kinds there are."""
    return asked.is_write and (asked.group, asked.plural) in _NAMES


def informer(
    resource: Resource,
    client: KubeClient,
    memory: DiscoveryMemory,
    *,
    clock: Clock,
    rng: random.Random,
    observer: InformerObserver,
    denied: Callable[[str], None],
) -> Informer[None]:
    """An informer that tells `memory` of each change, once it is run.

    Args:
        resource: one of `DEFINING`.
        client: asked for metadata only.
        memory: what to tell.
        clock: for the informer.
        rng: for its jitter.
        observer: what it reports to.
        denied: told the plural each time the server refuses to list or watch it.
    """

    def on_event(event: WatchEvent) -> None:
        if event.initial:
            memory.drop()  # it was there before we looked, so the server has taken note of it
        else:
            memory.kinds_changed()

    return Informer(
        metadata_only(client),
        _found(resource),
        project=lambda _obj: None,
        on_event=on_event,
        clock=clock,
        rng=rng,
        name=str(resource.gvk),
        observer=_Denials(observer, partial(denied, resource.plural)),
    )


def metadata_only(client: KubeClient) -> KubeClient:
    """Return a client that makes another's calls, and asks for no more of each object than its metadata."""
    return _MetadataOnly(client)


def _found(resource: Resource) -> Callable[[], Awaitable[Resource]]:
    async def find() -> Resource:
        return resource

    return find


class _MetadataOnly(KubeClient):
    def __init__(self, client: KubeClient) -> None:
        super().__init__(client.connection, user_agent="", pace=client.pace)
        self._client = client

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        accept = _METADATA if "watch" in (params or {}) else _METADATA_LIST
        asked = self._client.open(method, path, params=params, headers={**(headers or {}), "Accept": accept}, **options)
        async with asked as response:
            yield response


class _Denials:
    """Passes on what an informer reports, and counts apart what it may not do."""

    def __init__(self, observer: InformerObserver, denied: Callable[[], None]) -> None:
        self._observer = observer
        self._denied = denied

    def listed(self, objects: int, seconds: float) -> None:
        self._observer.listed(objects, seconds)

    def held(self, objects: int) -> None:
        self._observer.held(objects)

    def received(self, event: str) -> None:
        self._observer.received(event)

    def failed(self, trouble: str) -> None:
        self._observer.failed(trouble)
        if trouble == "forbidden":
            self._denied()

    def panicked(self) -> None:
        self._observer.panicked()
