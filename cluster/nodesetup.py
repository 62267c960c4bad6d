"""Writes what a node needs before its first process starts. Starts nothing."""

from collections.abc import Mapping
from pathlib import Path

from cluster import (
    certificates,
    cleanup,
    components,
    containerd,
    iptables,
    kubeconfig,
    machine,
    network,
    nodeconfig,
    packages,
    sysctls,
)
from cluster.controlplane import ControlPlane
from cluster.errors import NodeRefusedError
from cluster.nodeconfig import NODE_NAME, NodePorts, NodeSettings

_SERVING = "node-serving"


def new_record(directory: Path) -> machine.Record:
    """Note how the machine is before anything is changed on it, and choose the node's ports."""
    kubelet, kubelet_health, proxy_health, proxy_metrics = network.free_ports(4)
    return machine.Record(
        directory=directory,
        sysctls=sysctls.read(),
        chains=tuple(iptables.chains()),
        cgroups=tuple(str(top) for top in cleanup.pod_cgroup_roots()),
        absent=cleanup.absent_directories(),
        ports=NodePorts(
            kubelet=kubelet,
            kubelet_health=kubelet_health,
            proxy_health=proxy_health,
            proxy_metrics=proxy_metrics,
        ),
    )


def write(plane: ControlPlane, ports: NodePorts, binaries: Mapping[str, Path]) -> NodeSettings:
    """Issue the node's certificates and write its configuration files."""
    machine.DATA.mkdir(mode=0o711, parents=True, exist_ok=True)
    settings = NodeSettings(
        configuration=plane.layout.node,
        data=machine.DATA,
        run=machine.RUN,
        binaries=binaries,
        socket=containerd.SOCKET,
        containerd=_installed("containerd"),
        runc=_installed("runc"),
        cni_plugins=packages.cni_directory() or Path(),
        snapshotter=containerd.snapshotter(),
        address=plane.settings.address,
        ports=ports,
        authority=plane.layout.pki / "ca.crt",
        serving=components.pair(plane.layout.pki, _SERVING),
    )
    settings.configuration.mkdir(mode=0o700, exist_ok=True)
    _issue(plane, settings)
    for name, text in nodeconfig.files(settings).items():
        path = settings.configuration / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return settings


def _issue(plane: ControlPlane, settings: NodeSettings) -> None:
    authority = certificates.Authority.open(plane.layout.pki, "ca")
    authority.issue_server(_SERVING, [NODE_NAME], [settings.address])
    users = {
        nodeconfig.KUBELET: (f"system:node:{NODE_NAME}", ["system:nodes"]),
        nodeconfig.KUBE_PROXY: (f"system:{nodeconfig.KUBE_PROXY}", []),
    }
    for name, (user, groups) in users.items():
        kubeconfig.write(
            settings.configuration / f"{name}.kubeconfig",
            cluster="echoperator",
            server=plane.server,
            authority=authority,
            user=user,
            client=authority.issue_client(f"node-{name}", user, groups),
        )


def _installed(name: str) -> Path:
    path = packages.command(name)
    if path is None:
        raise NodeRefusedError(f"{name} is not installed.")
    return Path(path)
