"""Builds every part from the settings and connects them. No part knows another but through what it is given here."""

import os
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from runner import __version__, concurrency, cpus, handlers, predicates, serving, slotmetrics, usermetricshttp
from runner.clock import Clock, SystemClock
from runner.controller import Controller
from runner.execution import environment as run_environment
from runner.execution.directory import RunArea, default_base
from runner.execution.processes import become_subreaper
from runner.execution.run import Execute
from runner.execution.warm import WarmExecution
from runner.fence import Fence, Watchdog
from runner.gateway import definitions
from runner.gateway.dependents import Dependents, DependentsOf
from runner.gateway.discovery import DiscoveryMemory
from runner.gateway.server import Gateway
from runner.health import Probe, informers_healthy, leader_known, ping
from runner.informer import Informer
from runner.informerpool import InformerPool
from runner.kube import config
from runner.kube.client import KubeClient, at_once
from runner.kube.config import Connection
from runner.kube.discovery import Discovery
from runner.kube.tokenbucket import TokenBucket
from runner.leader import LeaderElector, LeaderSettings
from runner.manager import ExitCode, Leadership, Manager, Parts
from runner.metrics import Metrics
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource, RunId, WatchEvent
from runner.reconciler import Reconciler, RunDefaults
from runner.recorder import Recorder
from runner.runlog import RunLog
from runner.serving import ServingError
from runner.settings import Settings
from runner.slots import Slots
from runner.usermetricshttp import MetricsDoor
from runner.warmmetrics import WarmMetrics
from runner.watches import Watch
from runner.workqueue import WorkQueue

__all__ = ["WiringError", "build"]

_USER_AGENT = f"ansible-operator/{__version__}"


class WiringError(Exception):
    """The parts cannot be put together; the message names the setting and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What every watch's parts have in common."""

    settings: Settings
    environment: Mapping[str, str]
    clock: Clock
    rng: random.Random
    client: KubeClient
    discovery: Discovery
    metrics: Metrics
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


def build(settings: Settings, watches: Sequence[Watch], environment: Mapping[str, str]) -> Manager:
    """Build everything; nothing runs and nothing is asked of the cluster before `Manager.run`.

    Raises:
        WiringError: settings that do not fit together, or a directory for runs that cannot be used.
        config.ConfigError: no cluster to talk to.
    """
    clock, rng = SystemClock(), random.Random()  # noqa: S311 - jitter, no secret
    connection = config.load(kubeconfig=settings.kubeconfig, clock=clock)
    metrics = Metrics(version=__version__, commit=environment.get("OPERATOR_COMMIT", "unknown"), clock=clock)
    fence = _fence(settings, clock)
    observe = metrics.api_calls(urlsplit(connection.server).netloc)
    client = KubeClient(
        connection,
        user_agent=_USER_AGENT,
        check_fence=fence.check,
        observe=observe,
        pace=_pace(settings, clock),
    )
    shared = _Shared(
        settings=settings,
        environment=environment,
        clock=clock,
        rng=rng,
        client=client,
        discovery=Discovery(client, clock=clock),
        metrics=metrics,
        pool=InformerPool(),
        slots=_slots(watches, settings, environment, metrics),
        names=_names(watches),
    )
    queues = {watch.gvk: _queue(watch, shared) for watch in watches}
    door = MetricsDoor(metrics.user)
    gateway = Gateway(
        client,
        shared.discovery,
        check_fence=fence.check,
        on_child=_dependents(watches, queues, shared).observe,
        memory=_discovery_memory(shared),
        local={usermetricshttp.PATH: door},
        observe=metrics.gateway_request,
        port=settings.proxy_port,
    )
    become_subreaper()
    area = _area()
    execution = _execution(watches, area, shared)
    primaries = [informer for watch in watches for informer in _primaries(watch, queues[watch.gvk], shared)]
    controllers = [
        _controller(watch, queues[watch.gvk], gateway, _path_of(watch, execution, settings), area, shared)
        for watch in watches
    ]
    leadership, elector_client = _leadership(shared, connection, fence, execution.kill_all)
    reviews_client = KubeClient(connection, user_agent=f"{_USER_AGENT} metrics", observe=observe)
    try:
        servers = serving.servers(settings, metrics, _probes(primaries, leadership), door, reviews_client, clock=clock)
    except ServingError as error:
        raise WiringError(str(error)) from error

    async def close() -> None:
        for one in (client, elector_client, reviews_client):
            if one is not None:
                await one.close()
        area.close()

    parts = Parts(
        servers=[
            *servers,
            gateway,
            *([] if settings.no_warm else [execution]),
        ],
        informers=shared.pool,
        controllers=controllers,
        leadership=leadership,
        kill_runs=execution.kill_all,
        close=close,
    )
    return Manager(parts, grace_s=settings.graceful_shutdown_timeout_s, clock=clock)


def _execution(watches: Sequence[Watch], area: RunArea, shared: _Shared) -> WarmExecution:
    """What runs Ansible. Warm once it is started as a server, plain otherwise."""
    warm = next((watch for watch in watches if watch.warm_modules), watches[0])
    return WarmExecution(
        clock=shared.clock,
        area=area,
        project=Path.cwd(),
        collections=None if shared.settings.prefer_project_util else _own_collections(),
        observe=RunLog(shared.settings.ansible_log_events),
        observer=WarmMetrics(shared.metrics.registry),
        environment=run_environment.inherit(shared.environment, run_env=warm.run_env),
    )


def _path_of(watch: Watch, execution: WarmExecution, settings: Settings) -> Execute:
    return execution if watch.warm_modules and not settings.no_warm else execution.plain()


def _names(watches: Sequence[Watch]) -> dict[GroupVersionKind, str]:
    """What controllers and queues are called in metrics and logs: as the Go runtime does, and still each by its own."""
    names: dict[GroupVersionKind, str] = {}
    for watch in watches:
        name = f"{watch.gvk.kind.lower()}-{watch.gvk.version}-controller"
        names[watch.gvk] = f"{name}.{watch.gvk.group}" if name in names.values() else name
    return names


def _queue(watch: Watch, shared: _Shared) -> WorkQueue[ObjectRef]:
    observer = shared.metrics.queue(shared.names[watch.gvk])
    queue: WorkQueue[ObjectRef] = WorkQueue(clock=shared.clock, observer=observer)
    observer.follow(queue.unfinished_s)
    return queue


def _primaries(watch: Watch, queue: WorkQueue[ObjectRef], shared: _Shared) -> list[Informer[predicates.Primary]]:
    """The informers of the kind that a watch is about."""

    def on_event(event: WatchEvent) -> None:
        if predicates.changed(event.old, event.new):
            queue.add(event.ref, handlers.lane_of(event))

    project = partial(predicates.Primary.of, annotations=watch.watch_annotations_changes)
    informers = shared.watch_kind(watch.gvk, project, on_event)

    def created() -> Iterator[tuple[ObjectRef, int]]:
        for informer in informers:
            for ref in informer.refs():
                held = informer.get(ref)
                if held is not None:
                    yield ref, held.created_s

    shared.metrics.created(watch.gvk, created)
    return informers


def _dependents(
    watches: Sequence[Watch], queues: Mapping[GroupVersionKind, WorkQueue[ObjectRef]], shared: _Shared
) -> Dependents:
    """Changes of what a run made become reconciles of its owner; a kind is watched once the gateway sees a child."""
    project = predicates.dependents_of(queues)

    def start(child: Resource, on_event: Callable[[WatchEvent], None]) -> None:
        shared.watch_kind(child.gvk, project, on_event, all_namespaces=not child.namespaced)

    wanted = [
        DependentsOf(
            gvk=watch.gvk,
            queue=queues[watch.gvk],
            status=watch.watch_dependent_status,
            cluster_scoped=watch.watch_cluster_scoped_resources,
        )
        for watch in watches
    ]
    return Dependents(wanted, start=start, namespaces=shared.settings.watch_namespaces)


def _discovery_memory(shared: _Shared) -> DiscoveryMemory:
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


def _controller(
    watch: Watch, queue: WorkQueue[ObjectRef], gateway: Gateway, execute: Execute, area: RunArea, shared: _Shared
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
        recorder=Recorder(
            shared.client,
            component="ansible-operator",
            instance=settings.leader_identity,
            clock=shared.clock,
            count_denied=partial(shared.metrics.denied, "events"),
        ),
        defaults=RunDefaults(
            reconcile_period_s=settings.reconcile_period_s,
            verbosity=settings.ansible_verbosity,
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


def _slots(watches: Sequence[Watch], settings: Settings, environment: Mapping[str, str], metrics: Metrics) -> Slots:
    slots = Slots(
        concurrency.limit(watches, settings, environment, cpus=cpus.available(), machine_cpus=os.cpu_count() or 1)
    )
    slotmetrics.follow(slots, metrics.registry)
    return slots


def _pace(settings: Settings, clock: Clock) -> Callable[[], Awaitable[None]]:
    """When one more request may be sent. The elections' and reviews' clients do not ask: they must not wait in line."""
    if not settings.kube_api_qps:
        return at_once
    burst = settings.kube_api_burst or max(1, round(settings.kube_api_qps))
    return TokenBucket(qps=settings.kube_api_qps, burst=burst, clock=clock).take


def _fence(settings: Settings, clock: Clock) -> Fence:
    if not settings.leader_elect:
        return Fence.open(clock=clock)
    return Fence(clock=clock, jump_s=settings.lease_duration_s)


def _leadership(
    shared: _Shared, connection: Connection, fence: Fence, kill_runs: Callable[[], None]
) -> tuple[Leadership | None, KubeClient | None]:
    """The elector has a client of its own, which no fence stops."""
    settings, clock = shared.settings, shared.clock
    if not settings.leader_elect:
        return None, None
    if not settings.leader_election_id:
        raise WiringError("--leader-elect needs the name of a Lease: set --leader-election-id")
    try:
        lease = LeaderSettings(
            name=settings.leader_election_id,
            namespace=settings.leader_election_namespace or connection.namespace,
            identity=settings.leader_identity,
            lease_duration_s=settings.lease_duration_s,
            renew_deadline_s=settings.renew_deadline_s,
            retry_period_s=settings.retry_period_s,
        )
    except ValueError as error:
        raise WiringError(str(error)) from error

    def on_lapse() -> None:
        # On the watchdog's own thread: the event loop may be the very thing that hangs.
        try:
            kill_runs()
        finally:
            os._exit(ExitCode.LEADERSHIP_LOST)

    client = KubeClient(connection, user_agent=f"{_USER_AGENT} leader-election")
    elector = LeaderElector(
        client,
        lease,
        clock=clock,
        rng=shared.rng,
        fence=fence,
        observer=shared.metrics.leader(lease.name),
    )
    return Leadership(elector=elector, watchdog=Watchdog(fence, on_lapse, clock=clock)), client


def _probes(primaries: list[Informer[predicates.Primary]], leadership: Leadership | None) -> Sequence[Probe]:
    ready = {"informers": informers_healthy(primaries)}
    if leadership is not None:
        ready["leader"] = leader_known(leadership.elector)
    return (Probe("healthz", {"ping": ping}), Probe("readyz", ready))


def _area() -> RunArea:
    base = default_base()
    try:
        return RunArea.open(base)
    except OSError as error:
        raise WiringError(
            f"{base}: runs cannot be kept there: {error}; set TMPDIR to a directory of your own"
        ) from error


def _own_collections() -> Path | None:
    """The collection path entry that holds operator_sdk.util, beside the package in a checkout and in the image."""
    path = Path(__file__).resolve().parents[2] / "collections"
    return path if (path / "ansible_collections").is_dir() else None
