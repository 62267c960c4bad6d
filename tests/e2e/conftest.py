"""The real node, and the image that was built."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from built_image import built
from harness import Api, install_crds
from scripts.image.archive import Image

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane


@pytest.fixture(scope="package")
def node_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator["ControlPlane"]:
    """A control plane with a real node; at most one on a machine, so all tests here share it, and it goes when they are done."""
    from cluster import images  # noqa: PLC0415 - only where a node is needed
    from cluster.controlplane import ControlPlane, ControlPlaneOptions  # noqa: PLC0415
    from cluster.node import Node  # noqa: PLC0415

    reason = Node.supported()
    if reason is not None:
        pytest.skip(f"no node here: {reason}")
    directory = tmp_path_factory.mktemp("node")
    options = ControlPlaneOptions(
        directory=directory, controller_manager=True, scheduler=True, reachable_from_pods=True, tied_to_caller=True
    )
    image = directory.parent / "busybox.tar"
    images.build_busybox(image)
    with ControlPlane.start(options) as plane, Node.start(plane, images=[image]):
        install_crds(plane)
        yield plane


@pytest.fixture
async def api(node_plane: "ControlPlane") -> AsyncIterator[Api]:
    async with Api(node_plane.kubeconfig) as client:
        yield client


@pytest.fixture(scope="package")
def operator_image() -> Image:
    """The echo operator's."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the base is made, and containers are run, by root")
    return built("operator")


@pytest.fixture
def open_kubeconfig(node_plane: "ControlPlane", tmp_path: Path) -> Path:
    """The cluster's that `api` leads to, readable for the container's user."""
    file = tmp_path / "kubeconfig"
    file.write_bytes(node_plane.kubeconfig.read_bytes())
    file.chmod(0o644)
    return file
