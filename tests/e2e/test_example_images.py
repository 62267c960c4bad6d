"""Images of examples, each built by its own Dockerfile on the base: nothing is missing that its operator needs."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from built_image import built_project
from container import Root, require_runc
from harness import Api, succeeded
from projects import EXAMPLES, FOO, PRINTER, WEB_ECHO, Cluster

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

KINDS = {"foo": FOO, "printer": PRINTER, "webecho": WEB_ECHO}
"""minimart's needs an image of Go to be pulled, memcached's operator needs more than a container of its own."""


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Root]:
    """The unpacked image of the example that the test is called with."""
    require_runc()
    place = tmp_path / "image"
    yield Root(built_project(EXAMPLES / request.param), place)
    shutil.rmtree(place)


@pytest.mark.parametrize(("example", "root"), [(name, name) for name in KINDS], indirect=["root"], ids=KINDS)
async def test_operator_in_an_examples_image_serves_its_samples(
    example: str,
    root: Root,
    node_plane: "ControlPlane",
    api: Api,
    namespace: str,
    open_kubeconfig: Path,
    tmp_path: Path,
) -> None:
    """As any user, with nothing writable but /tmp; finalizers are removed, so their roles are there too."""
    cluster, config = Cluster(node_plane), EXAMPLES / example / "config"
    samples = (f"--namespace={namespace}", "-k", str(config / "samples"))
    arguments = ("--kubeconfig=/kubeconfig", f"--watch-namespace={namespace}", "--strict")
    addresses = ("--metrics-bind-address=0", "--health-probe-bind-address=0")
    log, mounts = tmp_path / "operator.log", {open_kubeconfig: "/kubeconfig"}
    cluster.install(config / "crd")
    try:
        cluster.apply(*samples)
        with root.started(*arguments, *addresses, log=log, uid=12345, mounts=mounts):
            made = [obj["metadata"]["name"] for obj in await api.list(KINDS[example], namespace)]
            assert made
            for name in made:
                await api.until(KINDS[example], namespace, name, succeeded)
            cluster.kubectl("delete", *samples, "--timeout=60s")
    finally:
        cluster.uninstall(config / "crd")
