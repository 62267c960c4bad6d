"""examples/webecho where its Pods run: hashicorp/http-echo, built here, answers over the node's port."""

import asyncio
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from harness import DEPLOYMENT, Api, Operator, eventually
from projects import EXAMPLES, Cluster, project_operator
from runner.objects import GroupVersionKind, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

WEB_ECHO = GroupVersionKind("test.com", "v1", "Echo")
NODE = GroupVersionKind("", "v1", "Node")
SPACE = "web"


@pytest.fixture(scope="module", autouse=True)
def operator(node_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    from cluster import images  # noqa: PLC0415 - only where a node is needed
    from cluster.node import Node  # noqa: PLC0415

    directory = tmp_path_factory.mktemp("webecho")
    node = Node.of(node_plane.kubeconfig)
    assert node is not None
    node.load_image(images.build_http_echo(directory / "http-echo.tar"))
    cluster = Cluster(node_plane)
    environment = {"RELATED_IMAGE_WEBECHO": images.HTTP_ECHO}
    with project_operator(node_plane, directory, EXAMPLES / "webecho", environment=environment) as running:
        cluster.namespace(SPACE)
        cluster.kubectl("label", "namespace", SPACE, "pod-security.kubernetes.io/enforce=restricted")
        yield running
        cluster.kubectl("delete", "echoes.test.com", "--all", "--all-namespaces", "--timeout=60s")
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


async def started(api: Api, name: str, text: str, replicas: int = 1) -> Raw:
    """The Echo, once its status says that all its servers answer."""
    metadata = {"name": name, "namespace": SPACE}
    spec = {"text": text, "replicas": replicas}
    await api.create({"apiVersion": WEB_ECHO.api_version, "kind": "Echo", "metadata": metadata, "spec": spec})
    ready = lambda echo: (echo.get("status") or {}).get("readyReplicas") == replicas  # noqa: E731
    return await api.until(WEB_ECHO, SPACE, name, ready)


async def node_url(api: Api, echo: Raw) -> str:
    (node,) = await api.list(NODE)
    address = next(entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP")
    return f"http://{address}:{echo['status']['nodePort']}/"


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


async def test_text_is_served_on_the_node_port_and_a_change_rolls_out(api: Api) -> None:
    echo = await started(api, "served", "Hello world", replicas=2)
    url = await node_url(api, echo)
    await until_served(url, b"Hello world\n")
    await api.patch(WEB_ECHO, SPACE, "served", {"spec": {"text": "Hola, 世界!", "replicas": 1}})
    rolled_out = lambda found: (  # noqa: E731
        found["status"].get("observedGeneration") == found["metadata"]["generation"] == 2
        and found["status"].get("updatedReplicas") == found["status"].get("readyReplicas") == 1
        and found["status"]["replicas"] == 1
    )
    await api.until(DEPLOYMENT, SPACE, "served", rolled_out)
    await until_served(url, "Hola, 世界!\n".encode())


async def test_hostile_text_is_served_to_the_letter(api: Api, node_plane: "ControlPlane") -> None:
    """By the path through the API server that the status tells."""
    text = "{{ lookup('pipe', 'id') }} $(id) `id` $(PATH) $$(PATH) \"quoted\"\n' ; id #"
    echo = await started(api, "hostile", text)
    path = echo["status"]["path"]
    served = await asyncio.to_thread(Cluster(node_plane).kubectl, "get", "--raw", path)
    assert served == text + "\n"


async def test_deleted_deployment_answers_again_and_a_deleted_echo_no_more(api: Api) -> None:
    echo = await started(api, "stubborn", "still here")
    url = await node_url(api, echo)
    await api.delete(DEPLOYMENT, SPACE, "stubborn")
    other = lambda found: found["status"].get("readyReplicas") == 1  # noqa: E731
    await api.until(DEPLOYMENT, SPACE, "stubborn", other)
    await until_served(url, b"still here\n")
    await api.delete(WEB_ECHO, SPACE, "stubborn")
    await api.gone(WEB_ECHO, SPACE, "stubborn")
    await until_served(url, b"")
