"""Shared fixtures. The clusters are real and started once for a whole run of pytest."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import sharing
from harness import ROOT, Api, Operator, install_crds

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling

    from cluster.controlplane import ControlPlane

_NAMESPACES = itertools.count(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "Scheduling":
    return sharing.scheduler(config, log)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator["ControlPlane"]:
    """etcd, kube-apiserver and controller manager with our CRDs; the audit log is on, as a test's witness."""
    from cluster.controlplane import ControlPlane, ControlPlaneOptions  # noqa: PLC0415 - only where one is needed

    options = ControlPlaneOptions(
        directory=tmp_path_factory.mktemp("plane"), controller_manager=True, audit=True, tied_to_caller=True
    )
    with ControlPlane.start(options) as plane:
        install_crds(plane)
        yield plane


@pytest.fixture(scope="session")
def helm() -> Path:
    """The machine's where it fits, else our own, built if it is missing."""
    from cluster import build, versions  # noqa: PLC0415 - only where one is needed

    return build.provide([versions.HELM])["helm"]


@pytest.fixture
async def api(control_plane: "ControlPlane") -> AsyncIterator[Api]:
    """A client with all rights on the control plane."""
    async with Api(control_plane.kubeconfig) as client:
        yield client


@pytest.fixture
async def namespace(api: Api) -> AsyncIterator[str]:
    """A namespace of the test's own; its resources go with the test, or the next operator would begin with them."""
    name = f"test-{next(_NAMESPACES)}"
    await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await api.clear(name)


@pytest.fixture(scope="module")
def operator(control_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """One operator for all tests of a module that do it no harm."""
    running = Operator(
        kubeconfig=control_plane.kubeconfig,
        directory=tmp_path_factory.mktemp("shared") / "operator",
        arguments=("--strict",),
    )
    try:
        yield running.wait_ready()
    finally:
        running.dispose()


@pytest.fixture
def start_operator(control_plane: "ControlPlane", tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Start operators as processes of their own; what still runs at the end is killed."""
    started: list[Operator] = []

    def start(*arguments: str, kubeconfig: Path = control_plane.kubeconfig, project: Path = ROOT) -> Operator:
        directory = tmp_path / f"operator-{len(started)}"
        operator = Operator(kubeconfig=kubeconfig, directory=directory, arguments=arguments, project=project)
        started.append(operator)
        return operator

    yield start
    for operator in started:
        operator.dispose()
