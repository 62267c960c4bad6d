"""Shared fixtures. The clusters are real and started once for a whole run of pytest."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import Api, Operator

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

ROOT = Path(__file__).resolve().parent.parent
_NAMESPACES = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator["ControlPlane"]:
    """etcd, kube-apiserver and controller manager with our CRDs; the audit log is on, as a test's witness."""
    from cluster.controlplane import ControlPlane, ControlPlaneOptions  # noqa: PLC0415 - only where one is needed

    options = ControlPlaneOptions(
        directory=tmp_path_factory.mktemp("plane"), controller_manager=True, audit=True, tied_to_caller=True
    )
    with ControlPlane.start(options) as plane:
        asyncio.run(_install_crds(plane.kubeconfig))
        yield plane


async def _install_crds(kubeconfig: Path) -> None:
    async with Api(kubeconfig) as api:
        await api.install_crds(ROOT / "config" / "crd" / "bases")


@pytest.fixture
async def api(control_plane: "ControlPlane") -> AsyncIterator[Api]:
    """A client with all rights on the control plane."""
    async with Api(control_plane.kubeconfig) as client:
        yield client


@pytest.fixture
async def namespace(api: Api) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_NAMESPACES)}"
    await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture
def start_operator(control_plane: "ControlPlane", tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Start operators as processes of their own; what still runs at the end is killed."""
    started: list[Operator] = []

    def start(*arguments: str, **options: object) -> Operator:
        operator = Operator(
            kubeconfig=control_plane.kubeconfig,
            directory=tmp_path / f"operator-{len(started)}",
            arguments=arguments,
            **options,  # type: ignore[arg-type]  # the keyword arguments of Operator
        )
        started.append(operator)
        return operator

    yield start
    for operator in started:
        operator.dispose()
