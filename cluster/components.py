"""The control plane's command lines and where its files stand. Pure: values in, values out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.certificates import Pair

SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
POD_NETWORK = "10.244.0.0/24"

ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"


_ANY = "0.0.0.0"  # noqa: S104 - Pods reach the API server at the machine's address, its users at loopback


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below a cluster's directory."""

    directory: Path

    @property
    def pki(self) -> Path:
        return self.directory / "pki"

    @property
    def etcd_data(self) -> Path:
        return self.directory / "etcd"

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    @property
    def audit_policy(self) -> Path:
        return self.directory / "audit-policy.json"

    @property
    def state(self) -> Path:
        return self.directory / "state.json"

    @property
    def users(self) -> Path:
        return self.directory / "users"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def node(self) -> Path:
        return self.directory / "node"

    @property
    def lock(self) -> Path:
        """Held while the cluster is started; that it exists says that the directory is a cluster's."""
        return self.directory / ".cluster-lock"

    def log(self, component: str) -> Path:
        return self.logs / f"{component}.log"

    def component_kubeconfig(self, component: str) -> Path:
        return self.directory / "components" / f"{component}.kubeconfig"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The TCP ports of one control plane."""

    etcd_client: int
    etcd_peer: int
    api_server: int
    controller_manager: int
    scheduler: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pki:
    """The certificates that the command lines name."""

    authority: Pair
    etcd_authority: Pair
    server: Pair
    etcd_server: Pair
    etcd_client: Pair
    kubelet_client: Pair
    admin: Pair
    service_accounts: Pair

    @classmethod
    def at(cls, pki: Path) -> "Pki":
        """The certificates by the names that `controlplane` issues them under."""
        return cls(
            authority=pair(pki, "ca"),
            etcd_authority=pair(pki, "etcd-ca"),
            server=pair(pki, "server"),
            etcd_server=pair(pki, "etcd-server"),
            etcd_client=pair(pki, "etcd-client"),
            kubelet_client=pair(pki, "apiserver-kubelet-client"),
            admin=pair(pki, "admin"),
            service_accounts=Pair(certificate=pki / "service-accounts.pub", key=pki / "service-accounts.key"),
        )


def pair(pki: Path, name: str) -> Pair:
    """The certificate and key that were issued as `name`."""
    return Pair(certificate=pki / f"{name}.crt", key=pki / f"{name}.key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Where a component says over HTTPS that it works."""

    port: int
    path: str
    authority: Path
    client: Pair | None
    """`None`: the path needs no authentication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One process: how it is started, how it says that it works, how long it may take to stop."""

    name: str
    arguments: tuple[str, ...]
    ports: tuple[int, ...]
    health: Health
    stop_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the command lines depend on."""

    layout: Layout
    ports: Ports
    binaries: Mapping[str, Path]
    address: str
    """The address the API server advertises; 127.0.0.1 unless Pods must reach it."""
    durable: bool
    audit: bool
    controller_manager: bool
    scheduler: bool

    @property
    def reachable(self) -> bool:
        return self.address != "127.0.0.1"

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.ports.api_server}"


def plan(settings: Settings) -> tuple[Component, ...]:
    """The components in the order they are started; they are stopped in the reverse one."""
    return (
        _etcd(settings),
        _api_server(settings),
        *([_controller_manager(settings)] if settings.controller_manager else []),
        *([_scheduler(settings)] if settings.scheduler else []),
    )


def audit_policy() -> str:
    """What the audit log records, as JSON: whole requests where tests read them, only who and what elsewhere."""
    whole = [
        {"group": "coordination.k8s.io", "resources": ["leases"]},
        {"group": "batch", "resources": ["jobs", "cronjobs"]},
        {"group": "mmontes.io"},
    ]
    return json.dumps(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "RequestResponse", "resources": whole}, {"level": "Metadata"}],
        },
        indent=2,
    )


def _etcd(settings: Settings) -> Component:
    pki = Pki.at(settings.layout.pki)
    client = f"https://127.0.0.1:{settings.ports.etcd_client}"
    peer = f"https://127.0.0.1:{settings.ports.etcd_peer}"
    arguments = [
        str(settings.binaries[ETCD]),
        "--name=default",
        f"--data-dir={settings.layout.etcd_data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        f"--cert-file={pki.etcd_server.certificate}",
        f"--key-file={pki.etcd_server.key}",
        f"--trusted-ca-file={pki.etcd_authority.certificate}",
        "--client-cert-auth",
        f"--peer-cert-file={pki.etcd_server.certificate}",
        f"--peer-key-file={pki.etcd_server.key}",
        f"--peer-trusted-ca-file={pki.etcd_authority.certificate}",
        "--peer-client-cert-auth",
        "--log-level=warn",
    ]
    if not settings.durable:
        arguments.append("--unsafe-no-fsync")
    return Component(
        name=ETCD,
        arguments=tuple(arguments),
        ports=(settings.ports.etcd_client, settings.ports.etcd_peer),
        health=Health(
            port=settings.ports.etcd_client,
            path="/health",
            authority=pki.etcd_authority.certificate,
            client=pki.etcd_client,
        ),
        stop_timeout_s=2.0,
    )


def _api_server(settings: Settings) -> Component:
    pki = Pki.at(settings.layout.pki)
    arguments = [
        str(settings.binaries[API_SERVER]),
        f"--etcd-servers=https://127.0.0.1:{settings.ports.etcd_client}",
        f"--etcd-cafile={pki.etcd_authority.certificate}",
        f"--etcd-certfile={pki.etcd_client.certificate}",
        f"--etcd-keyfile={pki.etcd_client.key}",
        f"--bind-address={_ANY if settings.reachable else '127.0.0.1'}",
        f"--advertise-address={settings.address}",
        f"--secure-port={settings.ports.api_server}",
        f"--client-ca-file={pki.authority.certificate}",
        f"--tls-cert-file={pki.server.certificate}",
        f"--tls-private-key-file={pki.server.key}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki.service_accounts.certificate}",
        f"--service-account-signing-key-file={pki.service_accounts.key}",
        f"--kubelet-certificate-authority={pki.authority.certificate}",
        f"--kubelet-client-certificate={pki.kubelet_client.certificate}",
        f"--kubelet-client-key={pki.kubelet_client.key}",
        # Otherwise "kubectl logs" would try to resolve the node's name.
        "--kubelet-preferred-address-types=InternalIP",
    ]
    if not settings.reachable:
        # Endpoints may not hold a loopback address, and no Pod is there to use them.
        arguments.append("--endpoint-reconciler-type=none")
    if settings.audit:
        arguments += [
            f"--audit-policy-file={settings.layout.audit_policy}",
            f"--audit-log-path={settings.layout.audit_log}",
            "--audit-log-maxsize=10000",  # megabytes: a reader wants one file
        ]
    return Component(
        name=API_SERVER,
        arguments=tuple(arguments),
        ports=(settings.ports.api_server,),
        health=Health(
            port=settings.ports.api_server,
            path="/readyz",
            authority=pki.authority.certificate,
            client=pki.admin,
        ),
        # It stops listening at once and then waits a minute for open watches; nothing is lost by not waiting.
        stop_timeout_s=3.0,
    )


def _controller_manager(settings: Settings) -> Component:
    pki = Pki.at(settings.layout.pki)
    return _controller(
        settings,
        CONTROLLER_MANAGER,
        settings.ports.controller_manager,
        [
            "--use-service-account-credentials",
            f"--service-account-private-key-file={pki.service_accounts.key}",
            f"--root-ca-file={pki.authority.certificate}",
            f"--cluster-signing-cert-file={pki.authority.certificate}",
            f"--cluster-signing-key-file={pki.authority.key}",
        ],
    )


def _scheduler(settings: Settings) -> Component:
    return _controller(settings, SCHEDULER, settings.ports.scheduler, [])


def _controller(settings: Settings, name: str, port: int, own: list[str]) -> Component:
    pki = Pki.at(settings.layout.pki)
    kubeconfig = settings.layout.component_kubeconfig(name)
    arguments = [
        str(settings.binaries[name]),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={pki.server.certificate}",
        f"--tls-private-key-file={pki.server.key}",
        *own,
    ]
    return Component(
        name=name,
        arguments=tuple(arguments),
        ports=(port,),
        health=Health(port=port, path="/healthz", authority=pki.authority.certificate, client=None),
        stop_timeout_s=2.0,
    )
