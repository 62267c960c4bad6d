"""Projects of operators on a cluster: their manifests, their service account, and the operators of examples/.

All by kubectl, because the fixtures that need it run once for many tests and outside of any event loop.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from harness import ROOT, Operator, install, kubectl
from runner.objects import GroupVersionKind, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

__all__ = [
    "ACCESS",
    "EXAMPLES",
    "FOO",
    "MEMCACHED",
    "MEMCACHED_PROJECT",
    "MINIMART",
    "PRINTER",
    "PROBE",
    "TENANT",
    "WEB_ECHO",
    "Cluster",
    "memcached_operator",
    "project_operator",
    "resource",
]

EXAMPLES = ROOT / "examples"
MEMCACHED_PROJECT = EXAMPLES / "memcached"
MEMCACHED, TENANT, ACCESS, PROBE = (
    GroupVersionKind("cache.example.com", "v1alpha1", kind) for kind in ("Memcached", "Tenant", "Access", "Probe")
)
FOO = GroupVersionKind("example.com", "v1beta1", "Foo")
MINIMART = GroupVersionKind("charts.samutup.com", "v1alpha1", "Minimart")
PRINTER = GroupVersionKind("cadumillani.com.br", "v1", "Printer")
WEB_ECHO = GroupVersionKind("test.com", "v1", "Echo")


@dataclass(frozen=True, slots=True)
class Cluster:
    """What people do with kubectl."""

    plane: "ControlPlane"

    def kubectl(self, *arguments: str, given: str = "") -> str:
        return kubectl(self.plane, *arguments, given=given)

    def apply(self, *arguments: str) -> None:
        self.kubectl("apply", "--server-side", *arguments)

    def install(self, kustomization: Path) -> None:
        install(self.plane, kustomization)

    def uninstall(self, kustomization: Path) -> None:
        """Waits: a kind that goes while the next operator comes would be taken from under it."""
        self.kubectl("delete", "-k", str(kustomization), "--timeout=60s")

    def namespace(self, name: str, *, restricted: bool = False) -> None:
        """Have a namespace with the account that Pods need to get in; `restricted`: and strict Pod Security."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"} if restricted else {}
        manifest: Raw = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self.kubectl("apply", "--server-side", "-f", "-", given=json.dumps(manifest))
        self.kubectl("wait", "--for=create", "serviceaccount/default", f"--namespace={name}", "--timeout=60s")

    def as_account(self, namespace: str, account: str, directory: Path) -> Path:
        """A kubeconfig with that service account's rights and no more."""
        token = self.kubectl("create", "token", account, f"--namespace={namespace}").strip()
        settings: dict[str, Any] = yaml.safe_load(self.plane.kubeconfig.read_text(encoding="utf-8"))
        settings["users"] = [{"name": entry["name"], "user": {"token": token}} for entry in settings["users"]]
        file = directory / f"{account}.kubeconfig"
        file.write_text(json.dumps(settings), encoding="utf-8")
        return file


@contextmanager
def project_operator(
    plane: "ControlPlane",
    directory: Path,
    project: Path,
    *,
    arguments: tuple[str, ...] = ("--strict",),
    environment: dict[str, str] | None = None,
) -> Iterator[Operator]:
    """The operator of a project with `config/crd` and `config/rbac`, with no other rights than that RBAC gives.

    Its account is `<name>-operator` in the namespace `<name>-system`; the name is the directory's.
    """
    cluster = Cluster(plane)
    cluster.install(project / "config" / "crd")
    cluster.namespace(f"{project.name}-system")
    cluster.apply("-k", str(project / "config" / "rbac"))
    running = Operator(
        kubeconfig=cluster.as_account(f"{project.name}-system", f"{project.name}-operator", directory),
        directory=directory / "operator",
        project=project,
        arguments=arguments,
        environment=environment or {},
    )
    try:
        yield running.wait_ready()
    finally:
        running.dispose()
        cluster.kubectl("delete", "-k", str(project / "config" / "rbac"), "--wait=false")
        cluster.uninstall(project / "config" / "crd")


@contextmanager
def memcached_operator(
    plane: "ControlPlane", directory: Path, environment: dict[str, str] | None = None
) -> Iterator[Operator]:
    """The operator of `examples/memcached`; its arguments and variables are those that its Dockerfile and README tell."""
    password = directory / "vault-password"
    password.write_text("example\n", encoding="utf-8")
    # The quotes are part of the argument, as they are where people copied them into a Deployment.
    arguments = ("--strict", f"--ansible-args='--vault-password-file {password}'")
    own = {
        "ANSIBLE_INVENTORY": str(MEMCACHED_PROJECT / "inventory"),
        "ANSIBLE_COLLECTIONS_PATH": str(MEMCACHED_PROJECT / "collections"),
    }
    with project_operator(
        plane, directory, MEMCACHED_PROJECT, arguments=arguments, environment=own | (environment or {})
    ) as running:
        yield running
        # The operator has to let them go; then they can't be in the way of the next one.
        Cluster(plane).kubectl("delete", "tenants", "--all", "--all-namespaces", "--timeout=60s")


def resource(kind: GroupVersionKind, name: str, namespace: str, **spec: Any) -> Raw:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
