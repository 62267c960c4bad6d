"""What the Go echoperator leaves behind: a release of its chart, children of its Echoes, its Lease."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml

from runner.leader.lease import micro_time
from runner.objects import Raw

__all__ = ["child_of", "held_lease", "lease_spec", "old_chart"]


def old_chart(directory: Path, *, image: str = "x", command: Sequence[str] = ()) -> Path:
    """A chart whose release has what ties us of the Go echoperator's: kinds, names, selector, roleRef, definitions.

    Args:
        directory: Where it goes.
        image: Of the Deployment.
        command: What its Pods run; empty: what the image says.
    """
    full = "{{ .Release.Name }}-echoperator"
    selector = {"app.kubernetes.io/name": "echoperator", "app.kubernetes.io/instance": "{{ .Release.Name }}"}
    rbac = "rbac.authorization.k8s.io"
    container: Raw = {"name": full, "image": image, "envFrom": [{"configMapRef": {"name": full}}]}
    if command:
        container["command"] = list(command)
    account = {"kind": "ServiceAccount", "name": full, "namespace": "{{ .Release.Namespace }}"}
    pod = {"metadata": {"labels": selector}, "spec": {"serviceAccountName": full, "containers": [container]}}
    objects = [
        _object("v1", "ServiceAccount", full),
        _object("v1", "ConfigMap", full, data={"HA_LEASE_LOCK_NAME": full}),
        _object(f"{rbac}/v1", "ClusterRole", full, rules=_rules()),
        _object(
            f"{rbac}/v1",
            "ClusterRoleBinding",
            full,
            roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": full},
            subjects=[account],
        ),
        _object(
            "v1",
            "Service",
            f"{full}-metrics",
            spec={"ports": [{"name": "metrics", "port": 2112}], "selector": selector},
        ),
        _object(
            "apps/v1",
            "Deployment",
            full,
            spec={"replicas": 3, "selector": {"matchLabels": selector}, "template": pod},
        ),
    ]
    definitions = [_bare_definition("Echo", "ec", ["message"])]
    definitions.append(_bare_definition("ScheduledEcho", "sec", ["message", "schedule"]))
    for name, content in {
        "Chart.yaml": [{"apiVersion": "v2", "name": "echoperator", "version": "0.0.2", "appVersion": "v0.0.4"}],
        "values.yaml": [{"image": {"repository": "x/mmontes11/echoperator", "tag": ""}, "numWorkers": 4}],
        "templates/all.yaml": objects,
        "crds/all.yaml": definitions,
    }.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump_all(content), encoding="utf-8")
    return directory


def _rules() -> list[Raw]:
    """What it may do, in all namespaces. A Pod of ours that a rollback ends can release the Lease by these."""
    reads = ["get", "list", "watch"]
    rights = [
        ("mmontes.io", ["echos", "scheduledechos"], reads),
        ("batch", ["jobs"], [*reads, "create"]),
        ("batch", ["cronjobs"], [*reads, "create", "update"]),
        ("coordination.k8s.io", ["leases"], ["get", "watch", "create", "update"]),
    ]
    return [{"apiGroups": [group], "resources": resources, "verbs": verbs} for group, resources, verbs in rights]


def _object(api_version: str, kind: str, name: str, **rest: object) -> Raw:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}


def _bare_definition(kind: str, short: str, required: list[str]) -> Raw:
    """A definition without a status, as the Go echoperator's are."""
    plural = f"{kind.lower()}s"
    spec = {"type": "object", "properties": {name: {"type": "string"} for name in required}, "required": required}
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower(), "shortNames": [short]}
    return _object(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        f"{plural}.mmontes.io",
        spec={"group": "mmontes.io", "names": names, "scope": "Namespaced", "versions": [version]},
    )


def child_of(owner: Raw, *, image: str = "busybox:1.33.1") -> Raw:
    """The Job or CronJob that it makes of an Echo or ScheduledEcho."""
    name, message = owner["metadata"]["name"], owner["spec"]["message"]
    reference = {"apiVersion": "mmontes.io/v1alpha1", "kind": owner["kind"], "name": name}
    reference |= {"uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
    container = {"name": name, "image": image, "command": ["echo", message]}
    container |= {"imagePullPolicy": "IfNotPresent"}
    job: Raw = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    metadata = {"name": name, "namespace": owner["metadata"]["namespace"], "ownerReferences": [reference]}
    if owner["kind"] == "Echo":
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": job}
    spec = {"schedule": owner["spec"]["schedule"], "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": job}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


def held_lease(name: str, namespace: str, holder: str = "old-0") -> Raw:
    """A Lease that one of its replicas holds, for ten minutes at least."""
    metadata = {"name": name, "namespace": namespace}
    spec = lease_spec(holder)
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def lease_spec(holder: str) -> Raw:
    """As client-go writes it; an empty holder has released it."""
    now = micro_time(datetime.now(UTC))
    duration_s = 600 if holder else 1
    return {"holderIdentity": holder, "leaseDurationSeconds": duration_s, "acquireTime": now, "renewTime": now}
