"""examples/minimart where its Pods run: what the chart renders starts, is probed and answers. An http-echo stands in for it."""

import asyncio
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import DEPLOYMENT, Api, Operator, eventually
from projects import EXAMPLES, Cluster, project_operator
from runner.objects import GroupVersionKind, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MINIMART = GroupVersionKind("charts.samutup.com", "v1alpha1", "Minimart")
SERVICE, NODE = (GroupVersionKind("", "v1", kind) for kind in ("Service", "Node"))
SPACE = "shops"


@pytest.fixture(scope="module", autouse=True)
def operator(node_plane: "ControlPlane", helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    from cluster import images  # noqa: PLC0415 - only where a node is needed
    from cluster.node import Node  # noqa: PLC0415

    directory = tmp_path_factory.mktemp("minimart")
    node = Node.of(node_plane.kubeconfig)
    assert node is not None
    node.load_image(images.build_http_echo(directory / "http-echo.tar"))
    cluster = Cluster(node_plane)
    environment = {"PATH": f"{helm.parent}:{os.environ['PATH']}", "RELATED_IMAGE_MINIMART": images.HTTP_ECHO}
    with project_operator(node_plane, directory, EXAMPLES / "minimart", environment=environment) as running:
        cluster.namespace(SPACE)
        cluster.kubectl("label", "namespace", SPACE, "pod-security.kubernetes.io/enforce=restricted")
        yield running
        cluster.kubectl("delete", "minimarts", "--all", f"--namespace={SPACE}", "--timeout=60s")
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def spec(text: str, **more: Any) -> Raw:
    return {
        "args": ["-listen=:8002", f"-text={text}"],
        "app": {"probes": {"liveness": "/health", "readiness": "/health"}},
    } | more


def fetched(url: str) -> bytes:
    """What is answered; nothing where nobody does."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


async def until_served(url: str, wanted: bytes) -> None:
    async def look() -> bool:
        return await asyncio.to_thread(fetched, url) == wanted

    await eventually(look, what=f"{url} answers {wanted!r}")


async def test_release_answers_on_its_node_port_and_an_upgrade_rolls_out(api: Api) -> None:
    metadata = {"name": "corner", "namespace": SPACE}
    minimart = {"apiVersion": MINIMART.api_version, "kind": MINIMART.kind, "metadata": metadata}
    await api.create({**minimart, "spec": spec("open", replicaCount=2)})
    await api.until(DEPLOYMENT, SPACE, "corner", lambda found: found["status"].get("readyReplicas") == 2)
    service = await api.until(SERVICE, SPACE, "corner")
    (node,) = await api.list(NODE)
    address = next(entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP")
    url = f"http://{address}:{service['spec']['ports'][0]['nodePort']}/minimart-stat"
    await until_served(url, b"open\n")
    await api.patch(MINIMART, SPACE, "corner", {"spec": spec("closed", replicaCount=1)})
    rolled_out = lambda found: (  # noqa: E731
        found["metadata"]["generation"] > 1
        and found["status"].get("observedGeneration") == found["metadata"]["generation"]
        and found["status"].get("updatedReplicas") == found["status"].get("replicas") == 1
    )
    await api.until(DEPLOYMENT, SPACE, "corner", rolled_out)
    await until_served(url, b"closed\n")
