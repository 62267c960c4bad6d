"""The life of a release on a real API server with its controllers: from the Go echoperator's chart to ours, back, and
away. No node, so the test does what a kubelet would for the Pods of hooks, and runs the operator beside the cluster."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from go_echoperator import OLD_CHART, child_of, held_lease, lease_spec
from harness import (
    CRON_JOB,
    DEPLOYMENT,
    ECHO,
    JOB,
    LEASE,
    POD,
    SCHEDULED_ECHO,
    Api,
    echo,
    eventually,
    scheduled_echo,
    succeeded,
)
from helm_chart import CHART, Helm, definitions_removed, hooks_run, subresources
from manifests import parsed
from operator_account import operating
from runner.objects import GroupVersionKind, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

RELEASE = "mine"
FULL = "mine-echoperator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release, and what may be done with it."""

    plane: "ControlPlane"
    api: Api
    helm: Helm
    namespace: str
    directory: Path

    async def do(self, verb: str, *arguments: str) -> list[Raw]:
        """Run helm with the hooks; return the Pods of hooks that ran."""
        async with hooks_run(self.plane, self.api, self.namespace, self.directory) as pods:
            await asyncio.to_thread(self.helm, verb, RELEASE, *arguments, f"--namespace={self.namespace}")
        return pods

    async def manifest(self) -> list[Raw]:
        return parsed(await asyncio.to_thread(self.helm, "get", "manifest", RELEASE, f"--namespace={self.namespace}"))


@pytest.fixture
async def release(
    control_plane: "ControlPlane", api: Api, namespace: str, helm: Path, tmp_path: Path
) -> AsyncIterator[Release]:
    """On a cluster without definitions; the other tests get theirs back."""
    client = Helm(program=helm, home=tmp_path / "home", kubeconfig=control_plane.kubeconfig)
    async with definitions_removed(control_plane, client, RELEASE, namespace):
        yield Release(plane=control_plane, api=api, helm=client, namespace=namespace, directory=tmp_path)


async def test_release_of_the_go_echoperator_is_upgraded_rolled_back_and_removed(release: Release) -> None:
    """No Job runs again, no two lead, no object is in the way; each step of a user's, in their order."""
    api, namespace = release.api, release.namespace
    await release.do("install", str(OLD_CHART))
    deployment = await api.until(DEPLOYMENT, namespace, FULL)
    children = await gos_children(release)
    await api.create(held_lease(FULL, namespace))

    pods = await release.do("upgrade", str(CHART), "--reset-then-reuse-values", "--set=image.tag=tried")
    applied = [f"customresourcedefinitions/{plural}.mmontes.io applied" for plural in ("echos", "scheduledechos")]
    assert pods[-1]["said"].splitlines() == applied
    await is_ours(release, deployment)
    manifest = await release.manifest()
    with operating(release.plane, manifest, release.directory / "run", namespace=namespace):
        await takes_over_when_the_lease_is_free(release)
        await everything_is_told(release)
    assert await uids(release, children) == children

    await release.do("rollback", "1")
    back = await api.until(DEPLOYMENT, namespace, FULL)
    assert back["spec"]["template"]["spec"]["containers"][0]["image"] == "mmontes11/echoperator:v0.0.4"
    assert await subresources(api) == [["status"], ["status"]]

    await release.do("uninstall")
    await api.gone(DEPLOYMENT, namespace, FULL)
    assert await api.get(ECHO, namespace, "ran") is not None
    assert await uids(release, children) == children


async def test_uninstall_deletes_the_definitions_where_that_was_asked_for(release: Release) -> None:
    installed = await release.do("install", str(CHART), "--set=crds.keep=false")
    assert installed[-1]["said"].count("applied") == 2
    await release.api.create(echo("hello", release.namespace))
    removed = await release.do("uninstall")
    assert removed[-1]["said"].count("deleted") == 2

    async def none() -> bool:
        return await subresources(release.api) == []

    await eventually(none)


async def test_old_chart_values_kept_whole_are_refused_before_anything_happens(release: Release) -> None:
    """helm's --reuse-values would start the Go image with our flags."""
    await release.do("install", str(OLD_CHART))
    before = await release.api.until(DEPLOYMENT, release.namespace, FULL)
    done = await asyncio.to_thread(
        release.helm.run, "upgrade", RELEASE, str(CHART), "--reuse-values", f"--namespace={release.namespace}"
    )
    assert done.returncode != 0
    assert "missing propert" in done.stderr
    after = await release.api.get(DEPLOYMENT, release.namespace, FULL)
    assert after is not None
    assert after["spec"] == before["spec"]


async def gos_children(release: Release) -> dict[str, str]:
    """A Job that has run, one that runs, and a CronJob, as the Go echoperator makes them; their UIDs."""
    api, namespace = release.api, release.namespace
    owners = [echo("ran", namespace), echo("runs", namespace), scheduled_echo("often", namespace)]
    for owner in owners:
        made = await api.create(owner)
        assert "status" not in made
        await api.create(child_of(made))
    pod = (await eventually(lambda: pods_of(release, "ran"), what="the Job's Pod"))[0]
    await api.patch(POD, namespace, pod["metadata"]["name"], {"status": {"phase": "Succeeded"}}, "status")
    await api.until(JOB, namespace, "ran", lambda job: bool(job["status"].get("completionTime")))
    await eventually(lambda: pods_of(release, "runs"), what="the Job's Pod")
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    await api.patch(GroupVersionKind("", "v1", "Namespace"), "", namespace, {"metadata": {"labels": restricted}})
    return await uids(release, ["ran", "runs", "often"])


async def pods_of(release: Release, job: str) -> list[Raw]:
    pods = await release.api.list(POD, release.namespace)
    return [pod for pod in pods if pod["metadata"]["labels"].get("job-name") == job]


async def uids(release: Release, names: Iterable[str]) -> dict[str, str]:
    children = await release.api.list(JOB, release.namespace) + await release.api.list(CRON_JOB, release.namespace)
    assert {child["metadata"]["name"] for child in children} == set(names)
    return {child["metadata"]["name"]: child["metadata"]["uid"] for child in children}


async def is_ours(release: Release, before: Raw) -> None:
    """The same Deployment with our image, Pods that a restricted namespace takes, and definitions with a status."""
    api, namespace = release.api, release.namespace
    after = await api.until(DEPLOYMENT, namespace, FULL)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]

    async def pods() -> bool:
        images = [pod["spec"]["containers"][0]["image"] for pod in await api.list(POD, namespace)]
        return "localhost/echo-operator:tried" in images

    await eventually(pods, what="a Pod of ours")
    assert await subresources(api) == [["status"], ["status"]]


async def takes_over_when_the_lease_is_free(release: Release) -> None:
    """It acts on nothing while the old one holds the Lease; then it has it."""
    api, namespace = release.api, release.namespace
    obj = await api.get(ECHO, namespace, "ran")
    assert obj is not None
    assert "status" not in obj
    await api.patch(LEASE, namespace, FULL, {"spec": lease_spec("")})
    await api.until(LEASE, namespace, FULL, lambda lease: lease["spec"]["holderIdentity"] == socket.gethostname())


async def everything_is_told(release: Release) -> None:
    api, namespace = release.api, release.namespace
    ran = await api.until(ECHO, namespace, "ran", succeeded)
    assert ran["status"]["job"]["state"] == "Complete"
    runs = await api.until(ECHO, namespace, "runs", succeeded)
    assert runs["status"]["job"]["state"] == "Active"
    await api.until(SCHEDULED_ECHO, namespace, "often", succeeded)
