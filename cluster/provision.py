"""Writes what a control plane needs on disk before its first process starts. Starts nothing."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from cluster import certificates, components, kubeconfig, network
from cluster.components import Layout, Ports, Settings

_CLUSTER = "echoperator"
_SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


def choose_ports() -> Ports:
    """Ports that are free now."""
    etcd_client, etcd_peer, api_server, controller_manager, scheduler = network.free_ports(5)
    return Ports(
        etcd_client=etcd_client,
        etcd_peer=etcd_peer,
        api_server=api_server,
        controller_manager=controller_manager,
        scheduler=scheduler,
    )


def issue_certificates(layout: Layout, address: str) -> None:
    """Issue what `components.Pki` names; authorities and the service account key are kept if they are there.

    Args:
        layout: The cluster's paths.
        address: The address, besides loopback, that the servers are reached at.
    """
    layout.pki.mkdir(mode=0o700, exist_ok=True)
    addresses = list(dict.fromkeys(["127.0.0.1", address, components.API_SERVICE_ADDRESS]))
    etcd = certificates.Authority.open(layout.pki, "etcd-ca")
    etcd.issue_server("etcd-server", ["localhost"], ["127.0.0.1"])
    etcd.issue_client("etcd-client", "kube-apiserver")
    authority = certificates.Authority.open(layout.pki, "ca")
    authority.issue_server("server", _SERVER_NAMES, addresses)
    authority.issue_client("admin", "kubernetes-admin", ["system:masters"])
    authority.issue_client("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"])
    for component in (components.CONTROLLER_MANAGER, components.SCHEDULER):
        authority.issue_client(component, f"system:{component}")
    certificates.service_account_keys(layout.pki)


def write_configuration(settings: Settings) -> None:
    """Write the kubeconfigs, which hold the port, and the audit policy; make the directories."""
    layout = settings.layout
    layout.logs.mkdir(exist_ok=True)
    layout.etcd_data.mkdir(mode=0o700, exist_ok=True)
    layout.audit_policy.write_text(components.audit_policy())
    pki = components.Pki.at(layout.pki)
    authority = certificates.Authority.open(layout.pki, "ca")
    kubeconfig.write(
        layout.kubeconfig,
        cluster=_CLUSTER,
        server=settings.server,
        authority=authority,
        user="admin",
        client=pki.admin,
    )
    for component in (components.CONTROLLER_MANAGER, components.SCHEDULER):
        issue_kubeconfig(layout, settings.server, component)


def issue_kubeconfig(layout: Layout, server: str, component: str) -> None:
    """Write the kubeconfig of a component whose certificate was issued under its name."""
    kubeconfig.write(
        layout.component_kubeconfig(component),
        cluster=_CLUSTER,
        server=server,
        authority=certificates.Authority.open(layout.pki, "ca"),
        user=component,
        client=components.pair(layout.pki, component),
    )


def issue_user(layout: Layout, server: str, name: str, groups: Sequence[str]) -> Path:
    """Write the kubeconfig of a user with a certificate of its own; returns its path."""
    digest = hashlib.sha256("\0".join([name, *groups]).encode()).hexdigest()[:8]
    base = f"{re.sub(r'[^A-Za-z0-9.-]', '-', name)}-{digest}"
    authority = certificates.Authority.open(layout.pki, "ca")
    return kubeconfig.write(
        layout.users / f"{base}.kubeconfig",
        cluster=_CLUSTER,
        server=server,
        authority=authority,
        user=name,
        client=authority.issue_client(f"user-{base}", name, groups),
    )
