"""The Lease's parts: who may work, and what ends everything when that is over."""

import os
from collections.abc import Callable

from runner.clock import Clock
from runner.kube.client import KubeClient
from runner.kube.config import Connection
from runner.leader.elector import LeaderElector, LeaderSettings
from runner.leader.fence import Fence, Watchdog
from runner.manager import ExitCode, Leadership
from runner.settings import Settings
from runner.wiring.errors import WiringError
from runner.wiring.kinds import Shared

__all__ = ["fence_of", "leadership_of"]


def fence_of(settings: Settings, clock: Clock) -> Fence:
    if not settings.leader_elect:
        return Fence.open(clock=clock)
    return Fence(clock=clock, jump_s=settings.lease_duration_s)


def leadership_of(
    shared: Shared, connection: Connection, fence: Fence, kill_runs: Callable[[], None], *, user_agent: str
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

    client = KubeClient(connection, user_agent=f"{user_agent} leader-election")
    elector = LeaderElector(
        client,
        lease,
        clock=clock,
        rng=shared.rng,
        fence=fence,
        observer=shared.metrics.leader(lease.name),
    )
    return Leadership(elector=elector, watchdog=Watchdog(fence, on_lapse, clock=clock)), client
