"""The life of a chart's release where its Pods run, those of its hooks too: from the Go echoperator's to ours and back,
to ours again, and away. tests/integration/test_chart_release.py has what needs no node."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cluster import images
from cluster.node import Node
from cluster.progress import Progress
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
    kubectl,
    scheduled_echo,
    succeeded,
)
from helm_chart import CHART, Helm, definitions_removed, subresources
from runner.objects import GroupVersionKind, Raw
from scripts import deploy
from scripts.image.archive import Image

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

RELEASE = "mine"
FULL = "mine-echoperator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release, and what may be done with it."""

    plane: "ControlPlane"
    api: Api
    helm: Helm
    namespace: str
    image: str
    directory: Path

    async def do(self, verb: str, *arguments: str) -> str:
        """Run helm, which waits for hooks and Pods."""
        return await asyncio.to_thread(self.helm, verb, RELEASE, *arguments, f"--namespace={self.namespace}")

    async def become_ours(self) -> str:
        """Returns the notes that a user is shown."""
        repository, _, tag = self.image.rpartition(":")
        # One replica: that several share the Lease is what the manifests are deployed for.
        values = f"image.repository={repository},image.tag={tag},echoImage={images.BUSYBOX},ha.replicaCount=1"
        return await self.do("upgrade", str(CHART), "--reset-then-reuse-values", "--set", values, "--wait")

    async def holder(self, holders: str) -> str:
        """Who has the Lease, once that is one whose name begins so; empty: nobody."""

        def found(leases: dict[str, Raw]) -> Raw | None:
            spec = leases[FULL]["spec"]
            is_it = spec["holderIdentity"].startswith(holders) if holders else not spec["holderIdentity"]
            return spec if is_it else None

        spec = await self.api.when(LEASE, self.namespace, found, what=f"the Lease is {holders or 'nobody'}'s")
        return str(spec["holderIdentity"])

    async def until(self, gvk: GroupVersionKind, name: str, state: str = "") -> Raw:
        """The object of ours, once it was reconciled with success and its Job is in this state."""

        def found(objects: dict[str, Raw]) -> Raw | None:
            obj = objects.get(name)
            if obj is None or not succeeded(obj):
                return None
            return obj if state in {"", (obj["status"].get("job") or {}).get("state")} else None

        return await self.api.when(gvk, self.namespace, found, what=f"{gvk.kind} {name} is reconciled")


@pytest.fixture
async def release(
    node_plane: "ControlPlane", api: Api, namespace: str, helm: Path, operator_image: Image, tmp_path: Path
) -> AsyncIterator[Release]:
    node = Node.of(node_plane.kubeconfig)
    assert node is not None
    await asyncio.to_thread(deploy.given, node, operator_image.name, operator_image.archive, Progress())
    client = Helm(program=helm, home=tmp_path / "home", kubeconfig=node_plane.kubeconfig)
    async with definitions_removed(node_plane, client, RELEASE, namespace):
        yield Release(
            plane=node_plane,
            api=api,
            helm=client,
            namespace=namespace,
            image=operator_image.name,
            directory=tmp_path,
        )


async def test_release_of_the_go_echoperator_becomes_ours_goes_back_and_comes_again(release: Release) -> None:
    """No Job runs twice, no two lead, no object is in the way; each step of a user's, in their order."""
    repository, _, tag = images.BUSYBOX.rpartition(":")
    await release.do("install", str(OLD_CHART), "--set", f"image.repository={repository},image.tag={tag}", "--wait")
    await gos_children(release)
    await release.api.create(held_lease(FULL, release.namespace, "old-0"))
    before = await children(release)

    notes = await release.become_ours()
    assert await subresources(release.api) == [["status"], ["status"]]
    await untouched_while_another_leads(release, "old-0")
    await takes_over(release)
    assert (await release.until(ECHO, "ran"))["status"]["job"]["state"] == "Complete"
    await release.until(SCHEDULED_ECHO, "often")
    assert await children(release) == before
    await asyncio.to_thread(do_as_told, release, notes)
    await release.until(ECHO, "hello-world", "Complete")
    with_ours = await children(release)

    tested = await release.do("test")
    assert "Phase:          Succeeded" in tested

    await release.do("rollback", "1", "--wait")
    await release.holder("")
    await release.api.patch(LEASE, release.namespace, FULL, {"spec": lease_spec("old-1")})

    await release.api.create(echo("again", release.namespace))
    await release.become_ours()
    await untouched_while_another_leads(release, "old-1")
    await takes_over(release)
    await release.until(ECHO, "again", "Complete")
    after = await children(release)
    assert {name: after[name] for name in with_ours} == with_ours

    await release.do("uninstall", "--wait")
    assert await release.api.get(DEPLOYMENT, release.namespace, FULL) is None
    assert await children(release) == after
    assert left(release) == []


def do_as_told(release: Release, notes: str) -> None:
    """Paste the command that makes an Echo, in the namespace of the release."""
    (command,) = [line for line in notes.splitlines() if "kubectl apply" in line]
    kubectl = (
        f'kubectl() {{ {release.plane.kubectl} --kubeconfig={release.plane.kubeconfig} -n {release.namespace} "$@"; }}'
    )
    done = subprocess.run(["sh", "-c", f"{kubectl}\n{command}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def gos_children(release: Release) -> None:
    """A Job that has run, and a CronJob, as the Go echoperator makes them."""
    for owner in (echo("ran", release.namespace), scheduled_echo("often", release.namespace)):
        await release.api.create(child_of(await release.api.create(owner), image=images.BUSYBOX))

    def over(jobs: dict[str, Raw]) -> bool:
        return "ran" in jobs and bool((jobs["ran"].get("status") or {}).get("completionTime"))

    await release.api.when(JOB, release.namespace, over, what="the Job has run")


async def children(release: Release) -> dict[str, str]:
    """The UID of each Job and CronJob, and of each Pod that a Job has ever had: none was removed."""
    found = [obj for kind in (JOB, CRON_JOB) for obj in await release.api.list(kind, release.namespace)]
    pods = await release.api.list(POD, release.namespace)
    found += [pod for pod in pods if "job-name" in pod["metadata"]["labels"]]
    return {obj["metadata"]["name"]: obj["metadata"]["uid"] for obj in found}


async def untouched_while_another_leads(release: Release, holder: str) -> None:
    """Our Pods are ready, and nobody has taken the Lease or looked at the Echoes that are new to them."""
    pods = await release.api.list(POD, release.namespace)
    ours = [pod for pod in pods if pod["spec"]["containers"][0]["image"] == release.image]
    assert len(ours) == 1
    assert await release.holder(holder) == holder
    new = {"old-0": "ran", "old-1": "again"}[holder]
    obj = await release.api.get(ECHO, release.namespace, new)
    assert obj is not None
    assert "status" not in obj


async def takes_over(release: Release) -> None:
    await release.api.patch(LEASE, release.namespace, FULL, {"spec": lease_spec("")})
    await release.holder(f"{FULL}-")


def left(release: Release) -> list[str]:
    """What is there of the release outside of namespaces, hooks' accounts among it."""
    found = kubectl(release.plane, "get", "clusterroles,clusterrolebindings", "-o", "name").split()
    return [name for name in found if f"/{RELEASE}-" in name]
