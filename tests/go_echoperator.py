"""What the Go echoperator leaves behind: a release of its chart, children of its Echoes, its Lease."""

from datetime import UTC, datetime

from harness import ROOT
from runner.leader.lease import micro_time
from runner.objects import Raw

__all__ = ["OLD_CHART", "child_of", "held_lease", "lease_spec"]

OLD_CHART = ROOT / "molecule" / "upgrade" / "echoperator"
"""A chart whose release has what ties us of the Go echoperator's. Its Pods are stand-ins: where there is a node, the values
name an image of that node which has a shell."""


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
