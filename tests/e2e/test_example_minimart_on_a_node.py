"""examples/minimart where its Pods run: what the chart renders starts, is probed and answers. An http-echo stands in for it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import DEPLOYMENT, Api, Operator
from projects import EXAMPLES, MINIMART, Cluster, project_operator, resource
from runner.objects import GroupVersionKind, Raw
from served import give_http_echo, node_url, until_served

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SERVICE = GroupVersionKind("", "v1", "Service")
SPACE = "shops"


@pytest.fixture(scope="module", autouse=True)
def operator(node_plane: "ControlPlane", helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    directory = tmp_path_factory.mktemp("minimart")
    cluster = Cluster(node_plane)
    environment = {
        "PATH": f"{helm.parent}:{os.environ['PATH']}",
        "RELATED_IMAGE_MINIMART": give_http_echo(node_plane, directory),
    }
    with project_operator(node_plane, directory, EXAMPLES / "minimart", environment=environment) as running:
        cluster.namespace(SPACE, restricted=True)
        yield running
        cluster.kubectl("delete", "minimarts", "--all", f"--namespace={SPACE}", "--timeout=60s")
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def spec(text: str, **more: Any) -> Raw:
    return {
        "args": ["-listen=:8002", f"-text={text}"],
        "app": {"probes": {"liveness": "/health", "readiness": "/health"}},
    } | more


async def test_release_answers_on_its_node_port_and_an_upgrade_rolls_out(api: Api) -> None:
    await api.create(resource(MINIMART, "corner", SPACE, **spec("open", replicaCount=2)))
    await api.until(DEPLOYMENT, SPACE, "corner", lambda found: found["status"].get("readyReplicas") == 2)
    service = await api.until(SERVICE, SPACE, "corner")
    url = await node_url(api, service["spec"]["ports"][0]["nodePort"], "/minimart-stat")
    await until_served(url, b"open\n")
    await api.patch(MINIMART, SPACE, "corner", {"spec": spec("closed", replicaCount=1)})
    rolled_out = lambda found: (  # noqa: E731
        found["metadata"]["generation"] > 1
        and found["status"].get("observedGeneration") == found["metadata"]["generation"]
        and found["status"].get("updatedReplicas") == found["status"].get("replicas") == 1
    )
    await api.until(DEPLOYMENT, SPACE, "corner", rolled_out)
    await until_served(url, b"closed\n")
