"""The operator as the manifests have it: as its service account, with its flags; and what it asked of the API server."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from harness import ROOT, Api, Operator, kubectl
from manifests import Right, one
from runner.objects import Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

__all__ = [
    "ACCOUNT",
    "SYSTEM",
    "USER",
    "Asked",
    "account_kubeconfig",
    "allowed",
    "asked_by",
    "operating",
    "rights_given",
]

SYSTEM = "echoperator-system"
ACCOUNT = "echoperator-controller-manager"
USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
_RBAC_KINDS = {"Namespace", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of the operator, as the audit log tells of it."""

    right: Right
    uri: str
    allowed: bool


def asked_by(user: str, log: Path, start: int) -> list[Asked]:
    """A user's requests for resources, from a byte offset of the audit log on."""
    with log.open("rb") as file:
        file.seek(start)
        events = [json.loads(line) for line in file if line.endswith(b"\n")]  # the last may be half written
    return [
        Asked(
            right=_right_of(event["verb"], event["objectRef"]),
            uri=event["requestURI"],
            allowed=event["annotations"]["authorization.k8s.io/decision"] == "allow",
        )
        for event in events
        if event["user"]["username"] == user and event.get("objectRef")
    ]


def _right_of(verb: str, target: Raw) -> Right:
    subresource = f"/{target['subresource']}" if target.get("subresource") else ""
    return Right(target.get("apiGroup", ""), target["resource"] + subresource, verb)


@contextmanager
def rights_given(plane: "ControlPlane", objects: Sequence[Raw]) -> Iterator[None]:
    """Namespace, service account, roles and bindings among these objects. The rights are taken away in the end."""
    needed = [obj for obj in objects if obj["kind"] in _RBAC_KINDS]
    kubectl(plane, "apply", "--server-side", "-f", "-", given=yaml.safe_dump_all(needed))
    try:
        yield
    finally:
        # A namespace takes its time to go, and without rights there is nobody in it.
        bindings = [obj for obj in needed if obj["kind"].endswith("Binding")]
        kubectl(plane, "delete", "--ignore-not-found", "-f", "-", given=yaml.safe_dump_all(bindings))


@contextmanager
def operating(
    plane: "ControlPlane",
    objects: Sequence[Raw],
    directory: Path,
    *,
    namespace: str = SYSTEM,
    project: Path = ROOT,
) -> Iterator[Operator]:
    """The operator as a Deployment among these objects has it, but for the addresses it listens on."""
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {entry["name"]: entry["value"] for entry in container.get("env", [])}
    for source in container.get("envFrom", []):
        environment |= one(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    directory.mkdir(exist_ok=True)
    operator = Operator(
        kubeconfig=account_kubeconfig(plane, namespace, pod["serviceAccountName"], directory),
        directory=directory / "operator",
        arguments=[argument for argument in container["args"] if "-bind-address=" not in argument],
        environment=environment,
        project=project,
    )
    try:
        yield operator.wait_ready()
    finally:
        operator.dispose()


def account_kubeconfig(plane: "ControlPlane", namespace: str, account: str, directory: Path) -> Path:
    """A kubeconfig for a service account, in its namespace."""
    asked = [plane.kubectl, f"--kubeconfig={plane.kubeconfig}", "create", "token", account, f"--namespace={namespace}"]
    token = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    settings = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
    settings["users"] = [{"name": entry["name"], "user": {"token": token}} for entry in settings["users"]]
    for entry in settings["contexts"]:
        entry["context"]["namespace"] = namespace
    file = directory / f"{account}.kubeconfig"
    file.write_text(json.dumps(settings), encoding="utf-8")
    return file


async def allowed(api: Api, user: str, namespace: str, verb: str, resource: str) -> bool:
    attributes = {"group": "mmontes.io", "resource": resource, "verb": verb, "namespace": namespace}
    body: Raw = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    answer = await api.client.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body=body)
    return bool(answer["status"]["allowed"])
