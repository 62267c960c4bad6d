"""A real node for a control plane: containerd, kubelet and kube-proxy on this machine, for root only.

One at a time on a machine. `start` returns when the Node is Ready, or puts everything back; `stop` kills what runs
in Pods without grace and leaves no process, mount, link, packet filter chain or changed kernel setting behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster import (
    build,
    cleanup,
    containerd,
    health,
    machine,
    nodecheck,
    nodeconfig,
    nodesetup,
    packages,
    processes,
    supervision,
    sysctls,
    versions,
)
from cluster import images as image_files
from cluster.components import Layout
from cluster.controlplane import ControlPlane
from cluster.errors import NodeRefusedError
from cluster.nodeconfig import NODE_NAME
from cluster.progress import Progress
from cluster.supervision import ComponentStatus

__all__ = ["Node"]


class Node:
    """The machine's node; also a context manager that stops it."""

    def __init__(self, plane_directory: Path) -> None:
        """For `start` and `attach`; starts nothing."""
        self._directory = plane_directory

    @staticmethod
    def supported() -> str | None:
        """Say in a sentence why a node can't run here.

        Returns:
            `None`: it can.
        """
        return nodecheck.refusal()

    @staticmethod
    def prepare(progress: Progress) -> None:
        """List what a node changes on the machine, ask on a terminal, and install the missing packages.

        Raises:
            errors.DeclinedError: The person at the terminal said no.
            errors.InstallFailedError: A package could not be installed.
        """
        nodecheck.prepare(progress)

    @classmethod
    def start(
        cls,
        plane: ControlPlane,
        images: Sequence[Path] = (),
        progress: Progress | None = None,
        *,
        agreed: bool = False,
    ) -> Self:
        """Start the node of `plane` and load images into it; returns when Pods can be run.

        Installs missing Debian packages and sets kernel settings, after listing both; on a terminal it asks.

        Args:
            plane: A control plane started with `reachable_from_pods`.
            images: docker-archive or oci-archive tars.
            progress: Where to say what is done.
            agreed: `prepare` has been called already.

        Raises:
            errors.NodeRefusedError: No node is possible here and now.
            errors.DeclinedError: The person at the terminal said no.
            errors.InstallFailedError: A package could not be installed.
            errors.ComponentFailed: A program did not start.
            errors.ImportFailedError: An image could not be loaded.
        """
        progress = progress or Progress()
        if not plane.settings.reachable:
            raise NodeRefusedError("The control plane listens on loopback only (reachable_from_pods is off).")
        if (reason := cls.supported()) is not None:
            raise NodeRefusedError(reason)
        binaries = build.provide(versions.node_programs(plane.release), progress)
        if not agreed:
            cls.prepare(progress)
        node = cls(plane.directory)
        with machine.locked():
            if (reason := nodecheck.occupied()) is not None:
                raise NodeRefusedError(reason)
            leftover = machine.read()
            if leftover is not None:
                cleanup.node(leftover)
            record = nodesetup.new_record(plane.directory)
            machine.write(record)
            try:
                node._bring_up(plane, binaries, images)
            except BaseException:
                cleanup.node(machine.read() or record)
                raise
        return node

    @classmethod
    def attach(cls, plane_directory: Path) -> Self | None:
        """The node that runs, or was left unclean, for the control plane in this directory.

        Returns:
            `None`: there is none.
        """
        record = machine.read()
        if record is None or record.directory != plane_directory.resolve():
            return None
        return cls(record.directory)

    @classmethod
    def of(cls, kubeconfig: Path) -> Self | None:
        """The machine's node, where it is one of the cluster that this kubeconfig leads to.

        Returns:
            `None`: the file is another one, such as of a cluster elsewhere, or there is no node.
        """
        record = machine.read()
        if record is None or not record.alive() or Layout(record.directory).kubeconfig != kubeconfig.resolve():
            return None
        return cls(record.directory)

    @property
    def directory(self) -> Path:
        """The directory of the control plane it belongs to."""
        return self._directory

    def load_image(self, tar: Path) -> None:
        """Give the node the images in a docker-archive or oci-archive.

        Raises:
            errors.ImportFailedError: containerd did not take it.
        """
        containerd.load(tar)

    def images(self) -> Mapping[str, str]:
        """The digest of each image's manifest, by the image's name."""
        return containerd.images()

    def status(self) -> list[ComponentStatus]:
        """How each program of the node is now."""
        record = machine.read()
        if record is None:
            return []
        return [_status_of(name, record) for name in record.running]

    def stop(self) -> None:
        """Stop the node and put the machine back as it was. A second call does nothing."""
        with machine.locked():
            record = machine.read()
            if record is not None and record.directory == self._directory:
                cleanup.node(record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bring_up(self, plane: ControlPlane, binaries: Mapping[str, Path], tars: Sequence[Path]) -> None:
        settings = nodesetup.write(plane, _current().ports, binaries)
        sysctls.apply()
        commands = nodeconfig.commands(settings)
        self._spawn(plane, nodeconfig.CONTAINERD, commands)
        pause = image_files.build_pause(settings.configuration / "pause.tar")
        self._await(plane, nodeconfig.CONTAINERD)
        containerd.load(pause)
        # One that an earlier kubelet left would say Ready before ours does.
        plane.delete(f"/api/v1/nodes/{NODE_NAME}")
        self._spawn(plane, nodeconfig.KUBELET, commands)
        self._spawn(plane, nodeconfig.KUBE_PROXY, commands)
        for tar in tars:
            containerd.load(tar)
        self._await(plane, nodeconfig.KUBE_PROXY)
        self._await(plane, nodeconfig.KUBELET)
        machine.write(replace(_current(), complete=True))

    def _spawn(self, plane: ControlPlane, name: str, commands: Mapping[str, list[str]]) -> None:
        mark = plane.layout.node
        process = processes.spawn(
            commands[name],
            log=plane.layout.log(name),
            env={"PATH": packages.SEARCH_PATH, "HOME": str(mark), processes.MARKER: str(mark)},
            cwd=mark,
            tied=plane.tied_to_caller,
        )
        machine.write(_current().with_running(name, process))

    def _await(self, plane: ControlPlane, name: str) -> None:
        record = _current()

        def ready() -> bool:
            return _healthy(name, record) and (name != nodeconfig.KUBELET or _ready_for_pods(plane))

        supervision.await_ready(name, record.running[name].process, plane.layout.log(name), ready)


def _current() -> machine.Record:
    record = machine.read()
    if record is None:
        raise NodeRefusedError("The node's record has been removed.")
    return record


def _ready_for_pods(plane: ControlPlane) -> bool:
    """Say whether the Node is Ready and the account that Pods run as by default is there."""
    conditions = (plane.read(f"/api/v1/nodes/{NODE_NAME}") or {}).get("status", {}).get("conditions", [])
    return (
        any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
        and plane.read("/api/v1/namespaces/default/serviceaccounts/default") is not None
    )


def _healthy(name: str, record: machine.Record) -> bool:
    if name == nodeconfig.KUBELET:
        return health.healthy_plain(record.ports.kubelet_health)
    if name == nodeconfig.KUBE_PROXY:
        return health.healthy_plain(record.ports.proxy_health)
    return containerd.answers()


def _status_of(name: str, record: machine.Record) -> ComponentStatus:
    ports = {nodeconfig.KUBELET: record.ports.kubelet, nodeconfig.KUBE_PROXY: record.ports.proxy_health}
    return ComponentStatus.of(name, record.running[name], ports.get(name, 0), lambda: _healthy(name, record))
