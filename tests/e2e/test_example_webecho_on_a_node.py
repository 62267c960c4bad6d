"""examples/webecho where its Pods run: hashicorp/http-echo, built here, answers over the node's port."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from harness import DEPLOYMENT, Api, Operator
from projects import EXAMPLES, WEB_ECHO, Cluster, project_operator, resource
from runner.objects import Raw
from served import give_http_echo, node_url, until_served

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SPACE = "web"


@pytest.fixture(scope="module", autouse=True)
def operator(node_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    directory = tmp_path_factory.mktemp("webecho")
    cluster = Cluster(node_plane)
    environment = {"RELATED_IMAGE_WEBECHO": give_http_echo(node_plane, directory)}
    with project_operator(node_plane, directory, EXAMPLES / "webecho", environment=environment) as running:
        cluster.namespace(SPACE, restricted=True)
        yield running
        cluster.kubectl("delete", "echoes.test.com", "--all", "--all-namespaces", "--timeout=60s")
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


async def started(api: Api, name: str, text: str, replicas: int = 1) -> Raw:
    """The Echo, once its status says that all its servers answer."""
    await api.create(resource(WEB_ECHO, name, SPACE, text=text, replicas=replicas))
    ready = lambda echo: (echo.get("status") or {}).get("readyReplicas") == replicas  # noqa: E731
    return await api.until(WEB_ECHO, SPACE, name, ready)


async def test_text_is_served_on_the_node_port_and_a_change_rolls_out(api: Api) -> None:
    echo = await started(api, "served", "Hello world", replicas=2)
    url = await node_url(api, echo["status"]["nodePort"])
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
    url = await node_url(api, echo["status"]["nodePort"])
    await api.delete(DEPLOYMENT, SPACE, "stubborn")
    other = lambda found: found["status"].get("readyReplicas") == 1  # noqa: E731
    await api.until(DEPLOYMENT, SPACE, "stubborn", other)
    await until_served(url, b"still here\n")
    await api.delete(WEB_ECHO, SPACE, "stubborn")
    await api.gone(WEB_ECHO, SPACE, "stubborn")
    await until_served(url, b"")
