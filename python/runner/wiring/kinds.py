"""The parts of each watch, and of every kind that is watched."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from runner import handlers, predicates
from runner.clock import Clock
from runner.controller import Controller
from runner.execution import environment as run_environment
from runner.execution.directory import RunArea
from runner.execution.run import Execute
from runner.gateway import definitions
from runner.gateway.dependents import Dependents, DependentsOf
from runner.gateway.discovery import DiscoveryMemory
from runner.gateway.server import Gateway
from runner.informer.listwatch import Informer
from runner.informer.pool import InformerPool
from runner.kube.client import KubeClient
from runner.kube.discovery import Discovery
from runner.labelselector import EVERYTHING
from runner.metrics.registry import Metrics
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource, RunId, WatchEvent
from runner.reconciler import Reconciler, RunDefaults
from runner.recorder import Recorder
from runner.settings import Settings
from runner.settings.perkind import verbosity_of
from runner.slots import Slots
from runner.watches import Watch
from runner.wiring import concurrency
from runner.workqueue.queue import WorkQueue

__all__ = [
    "Shared",
    "controller_names",
    "controller_of",
    "dependents_of",
    "discovery_memory",
    "primaries_of",
    "queue_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the parts of all watches have in common."""

    settings: Settings
    environment: Mapping[str, str]
    clock: Clock
    rng: random.Random
    client: KubeClient
    discovery: Discovery
    metrics: Metrics
    recorder: Recorder
    pool: InformerPool
    slots: Slots
    names: Mapping[GroupVersionKind, str]
    """Of each watch's controller."""

    def watch_kind[T](
        self,
        gvk: GroupVersionKind,
        project: Callable[[Raw], T],
        on_event: Callable[[WatchEvent], None],
        *,
        all_namespaces: bool = False,
        label_selector: str = "",
        metadata_only: bool = False,
    ) -> list[Informer[T]]:
        """Add the informers of one kind to the pool: one a namespace, or one for all."""
        informers = []
        for namespace in ("",) if all_namespaces else self.settings.watch_namespaces or ("",):
            informer = Informer(
                self.client,
                partial(self._find, gvk),
                project=project,
                on_event=on_event,
                clock=self.clock,
                rng=self.rng,
                namespace=namespace,
                label_selector=label_selector,
                metadata_only=metadata_only,
                name=str(gvk),
                observer=self.metrics.informer(gvk),
            )
            self.pool.add(f"informer {gvk} {namespace}".strip(), informer.run)
            informers.append(informer)
        return informers

    async def _find(self, gvk: GroupVersionKind) -> Resource:
        # Ask the server how it serves a kind now, not a memory that a 404 proved wrong.
        self.discovery.forget(gvk.group, gvk.version)
        return await self.discovery.resource(gvk)


def controller_names(watches: Sequence[Watch]) -> dict[GroupVersionKind, str]:
    """What controllers and queues are called in metrics and logs: as the Go runtime does, and still each by its own."""
    names: dict[GroupVersionKind, str] = {}
    for watch in watches:
        name = f"{watch.gvk.kind.lower()}-{watch.gvk.version}-controller"
        names[watch.gvk] = f"{name}.{watch.gvk.group}" if name in names.values() else name
    return names


def queue_of(watch: Watch, shared: Shared) -> WorkQueue[ObjectRef]:
    observer = shared.metrics.queue(shared.names[watch.gvk])
    queue: WorkQueue[ObjectRef] = WorkQueue(
        clock=shared.clock,
        base_delay_s=shared.settings.retry_min_delay_s,
        max_delay_s=shared.settings.retry_max_delay_s,
        observer=observer,
    )
    observer.follow(queue.unfinished_s)
    return queue


def primaries_of(watch: Watch, queue: WorkQueue[ObjectRef], shared: Shared) -> list[Informer[predicates.Primary]]:
    """The informers of the kind that a watch is about.

    The API server selects, and reports what ceases to match as deleted; whether it was, the reconcile's GET tells.
    With a finalizer we select ourselves and look at all objects, though at no more than their metadata: one that was
    selected once and no longer is waits for us when it is deleted.
    """

    def on_event(event: WatchEvent) -> None:
        if predicates.changed(event.old, event.new):
            queue.add(event.ref, handlers.lane_of(event))

    project = partial(predicates.Primary.of, annotations=watch.watch_annotations_changes, selector=watch.selector)
    finalizes = watch.finalizer is not None
    informers = shared.watch_kind(
        watch.gvk,
        project,
        on_event,
        label_selector="" if finalizes else str(watch.selector),
        metadata_only=finalizes and watch.selector != EVERYTHING,
    )

    def created() -> Iterator[tuple[ObjectRef, int]]:
        for informer in informers:
            for ref in informer.refs():
                held = informer.get(ref)
                if held is not None and held.selected:
                    yield ref, held.created_s

    shared.metrics.created(watch.gvk, created)
    return informers


def dependents_of(
    watches: Sequence[Watch],
    queues: Mapping[GroupVersionKind, WorkQueue[ObjectRef]],
    shared: Shared,
    *,
    delay_s: Callable[[GroupVersionKind, ObjectRef], float],
) -> Dependents:
    """Changes of what a run made become reconciles of its owner; a kind is watched once the gateway sees a child."""

    def start(
        child: Resource, project: Callable[[Raw], predicates.Dependent], on_event: Callable[[WatchEvent], None]
    ) -> None:
        shared.watch_kind(child.gvk, project, on_event, all_namespaces=not child.namespaced)

    wanted = [
        DependentsOf(
            gvk=watch.gvk,
            queue=queues[watch.gvk],
            status=watch.watch_dependent_status,
            cluster_scoped=watch.watch_cluster_scoped_resources,
            ignore=watch.dependent_ignore,
        )
        for watch in watches
    ]
    return Dependents(wanted, start=start, namespaces=shared.settings.watch_namespaces, delay_s=delay_s)


def discovery_memory(shared: Shared) -> DiscoveryMemory:
    """What roles are told of the kinds there are; kept up to date by a watch where the operator may have one."""
    memory = DiscoveryMemory(clock=shared.clock, observe=shared.metrics.discovered)
    for resource in definitions.DEFINING:
        informer = definitions.informer(
            resource,
            shared.client,
            memory,
            clock=shared.clock,
            rng=shared.rng,
            observer=shared.metrics.informer(resource.gvk),
            denied=shared.metrics.denied,
        )
        shared.pool.add(f"informer {resource.gvk}", informer.run)
    return memory


def controller_of(
    watch: Watch, queue: WorkQueue[ObjectRef], gateway: Gateway, execute: Execute, area: RunArea, shared: Shared
) -> Controller:
    """The workers of one watch, and what they do."""
    settings, gvk, name = shared.settings, watch.gvk, shared.names[watch.gvk]
    workers = concurrency.workers(watch, settings, shared.environment)
    reconciler = Reconciler(
        watch=watch,
        find=partial(shared.discovery.resource, gvk),
        client=shared.client,
        gateway=gateway,
        execute=execute,
        recorder=shared.recorder,
        defaults=RunDefaults(
            reconcile_period_s=settings.reconcile_period_s,
            verbosity=verbosity_of(
                gvk.kind, gvk.group, default=settings.ansible_verbosity, environment=shared.environment
            ),
            ansible_args=settings.ansible_args,
            inject_owner=settings.inject_owner_ref,
            environment=run_environment.inherit(shared.environment, run_env=watch.run_env),
            warn_after_s=settings.run_timeout_warning_s,
        ),
        new_run_id=lambda: RunId(uuid4().hex[:12]),
        forget=partial(area.forget, gvk),
        clock=shared.clock,
        observer=shared.metrics.kind(gvk),
    )
    return Controller(
        name=name,
        queue=queue,
        reconcile=reconciler.reconcile,
        workers=workers,
        slots=shared.slots,
        clock=shared.clock,
        observer=shared.metrics.controller(name, workers=workers),
    )
