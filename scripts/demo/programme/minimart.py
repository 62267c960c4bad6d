"""examples/minimart. Where its image can't be pulled, an http-echo that is built here stands in for it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster import build, versions
from cluster.errors import ClusterError
from scripts.demo import httpecho
from scripts.demo.errors import DemoError
from scripts.demo.shows import Await, Do, Gone, Needs, Objects, Output, Owners, Repair, Show
from scripts.demo.targets import Target

__all__ = ["MINIMART"]

_NAME = "minimart-sample"
_STAND_IN = {
    "spec": {
        "args": ["-listen=:8002", "-text=I stand in for minimart"],
        "app": {"probes": {"liveness": "/health", "readiness": "/health"}},
    }
}
_PATH = f"/api/v1/namespaces/demo-minimart/services/{_NAME}:http/proxy/minimart-stat"
_AUTOSCALED = {"spec": {"autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 4}}}


def _prepare(target: Target, scratch: Path) -> Mapping[str, str]:
    """Have helm on the operator's PATH, and an image on the node."""
    try:
        helm = build.provide([versions.HELM])["helm"]
    except ClusterError as error:
        raise DemoError(f"no helm: {error}") from error
    image = httpecho.given(target, scratch)
    path = {"PATH": f"{helm.parent}{os.pathsep}{os.environ['PATH']}"}
    return path | ({"RELATED_IMAGE_MINIMART": image} if image else {})


def _at_least(revision: int) -> Any:
    return lambda obj: ((obj.get("status") or {}).get("release") or {}).get("revision", 0) >= revision


MINIMART = Show.example(
    "minimart",
    crds=("minimarts.charts.samutup.com",),
    images=("RELATED_IMAGE_MINIMART",),
    prepare=_prepare,
    steps=(
        Await(
            what="helm has installed the release of Minimart minimart-sample",
            kind="minimart",
            name=_NAME,
            until=_at_least(1),
        ),
        Do(
            title="its image is not to be had here; an http-echo stands in for it",
            arguments=("patch", "minimart", _NAME, "--type=merge", f"--patch={json.dumps(_STAND_IN)}"),
            needs=Needs.NO_REGISTRY,
        ),
        Await(what="helm has upgraded it", kind="minimart", name=_NAME, until=_at_least(2), needs=Needs.NO_REGISTRY),
        Await(
            what="the Pod is ready",
            kind="deployment",
            name=_NAME,
            needs=Needs.NO_REGISTRY,
            until=lambda obj: (obj.get("status") or {}).get("readyReplicas", 0) >= 1,
        ),
        Output(title="what it answers", arguments=("get", "--raw", _PATH), needs=Needs.NO_REGISTRY),
        Do(
            title="the chart's autoscaler is switched on",
            arguments=("patch", "minimart", _NAME, "--type=merge", f"--patch={json.dumps(_AUTOSCALED)}"),
        ),
        Await(what="it is there", kind="horizontalpodautoscaler", name=_NAME),
        Repair(kind="service", name=_NAME),
        Objects(
            title="what helm has made",
            kinds="minimarts,deployments,services,serviceaccounts,configmaps,hpa",
            conditions_of=("minimart", _NAME),
        ),
        Owners(kinds="deployments,services,serviceaccounts,configmaps,hpa", of=(("minimart", _NAME),)),
        Do(
            title="the Minimart is deleted, and its release uninstalled before it goes",
            arguments=("delete", "minimart", _NAME),
        ),
        Gone(kind="deployment", name=_NAME),
        Objects(title="what is left of it", kinds="deployments,services,serviceaccounts,configmaps,hpa"),
    ),
)
