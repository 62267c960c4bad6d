"""What docs/deploy.md has a user do, on a real node that can pull no image: `make deploy`, the samples, `make undeploy`."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cluster.node import Node
from deployment import SYSTEM, left_of_ours, make
from harness import CRON_JOB, ECHO, JOB, LEASE, POD, ROOT, Api, echo, install_crds, kubectl
from runner.objects import Raw
from scripts.image.archive import Image

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LEASE_NAME = "echoperator"
HANDED_OVER_WITHIN_S = 5.0


async def test_a_deployed_operator_prints_hands_over_and_goes_without_a_trace(
    node_plane: "ControlPlane", api: Api, operator_image: Image, tmp_path: Path
) -> None:
    """Each step of a user's, in their order."""
    image, archive = f"IMG={operator_image.name}", f"ARCHIVE={operator_image.archive}"
    overlay = f"OVERLAY={tmp_path}"  # others deploy from this work tree at the same time
    try:
        await asyncio.to_thread(make, node_plane, "deploy", image, archive, overlay)
        pods = await api.when(POD, SYSTEM, two_ready)
        assert {image_id(pod) for pod in pods} == {node_of(node_plane).images()[operator_image.name]}

        await asyncio.to_thread(kubectl, node_plane, "apply", "-k", str(ROOT / "config" / "samples"))
        assert await printed(node_plane, api, "hello-world") == "Hola, 世界!\n"

        assert await seconds_to_hand_over(api) < HANDED_OVER_WITHIN_S
        await api.create(echo("after", "default", "from the next one"))
        assert await printed(node_plane, api, "after") == "from the next one\n"
        assert {name: restarts(pod) for name, pod in (await pods_of(api)).items() if restarts(pod)} == {}
    finally:
        await asyncio.to_thread(make, node_plane, "undeploy", overlay)
        left = await asyncio.to_thread(left_of_ours, node_plane)
        await asyncio.to_thread(install_crds, node_plane)  # other tests' too
    assert left == []
    for kind in (JOB, CRON_JOB, POD):
        await api.when(kind, "default", none_of_the_samples, what=f"no {kind.kind} of ours")


def two_ready(pods: dict[str, Raw]) -> list[Raw] | None:
    ready = [pod for pod in pods.values() if is_ready(pod)]
    return ready if len(ready) == len(pods) == 2 else None


def is_ready(pod: Raw) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def image_id(pod: Raw) -> str:
    return str(pod["metadata"]["annotations"]["echoperator/image-id"])


def node_of(plane: "ControlPlane") -> Node:
    node = Node.of(plane.kubeconfig)
    assert node is not None
    return node


async def printed(plane: "ControlPlane", api: Api, name: str) -> str:
    """What the Pod of an Echo has printed, once it has ended well."""

    def complete(echoes: dict[str, Raw]) -> bool:
        job = ((echoes.get(name) or {}).get("status") or {}).get("job") or {}
        return job.get("state") == "Complete"

    await api.when(ECHO, "default", complete, what=f"Echo {name} is complete")
    return await asyncio.to_thread(kubectl, plane, "logs", f"job/{name}")


async def seconds_to_hand_over(api: Api) -> float:
    """Delete the leader's Pod, and let the API's own times say how long nobody led; at most a second too many."""
    before = await api.get(LEASE, SYSTEM, LEASE_NAME)
    assert before is not None
    identity = before["spec"]["holderIdentity"]
    deleted = (await api.delete(POD, SYSTEM, identity.rpartition("_")[0]))["metadata"]
    grace = timedelta(seconds=deleted["deletionGracePeriodSeconds"])
    asked = datetime.fromisoformat(deleted["deletionTimestamp"]) - grace

    def taken(leases: dict[str, Raw]) -> Raw | None:
        spec = leases[LEASE_NAME]["spec"]
        return spec if spec["holderIdentity"] not in {"", identity} else None

    spec = await api.when(LEASE, SYSTEM, taken, what="another one leads")
    return (datetime.fromisoformat(spec["acquireTime"]).astimezone(UTC) - asked).total_seconds()


async def pods_of(api: Api) -> dict[str, Raw]:
    return {pod["metadata"]["name"]: pod for pod in await api.list(POD, SYSTEM)}


def restarts(pod: Raw) -> int:
    return sum(entry["restartCount"] for entry in (pod.get("status") or {}).get("containerStatuses") or [])


def none_of_the_samples(objects: dict[str, Raw]) -> bool:
    return not any(name.startswith(("hello-world", "after")) for name in objects)
