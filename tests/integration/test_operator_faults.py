"""What a crash, a lost server or a second operator may not do: lose work, or do it twice."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import ECHO, JOB, LEASE, POD, Api, Operator, echo, eventually, succeeded

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

Start = Callable[..., Operator]


def jobs_created(plane: "ControlPlane", namespace: str) -> Counter[str]:
    """How often each Job was made, by name and message, as the API server's audit log has it."""
    counts: Counter[str] = Counter()
    for line in plane.audit_log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        target = event.get("objectRef") or {}
        if (event["verb"], target.get("resource"), target.get("namespace")) != ("create", "jobs", namespace):
            continue
        if event["responseStatus"]["code"] != 201:
            continue
        body = event["responseObject"]
        command = body["spec"]["template"]["spec"]["containers"][0]["command"]
        counts[f"{body['metadata']['name']}: {command[-1]}"] += 1
    return counts


def elect(namespace: str) -> tuple[str, ...]:
    return (
        "--strict",
        "--leader-elect",
        "--leader-election-id=echoperator",
        f"--leader-election-namespace={namespace}",
    )


async def holder(api: Api, namespace: str) -> str:
    lease = await api.get(LEASE, namespace, "echoperator")
    return str(lease["spec"].get("holderIdentity") or "") if lease else ""


async def mid_run(operator: Operator) -> list[int]:
    """Wait until a run of that operator is in flight; return its processes."""

    async def look() -> list[int]:
        return await asyncio.to_thread(operator.run_processes)

    return await eventually(look, every=0.01, what="a run in flight")


async def no_processes(operator: Operator, *, within: float = 1.0) -> None:
    async def look() -> bool:
        return not await asyncio.to_thread(operator.run_processes)

    await eventually(look, within=within, every=0.02, what="no process of a run left")


async def test_killed_mid_run_the_next_operator_finishes_without_a_second_job(
    api: Api, namespace: str, control_plane: "ControlPlane", start_operator: Start
) -> None:
    first = await start_operator("--strict").ready()
    for index in range(4):
        await api.create(echo(f"crash-{index}", namespace, f"m{index}"))
    await mid_run(first)
    first.kill()
    await no_processes(first)
    await start_operator("--strict").ready()
    for index in range(4):
        await api.until(ECHO, namespace, f"crash-{index}", succeeded, within=60)
    assert jobs_created(control_plane, namespace) == {f"crash-{index}: m{index}": 1 for index in range(4)}
    assert list(first.runs.rglob("extravars")) == []


async def test_killed_between_delete_and_create_the_changed_job_still_comes_once(
    api: Api, namespace: str, control_plane: "ControlPlane", start_operator: Start
) -> None:
    first = await start_operator("--strict").ready()
    await api.create(echo("swap", namespace, "before"))
    await api.until(ECHO, namespace, "swap", succeeded)
    old = await api.until(JOB, namespace, "swap")
    await api.patch(ECHO, namespace, "swap", {"spec": {"message": "after"}})

    async def old_job_is_going() -> bool:
        job = await api.get(JOB, namespace, "swap")
        return job is None or bool(job["metadata"].get("deletionTimestamp"))

    await eventually(old_job_is_going, within=60, every=0.01, what="the old Job is being deleted")
    first.kill()
    await no_processes(first)
    await start_operator("--strict").ready()
    await api.until(JOB, namespace, "swap", lambda job: job["metadata"]["uid"] != old["metadata"]["uid"])
    await api.until(ECHO, namespace, "swap", succeeded)
    assert jobs_created(control_plane, namespace) == {"swap: before": 1, "swap: after": 1}
    owners = {pod["metadata"]["ownerReferences"][0]["uid"] for pod in await api.list(POD, namespace)}
    assert old["metadata"]["uid"] not in owners


async def test_killed_leader_is_followed_within_twenty_seconds(
    api: Api, namespace: str, control_plane: "ControlPlane", start_operator: Start
) -> None:
    leader = await start_operator(*elect(namespace), "--leader-election-identity=one").ready()

    async def led_by(identity: str) -> bool:
        return await holder(api, namespace) == identity

    await eventually(lambda: led_by("one"), what="the first operator leads")
    follower = await start_operator(*elect(namespace), "--leader-election-identity=two").ready()
    for index in range(4):
        await api.create(echo(f"failover-{index}", namespace, f"m{index}"))
    await mid_run(leader)
    assert follower.run_processes() == []
    leader.kill()
    killed = time.monotonic()
    await no_processes(leader)
    await eventually(lambda: led_by("two"), within=20, what="the second operator leads")
    assert time.monotonic() - killed <= 20
    for index in range(4):
        await api.until(ECHO, namespace, f"failover-{index}", succeeded, within=60)
    assert jobs_created(control_plane, namespace) == {f"failover-{index}: m{index}": 1 for index in range(4)}


async def test_a_stopped_idle_leader_hands_over_within_five_seconds(
    api: Api, namespace: str, start_operator: Start
) -> None:
    leader = await start_operator(*elect(namespace), "--leader-election-identity=one").ready()

    async def led_by(identity: str) -> bool:
        return await holder(api, namespace) == identity

    await eventually(lambda: led_by("one"), what="the first operator leads")
    await start_operator(*elect(namespace), "--leader-election-identity=two").ready()
    leader.terminate()
    await eventually(lambda: led_by("two"), within=5, every=0.02, what="handed over within 5 s")
    assert await leader.exit_code(within=5) == 0


async def test_stopped_mid_run_it_ends_within_its_grace_and_hands_over(
    api: Api, namespace: str, slow_project: Path, start_operator: Start
) -> None:
    """The role sleeps for two minutes: it is given its grace, then killed, and only then the Lease goes on."""
    grace = 3
    leader = await start_operator(
        *elect(namespace),
        "--leader-election-identity=one",
        f"--graceful-shutdown-timeout={grace}s",
        project=slow_project,
    ).ready()

    async def led_by(identity: str) -> bool:
        return await holder(api, namespace) == identity

    await eventually(lambda: led_by("one"), what="the first operator leads")
    await start_operator(*elect(namespace), "--leader-election-identity=two").ready()
    await api.create(echo("slow", namespace))
    await mid_run(leader)
    leader.terminate()
    stopped = time.monotonic()

    async def released() -> bool:
        if await holder(api, namespace) == "one":
            return False
        # Until no process of ours acts any more, nobody else may lead.
        assert await asyncio.to_thread(leader.run_processes) == []
        return True

    await eventually(released, within=grace + 5, every=0.02, what="released within its grace and 5 s")
    assert time.monotonic() - stopped >= grace - 0.5
    assert await leader.exit_code(within=5) == 0
    await eventually(lambda: led_by("two"), within=5, what="the second operator leads")


async def test_a_leader_that_loses_the_lease_kills_its_runs_and_ends_with_a_failure(
    api: Api, namespace: str, slow_project: Path, start_operator: Start
) -> None:
    leader = await start_operator(*elect(namespace), "--leader-election-identity=one", project=slow_project).ready()
    await api.create(echo("stolen", namespace))
    await mid_run(leader)
    await api.patch(LEASE, namespace, "echoperator", {"spec": {"holderIdentity": "thief"}})
    assert await leader.exit_code(within=15) == 1
    await no_processes(leader)


@pytest.fixture
def slow_project(tmp_path: Path) -> Path:
    """A project whose role sleeps for two minutes in a process of its own."""
    project = tmp_path / "slow"
    tasks = project / "roles" / "slow" / "tasks"
    tasks.mkdir(parents=True)
    tasks.joinpath("main.yml").write_text(
        "- name: Sleep\n  ansible.builtin.command: setsid sleep 120\n  changed_when: false\n", encoding="utf-8"
    )
    project.joinpath("watches.yaml").write_text(
        "- {group: mmontes.io, version: v1alpha1, kind: Echo, role: slow}\n", encoding="utf-8"
    )
    return project


@pytest.fixture
def own_plane(tmp_path: Path) -> Iterator["ControlPlane"]:
    """A control plane that a test may break."""
    from cluster.controlplane import ControlPlane, ControlPlaneOptions  # noqa: PLC0415

    options = ControlPlaneOptions(directory=tmp_path / "own-plane", durable=True, audit=True, tied_to_caller=True)
    with ControlPlane.start(options) as plane:
        yield plane


@pytest.fixture
async def own_api(own_plane: "ControlPlane") -> AsyncIterator[Api]:
    async with Api(own_plane.kubeconfig) as api:
        await api.install_crds(Path("config/crd/bases"))
        yield api


async def test_nothing_is_lost_while_the_api_server_is_away_for_thirty_seconds(
    own_plane: "ControlPlane", own_api: Api, tmp_path: Path
) -> None:
    operator = Operator(
        kubeconfig=own_plane.kubeconfig, directory=tmp_path / "op", arguments=("--strict",), environment={}
    )
    try:
        await operator.ready()
        for index in range(3):
            await own_api.create(echo(f"before-{index}", "default", "m"))
        await mid_run(operator)
        own_plane.kill("kube-apiserver")
        await asyncio.sleep(30)
        assert operator.process.poll() is None
        own_plane.restart("kube-apiserver")
        await own_api.create(echo("after", "default", "m"))
        names = [*(f"before-{index}" for index in range(3)), "after"]
        for name in names:
            await own_api.until(ECHO, "default", name, succeeded, within=90)
        assert jobs_created(own_plane, "default") == {f"{name}: m": 1 for name in names}
    finally:
        operator.dispose()


async def test_a_crd_that_is_missing_at_start_is_waited_for(tmp_path: Path, own_plane: "ControlPlane") -> None:
    operator = Operator(kubeconfig=own_plane.kubeconfig, directory=tmp_path / "op", arguments=("--strict",))
    try:

        async def told() -> bool:
            return "is its CRD installed?" in operator.log

        await eventually(told, what="a log line about the CRD")
        assert operator.probe("/healthz") == 200
        assert operator.probe("/readyz") == 500  # as controller-runtime answers
        async with Api(own_plane.kubeconfig) as api:
            await api.install_crds(Path("config/crd/bases"))
            await operator.ready()
            await api.create(echo("late", "default"))
            await api.until(ECHO, "default", "late", succeeded)
        # One line for each kind, not one for each try.
        assert operator.log.count("is its CRD installed?") == 2
    finally:
        operator.dispose()
