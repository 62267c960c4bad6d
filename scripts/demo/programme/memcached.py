"""examples/memcached. Where its image can't be pulled, something that listens stands in for it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.demo.shows import Await, Do, Needs, Objects, Output, Owners, Repair, Show
from scripts.demo.targets import ROOT, Target

__all__ = ["MEMCACHED"]

_PROJECT = ROOT / "examples" / "memcached"
_STAND_IN = {"spec": {"command": ["sh", "-c", "echo listening; exec httpd -f -p 11211"]}}
_COMMAND = {"spec": {"command": "echo I stand in for memcached"}}
_PATIENCE = {"spec": {"tries": 100}}


def _prepare(_target: Target, scratch: Path) -> Mapping[str, str]:
    """What the example's README has people do before they start it."""
    password = scratch / "vault-password"
    password.write_text("example\n", encoding="utf-8")
    return {
        "ANSIBLE_VAULT_PASSWORD_FILE": str(password),
        "ANSIBLE_INVENTORY": str(_PROJECT / "inventory"),
        "ANSIBLE_COLLECTIONS_PATH": str(_PROJECT / "collections"),
    }


def _ready(deployment: dict[str, Any]) -> bool:
    return bool((deployment.get("status") or {}).get("readyReplicas", 0) == 2)


def _answered(probe: dict[str, Any]) -> bool:
    return "stdout" in (probe.get("status") or {})


MEMCACHED = Show.example(
    "memcached",
    crds=(
        "memcacheds.cache.example.com",
        "tenants.cache.example.com",
        "accesses.cache.example.com",
        "probes.cache.example.com",
    ),
    images=("RELATED_IMAGE_MEMCACHED",),
    prepare=_prepare,
    steps=(
        Do(
            title="there is no memcached here; something that listens on its port stands in for it",
            arguments=("patch", "memcached", "sessions", "--type=merge", f"--patch={json.dumps(_STAND_IN)}"),
            needs=Needs.NO_REGISTRY,
        ),
        Do(
            title="the Probe asks it something else",
            arguments=("patch", "probe", "sessions", "--type=merge", f"--patch={json.dumps(_COMMAND)}"),
            needs=Needs.NO_REGISTRY,
        ),
        Do(
            title="the Probe is patient enough for an image to be pulled",
            arguments=("patch", "probe", "sessions", "--type=merge", f"--patch={json.dumps(_PATIENCE)}"),
        ),
        Await(what="the Deployment of Memcached sessions", kind="deployment", name="sessions"),
        Await(what="both of its Pods are ready", kind="deployment", name="sessions", until=_ready, needs=Needs.NODE),
        Await(what="the answer to Probe sessions", kind="probe", name="sessions", until=_answered, needs=Needs.NODE),
        Output(
            title="what the Probe was answered",
            arguments=("get", "probe", "sessions", "--output=jsonpath={.status.stdout}"),
            needs=Needs.NODE,
        ),
        Await(what="the Secret that lets the shop in", kind="secret", name="sessions-shop"),
        Repair(kind="service", name="sessions"),
        Objects(
            title="what the operator has made",
            kinds="deployments,services,configmaps,secrets",
            conditions_of=("memcached", "sessions"),
        ),
        Owners(
            kinds="deployments,services,configmaps,secrets",
            of=(("memcached", "sessions"), ("access", "sessions")),
        ),
    ),
)
