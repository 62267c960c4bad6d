"""The objects that define kinds: custom resource definitions and API services.

When one of them changes, what is remembered of discovery is old. Watched where the operator may, and metadata only: a
definition's text is often a megabyte. Where it may not, memory ages; nothing fails for it.
"""

import random
from collections.abc import Awaitable, Callable
from functools import partial

from runner.clock import Clock
from runner.gateway.discovery import DiscoveryMemory
from runner.gateway.policy import ApiRequest
from runner.informer.listwatch import Informer, InformerObserver
from runner.kube.client import KubeClient
from runner.objects import GroupVersionKind, Resource, WatchEvent

__all__ = ["DEFINING", "defines_kinds", "informer"]

DEFINING = tuple(
    Resource(gvk=GroupVersionKind(group, "v1", kind), plural=f"{kind.lower()}s", namespaced=False)
    for group, kind in (
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
    )
)
"""Known here and not asked for: discovery that had to be discovered would help nobody."""

_NAMES = frozenset((resource.gvk.group, resource.plural) for resource in DEFINING)


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
        client: what to ask.
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
        client,
        _found(resource),
        project=lambda _obj: None,
        on_event=on_event,
        clock=clock,
        rng=rng,
        metadata_only=True,
        name=str(resource.gvk),
        observer=_Denials(observer, partial(denied, resource.plural)),
    )


def _found(resource: Resource) -> Callable[[], Awaitable[Resource]]:
    async def find() -> Resource:
        return resource

    return find


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
