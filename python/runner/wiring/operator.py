"""Builds every part from the settings and connects them. No part knows another but through what it is given here."""

import os
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import runner
from runner import __version__, predicates
from runner.clock import Clock, SystemClock
from runner.execution import environment as run_environment
from runner.execution.directory import RunArea, default_base
from runner.execution.processes import become_subreaper
from runner.execution.run import Execute
from runner.execution.shelf import Shelf, Shelved
from runner.execution.warm import WarmExecution
from runner.gateway.loopbreaker import LoopBreaker
from runner.gateway.server import Gateway
from runner.health import Probe, informers_healthy, leader_known, ping
from runner.informer.listwatch import Informer
from runner.informer.pool import InformerPool
from runner.kube import config
from runner.kube.client import KubeClient, at_once
from runner.kube.discovery import Discovery
from runner.kube.tokenbucket import TokenBucket
from runner.manager import Leadership, Manager, Parts
from runner.metrics import slots as slotmetrics
from runner.metrics.registry import Metrics
from runner.metrics.warm import WarmMetrics
from runner.recorder import Recorder
from runner.runlog import RunLog
from runner.settings import Settings
from runner.slots import Slots
from runner.usermetrics import door as usermetricshttp
from runner.usermetrics.door import MetricsDoor
from runner.watches import Watch
from runner.wiring import concurrency, cpus, serving
from runner.wiring.errors import WiringError
from runner.wiring.kinds import (
    Shared,
    controller_names,
    controller_of,
    dependents_of,
    discovery_memory,
    primaries_of,
    queue_of,
)
from runner.wiring.leadership import fence_of, leadership_of
from runner.wiring.serving import ServingError

__all__ = ["build"]

_USER_AGENT = f"ansible-operator/{__version__}"


def build(settings: Settings, watches: Sequence[Watch], environment: Mapping[str, str]) -> Manager:
    """Build everything; nothing runs and nothing is asked of the cluster before `Manager.run`.

    Raises:
        WiringError: settings that do not fit together, or a directory for runs that cannot be used.
        config.ConfigError: no cluster to talk to.
    """
    clock, rng = SystemClock(), random.Random()  # noqa: S311 - jitter, no secret
    connection = config.load(kubeconfig=settings.kubeconfig, clock=clock)
    metrics = Metrics(version=__version__, commit=environment.get("OPERATOR_COMMIT", "unknown"), clock=clock)
    fence = fence_of(settings, clock)
    observe = metrics.api_calls(urlsplit(connection.server).netloc)
    client = KubeClient(
        connection,
        user_agent=_USER_AGENT,
        check_fence=fence.check,
        observe=observe,
        pace=_pace(settings, clock),
    )
    shared = Shared(
        settings=settings,
        environment=environment,
        clock=clock,
        rng=rng,
        client=client,
        discovery=Discovery(client, clock=clock),
        metrics=metrics,
        recorder=Recorder(
            client,
            component="ansible-operator",
            instance=settings.leader_identity,
            clock=clock,
            count_denied=partial(metrics.denied, "events"),
        ),
        pool=InformerPool(),
        slots=_slots(watches, settings, environment, metrics),
        names=controller_names(watches),
    )
    queues = {watch.gvk: queue_of(watch, shared) for watch in watches}
    loops = LoopBreaker(clock=clock, count=metrics.contested)
    door = MetricsDoor(metrics.user)
    gateway = Gateway(
        client,
        shared.discovery,
        check_fence=fence.check,
        on_child=dependents_of(watches, queues, shared, delay_s=loops.delay_s).observe,
        memory=discovery_memory(shared),
        loops=loops,
        local={usermetricshttp.PATH: door},
        observe=metrics.gateway_request,
        port=settings.proxy_port,
    )
    become_subreaper()
    area = _area()
    execution = _execution(watches, area, shared)
    shelf = Shelf(area.all_kept(), limit_bytes=settings.artifacts_limit_bytes)
    primaries = [informer for watch in watches for informer in primaries_of(watch, queues[watch.gvk], shared)]
    controllers = [
        controller_of(watch, queues[watch.gvk], gateway, Shelved(_path_of(watch, execution), area, shelf), area, shared)
        for watch in watches
    ]
    leadership, elector_client = leadership_of(shared, connection, fence, execution.kill_all, user_agent=_USER_AGENT)
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


def _execution(watches: Sequence[Watch], area: RunArea, shared: Shared) -> WarmExecution:
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


def _path_of(watch: Watch, execution: WarmExecution) -> Execute:
    return execution if watch.warm_modules else execution.plain()


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
    path = Path(runner.__file__).resolve().parents[2] / "collections"
    return path if (path / "ansible_collections").is_dir() else None
