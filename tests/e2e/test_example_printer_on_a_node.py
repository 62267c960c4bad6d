"""examples/printer where its Pods run: what they print, and what is said of those that can't."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

import hostile
from harness import POD, Api, Operator, eventually
from projects import EXAMPLES, PRINTER, Cluster, project_operator, resource
from runner.objects import Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SPACE = "printers"


@pytest.fixture(scope="module", autouse=True)
def operator(node_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    from cluster import images  # noqa: PLC0415 - only where a node is needed

    cluster = Cluster(node_plane)
    cluster.namespace(SPACE, restricted=True)
    environment = {"RELATED_IMAGE_PRINTER": images.BUSYBOX}
    project = EXAMPLES / "printer"
    with project_operator(node_plane, tmp_path_factory.mktemp("printer"), project, environment=environment) as running:
        yield running
    cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def printer(name: str, text: str, **spec: Any) -> Raw:
    return resource(PRINTER, name, SPACE, textToPrint=text, **spec)


def status(obj: Raw) -> Raw:
    return dict(obj.get("status") or {})


async def test_every_text_is_printed_literally(api: Api, node_plane: "ControlPlane") -> None:
    """And the Pod may go once that is done."""
    for name, text in hostile.TEXTS.items():
        await api.create(printer(name, text))
    for name, text in hostile.TEXTS.items():
        done = await api.until(
            PRINTER, SPACE, name, lambda obj: status(obj)["current"] in {"printed", "failed"}, within=150
        )
        assert status(done)["current"] == "printed", status(done)
        printed = Cluster(node_plane).kubectl("logs", name, f"--namespace={SPACE}")
        assert printed == f"{text}\n", name
    await api.delete(POD, SPACE, "plain")
    await api.gone(POD, SPACE, "plain")
    left = await api.get(PRINTER, SPACE, "plain")
    assert left is not None
    assert status(left)["current"] == "printed"


async def test_image_that_can_not_be_pulled_is_told(api: Api) -> None:
    await api.create(printer("no-image", "hello", image="localhost/no-such-image:1"))

    async def told() -> Raw | None:
        found = status(await api.until(PRINTER, SPACE, "no-image"))
        return found if found.get("reason") in {"ErrImagePull", "ImagePullBackOff"} else None

    found = await eventually(told, within=90)
    assert found["current"] == "created"
    assert "localhost/no-such-image:1" in found["message"]
