"""The life of a release on a real API server with its controllers: from the Go echoperator's chart to ours, back, and
away. No node, so the test does what a kubelet would for the Pods of hooks, and runs the operator beside the cluster."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import (
    CRON_JOB,
    ECHO,
    JOB,
    ROOT,
    SCHEDULED_ECHO,
    Api,
    echo,
    eventually,
    install_crds,
    scheduled_echo,
    succeeded,
)
from helm_chart import CHART, OLD_CHART, Helm, hooks_run
from manifests import parsed
from operator_account import kubectl, operating
from runner.leader.lease import micro_time
from runner.objects import GroupVersionKind, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
POD = GroupVersionKind("", "v1", "Pod")
LEASE = GroupVersionKind("coordination.k8s.io", "v1", "Lease")
CRD = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
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
    without = ("delete", "--ignore-not-found", "-k", str(ROOT / "config" / "crd"))
    await asyncio.to_thread(kubectl, control_plane, *without)
    try:
        yield Release(plane=control_plane, api=api, helm=client, namespace=namespace, directory=tmp_path)
    finally:
        await asyncio.to_thread(client.run, "uninstall", RELEASE, f"--namespace={namespace}", "--no-hooks")
        await asyncio.to_thread(kubectl, control_plane, *without)  # helm's own would be in the way
        await asyncio.to_thread(install_crds, control_plane)


async def test_release_of_the_go_echoperator_is_upgraded_rolled_back_and_removed(release: Release) -> None:
    """No Job runs again, no two lead, no object is in the way; each step of a user's, in their order."""
    api, namespace = release.api, release.namespace
    await release.do("install", str(OLD_CHART))
    deployment = await api.until(DEPLOYMENT, namespace, FULL)
    children = await gos_children(release)
    await lease_held_by(api, namespace, "old-0")

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
        await api.create(gos_child(made))
    pod = (await eventually(lambda: pods_of(release, "ran"), what="the Job's Pod"))[0]
    await api.patch(POD, namespace, pod["metadata"]["name"], {"status": {"phase": "Succeeded"}}, "status")
    await api.until(JOB, namespace, "ran", lambda job: bool(job["status"].get("completionTime")))
    await eventually(lambda: pods_of(release, "runs"), what="the Job's Pod")
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    await api.patch(GroupVersionKind("", "v1", "Namespace"), "", namespace, {"metadata": {"labels": restricted}})
    return await uids(release, ["ran", "runs", "often"])


def gos_child(owner: Raw) -> Raw:
    name, message = owner["metadata"]["name"], owner["spec"]["message"]
    reference = {"apiVersion": "mmontes.io/v1alpha1", "kind": owner["kind"], "name": name}
    reference |= {"uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
    container = {"name": name, "image": "busybox:1.33.1", "command": ["echo", message]}
    container |= {"imagePullPolicy": "IfNotPresent"}
    job: Raw = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    metadata = {"name": name, "namespace": owner["metadata"]["namespace"], "ownerReferences": [reference]}
    if owner["kind"] == "Echo":
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": job}
    spec = {"schedule": owner["spec"]["schedule"], "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": job}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


async def pods_of(release: Release, job: str) -> list[Raw]:
    pods = await release.api.list(POD, release.namespace)
    return [pod for pod in pods if pod["metadata"]["labels"].get("job-name") == job]


async def uids(release: Release, names: Iterable[str]) -> dict[str, str]:
    children = await release.api.list(JOB, release.namespace) + await release.api.list(CRON_JOB, release.namespace)
    assert {child["metadata"]["name"] for child in children} == set(names)
    return {child["metadata"]["name"]: child["metadata"]["uid"] for child in children}


async def lease_held_by(api: Api, namespace: str, holder: str) -> None:
    now = micro_time(datetime.now(UTC))
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 600, "acquireTime": now, "renewTime": now}
    metadata = {"name": FULL, "namespace": namespace}
    await api.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec})


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


async def subresources(api: Api) -> list[list[str]]:
    """Of the versions of our definitions."""
    ours = [crd for crd in await api.list(CRD) if crd["spec"]["group"] == "mmontes.io"]
    return [list(version.get("subresources", {})) for crd in ours for version in crd["spec"]["versions"]]


async def takes_over_when_the_lease_is_free(release: Release) -> None:
    """It acts on nothing while the old one holds the Lease; then it has it."""
    api, namespace = release.api, release.namespace
    obj = await api.get(ECHO, namespace, "ran")
    assert obj is not None
    assert "status" not in obj
    now = micro_time(datetime.now(UTC))
    released = {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}
    await api.patch(LEASE, namespace, FULL, {"spec": released})
    await api.until(LEASE, namespace, FULL, lambda lease: lease["spec"]["holderIdentity"] == socket.gethostname())


async def everything_is_told(release: Release) -> None:
    api, namespace = release.api, release.namespace
    ran = await api.until(ECHO, namespace, "ran", succeeded)
    assert ran["status"]["job"]["state"] == "Complete"
    runs = await api.until(ECHO, namespace, "runs", succeeded)
    assert runs["status"]["job"]["state"] == "Active"
    await api.until(SCHEDULED_ECHO, namespace, "often", succeeded)
