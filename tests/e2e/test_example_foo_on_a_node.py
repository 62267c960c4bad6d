"""examples/foo where its Pods run: what they print, and that one comes again."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

import hostile
from harness import POD, Api, Operator
from projects import EXAMPLES, FOO, Cluster, project_operator
from runner.objects import Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SPACE = "foos"
TEXTS = {name: hostile.TEXTS[name] for name in ("option", "quotes", "shell", "variables", "jinja", "lines", "format")}


@pytest.fixture(scope="module", autouse=True)
def operator(node_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    from cluster import images  # noqa: PLC0415 - only where a node is needed

    cluster = Cluster(node_plane)
    cluster.namespace(SPACE, restricted=True)
    environment = {"RELATED_IMAGE_FOO": images.BUSYBOX}
    with project_operator(
        node_plane, tmp_path_factory.mktemp("foo"), EXAMPLES / "foo", environment=environment
    ) as running:
        yield running
    cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def foo(name: str, **fields: Any) -> Raw:
    metadata = {"name": name, "namespace": SPACE}
    return {"apiVersion": FOO.api_version, "kind": FOO.kind, "metadata": metadata, **fields}


def running(pod: Raw) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


async def test_every_text_is_printed_literally_as_often_as_asked_for(api: Api, node_plane: "ControlPlane") -> None:
    for name, text in TEXTS.items():
        await api.create(foo(name, testString=text, testNum=2))
    for name, text in TEXTS.items():
        await api.until(POD, SPACE, name, running, within=150)
        printed = Cluster(node_plane).kubectl("logs", name, f"--namespace={SPACE}")
        assert printed == f"{text}\n" * 2, name
        await api.delete(FOO, SPACE, name)


async def test_pod_that_is_deleted_runs_again(api: Api) -> None:
    await api.create(foo("again"))
    first = await api.until(POD, SPACE, "again", running)
    uid = first["metadata"]["uid"]
    await api.delete(POD, SPACE, "again")
    await api.until(POD, SPACE, "again", lambda pod: pod["metadata"]["uid"] != uid and running(pod))
