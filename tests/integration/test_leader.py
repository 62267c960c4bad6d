"""Leader election on a real API server, with a real client-go elector as the other candidate, and without a server at all.

Short durations (3/2/0.4 s). Whatever is waited for is looked for often, and must come within what the settings promise.
"""

import asyncio
import contextlib
import random
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from harness import LEASE, Api, eventually
from runner.clock import SystemClock
from runner.kube import config
from runner.kube.client import KubeClient
from runner.leader import lease
from runner.leader.elector import LeaderElector, LeadershipLost
from runner.leader.fence import Fence, Watchdog
from runner.leader.lease import LeaderSettings, LeaseRecord
from runner.objects import ObjectRef

pytestmark = pytest.mark.integration

CLOCK = SystemClock()
DURATION_S, DEADLINE_S, PERIOD_S = 3.0, 2.0, 0.4
ROUND_S = PERIOD_S * 2.2
"""The longest a follower rests between two looks."""
CALL_S = 1.0
"""What the API server may take, on a busy machine."""


class Candidate:
    """An elector with its own client, as a process would have it."""

    def __init__(self, kubeconfig: Path, namespace: str, identity: str) -> None:
        self.client = KubeClient(config.load(kubeconfig=str(kubeconfig), clock=CLOCK), user_agent=identity)
        self.fence = Fence(clock=CLOCK, jump_s=DURATION_S)
        settings = LeaderSettings(
            name="elected",
            namespace=namespace,
            identity=identity,
            lease_duration_s=DURATION_S,
            renew_deadline_s=DEADLINE_S,
            retry_period_s=PERIOD_S,
        )
        self.elector = LeaderElector(self.client, settings, clock=CLOCK, rng=random.Random(), fence=self.fence)


@pytest.fixture
async def candidate(control_plane, namespace):
    """Makes candidates, and closes their clients after the test."""
    made = []

    def make(identity: str) -> Candidate:
        made.append(Candidate(control_plane.kubeconfig, namespace, identity))
        return made[-1]

    yield make
    for one in made:
        await one.client.close()
    # Calls that were given up close their TLS connections in the background, and closing a client waits for none.
    await asyncio.sleep(0.25)


@pytest.fixture
async def started():
    """Starts tasks, and ends them after the test."""
    tasks = []

    def start(coroutine):
        tasks.append(asyncio.ensure_future(coroutine))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def record(api: Api, namespace: str) -> LeaseRecord:
    return LeaseRecord.of(await api.get(LEASE, namespace, "elected") or {})


def held_by(api: Api, namespace: str, holder: str) -> Callable[[], Awaitable[LeaseRecord | None]]:
    async def held() -> LeaseRecord | None:
        found = await record(api, namespace)
        return found if found.holder == holder else None

    return held


async def test_record_comes_back_as_it_was_written(candidate, api, namespace):
    """Ownership rests on the text of acquireTime, so the server must not rewrite it."""
    one = candidate("one")
    await one.elector.acquire()

    found = await record(api, namespace)

    assert found == one.elector._mine
    assert (found.holder, found.duration_s, found.transitions) == ("one", 3, 0)


async def test_released_lease_is_taken_within_a_round(candidate, api, namespace, started):
    """The handover of a rolling update."""
    one, two = candidate("one"), candidate("two")
    await one.elector.acquire()
    holding = started(one.elector.hold())
    acquiring = started(two.elector.acquire())
    await asyncio.sleep(2 * DURATION_S)
    assert one.fence.holds()
    assert not acquiring.done()

    holding.cancel()
    await asyncio.wait({holding})
    assert await one.elector.release()
    assert not one.fence.holds()
    await asyncio.wait_for(acquiring, ROUND_S + CALL_S)

    assert two.fence.holds()
    assert (await record(api, namespace)).transitions == 1


async def test_silent_holder_is_succeeded_after_its_fence_lapsed(candidate, api, namespace, started):
    """The holder hangs: nobody renews, nobody releases."""
    one, two = candidate("one"), candidate("two")
    await one.elector.acquire()
    silent_since = time.monotonic()
    acquiring = started(two.elector.acquire())
    both = []
    while not acquiring.done():
        both.append(one.fence.holds() and two.fence.holds())
        await asyncio.sleep(0.01)
    took_s = time.monotonic() - silent_since

    assert not any(both)
    assert DURATION_S <= took_s <= DURATION_S + 2 * ROUND_S + CALL_S
    assert (await record(api, namespace)).transitions == 1


async def test_deleted_lease_is_put_back_by_its_holder_alone(candidate, api, namespace, started):
    """The API server creates a Lease by PUT; with the uid it refuses, so this is no silent overwrite of another's."""
    one, two = candidate("one"), candidate("two")
    await one.elector.acquire()
    started(one.elector.hold())
    started(two.elector.acquire())
    await asyncio.sleep(ROUND_S + CALL_S)
    before = await record(api, namespace)

    await api.client.delete(lease.RESOURCE, ObjectRef(namespace, "elected"))
    after = await eventually(held_by(api, namespace, "one"), within=2 * PERIOD_S + CALL_S)
    await asyncio.sleep(2 * DURATION_S)

    assert (after.acquired, after.transitions) == (before.acquired, before.transitions)
    assert one.fence.holds()
    assert not two.fence.holds()


async def test_lease_deleted_and_taken_by_another_ends_leadership(candidate, api, namespace, started):
    """A newcomer that saw no Lease; the old holder must notice at its next renewal."""
    one = candidate("one")
    await one.elector.acquire()
    holding = started(one.elector.hold())
    await api.client.delete(lease.RESOURCE, ObjectRef(namespace, "elected"))
    body = lease.body(
        ObjectRef(namespace, "elected"),
        {},
        LeaseRecord(
            holder="newcomer",
            duration_s=15,
            acquired="2026-01-01T00:00:00.000000Z",
            renewed="2026-01-01T00:00:00.000000Z",
        ),
    )
    # The holder may have been quicker; then the newcomer comes by force.
    with contextlib.suppress(Exception):
        await api.client.create(lease.RESOURCE, body, namespace=namespace)
    if (await record(api, namespace)).holder == "one":
        await api.client.patch(lease.RESOURCE, ObjectRef(namespace, "elected"), {"spec": body["spec"]})

    with pytest.raises(LeadershipLost, match="newcomer"):
        await asyncio.wait_for(holding, 2 * PERIOD_S + CALL_S)
    assert (await record(api, namespace)).holder == "newcomer"


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_fence_lapses_by_itself_without_an_api_server(candidate, control_plane, started, fault):
    """Refused connections, and calls that hang: the same two seconds from the last good renewal, and the watchdog sees it."""
    one = candidate("one")
    await one.elector.acquire()
    lapses = []
    watchdog = Watchdog(one.fence, lambda: lapses.append(CLOCK.monotonic()), clock=CLOCK)
    watchdog.start()
    holding = started(one.elector.hold())
    await asyncio.sleep(2 * PERIOD_S)
    try:
        getattr(control_plane, fault)("kube-apiserver")
        with pytest.raises(LeadershipLost, match="not renewed within 2 s"):
            await asyncio.wait_for(holding, DEADLINE_S + CALL_S)
        assert not one.fence.holds()
        deadline = one.fence.deadline()
        await asyncio.sleep(1.0)
    finally:
        if fault == "kill":
            control_plane.restart("kube-apiserver")
        else:
            control_plane.resume("kube-apiserver")
        watchdog.stop()

    assert deadline is not None
    assert len(lapses) == 1
    assert deadline <= lapses[0] <= deadline + 0.5


class TestWithClientGo:
    """kube-scheduler elects its leader with client-go, as every Go operator does."""

    @pytest.fixture
    def scheduler(self, control_plane, namespace, tmp_path):
        """Starts one as a candidate for our Lease; killed after the test."""
        running = []

        def start() -> subprocess.Popen[bytes]:
            log = (tmp_path / "scheduler.log").open("wb")
            running.append(
                subprocess.Popen(
                    [
                        control_plane.settings.binaries["kube-scheduler"],
                        f"--kubeconfig={control_plane.kubeconfig}",
                        "--secure-port=0",
                        "--leader-elect=true",
                        f"--leader-elect-resource-namespace={namespace}",
                        "--leader-elect-resource-name=elected",
                        f"--leader-elect-lease-duration={DURATION_S:g}s",
                        f"--leader-elect-renew-deadline={DEADLINE_S:g}s",
                        f"--leader-elect-retry-period={PERIOD_S:g}s",
                    ],
                    stdout=log,
                    stderr=log,
                )
            )
            log.close()
            return running[-1]

        yield start
        for process in running:
            process.kill()
            process.wait()

    async def test_excludes_it_while_we_lead(self, candidate, scheduler, api, namespace, started):
        """And lets it in at once when we release."""
        one = candidate("one")
        await one.elector.acquire()
        holding = started(one.elector.hold())
        scheduler()
        for _ in range(60):
            await asyncio.sleep(0.1)
            assert (await record(api, namespace)).holder == "one"

        holding.cancel()
        await asyncio.wait({holding})
        await one.elector.release()

        async def taken() -> LeaseRecord | None:
            found = await record(api, namespace)
            return found if found.holder not in {"", "one"} else None

        found = await eventually(taken, within=ROUND_S + CALL_S)
        assert found.transitions == 1

    async def test_is_excluded_while_it_leads(self, candidate, scheduler, api, namespace, started):
        """And takes over once it is dead for a lease duration."""
        process = scheduler()

        async def leads() -> LeaseRecord | None:
            found = await record(api, namespace)
            return found if found.holder else None

        theirs = await eventually(leads, within=30)
        one = candidate("one")
        acquiring = started(one.elector.acquire())
        await asyncio.sleep(2 * DURATION_S)
        assert not acquiring.done()
        assert one.elector.leader == theirs.holder

        process.kill()
        process.wait()
        dead_since = time.monotonic()
        await asyncio.wait_for(acquiring, DURATION_S + 2 * ROUND_S + CALL_S)

        # Its last renewal was at most a period before its death.
        assert time.monotonic() - dead_since >= DURATION_S - PERIOD_S - CALL_S
        assert (await record(api, namespace)).transitions == theirs.transitions + 1

    async def test_it_follows_a_dead_one_of_ours(self, candidate, scheduler, api, namespace):
        """Our record tells it how long to wait, and it never begins while our fence holds."""
        one = candidate("one")
        await one.elector.acquire()
        scheduler()
        overlaps = []

        async def taken() -> LeaseRecord | None:
            found = await record(api, namespace)
            if found.holder == "one":
                return None
            overlaps.append(one.fence.holds())
            return found

        found = await eventually(taken, within=30, every=0.02)

        assert overlaps == [False]
        assert found.transitions == 1
