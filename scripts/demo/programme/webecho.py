"""examples/webecho. Where its image can't be pulled, it is built here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.demo import httpecho
from scripts.demo.shows import Await, Do, Needs, Objects, Output, Owners, Repair, Show, status
from scripts.demo.targets import Target

__all__ = ["WEBECHO"]

_NAME = "test-echo"
_ECHO = "echo.test.com"
_TEXT = "Hola, 世界! $(id) {{ 6 * 7 }}"
_CHANGE = {"spec": {"text": _TEXT, "replicas": 1}}
_PATH = f"/api/v1/namespaces/demo-webecho/services/{_NAME}:http/proxy/"


def _prepare(target: Target, scratch: Path) -> Mapping[str, str]:
    image = httpecho.given(target, scratch)
    return {"RELATED_IMAGE_WEBECHO": image} if image else {}


def _rolled_out(deployment: dict[str, Any]) -> bool:
    """Whether one Pod is there and it is of the second text."""
    found = deployment.get("status") or {}
    current = found.get("observedGeneration", 0) == deployment.get("metadata", {}).get("generation", 0) > 1
    return bool(current and found.get("updatedReplicas") == found.get("readyReplicas") == found.get("replicas") == 1)


WEBECHO = Show.example(
    "webecho",
    crds=("echoes.test.com",),
    images=("RELATED_IMAGE_WEBECHO",),
    prepare=_prepare,
    steps=(
        Await(
            what="the Service of Echo test-echo, and the status that tells its node port",
            kind=_ECHO,
            name=_NAME,
            until=lambda echo: bool((echo.get("status") or {}).get("nodePort")),
        ),
        Await(
            what="both servers are ready, which the Echo's status says",
            kind=_ECHO,
            name=_NAME,
            until=status(readyReplicas=2),
            needs=Needs.NODE,
        ),
        Output(title="what they answer", arguments=("get", "--raw", _PATH), expected="Hello world\n", needs=Needs.NODE),
        Do(
            title="another text, which looks like commands and templates, and one server less",
            arguments=("patch", _ECHO, _NAME, "--type=merge", f"--patch={json.dumps(_CHANGE)}"),
        ),
        Await(what="the Deployment has rolled out", kind="deployment", name=_NAME, until=_rolled_out, needs=Needs.NODE),
        Output(title="what it answers now", arguments=("get", "--raw", _PATH), expected=f"{_TEXT}\n", needs=Needs.NODE),
        Repair(kind="service", name=_NAME),
        Repair(kind="deployment", name=_NAME),
        Await(
            what="the server is ready again", kind=_ECHO, name=_NAME, until=status(readyReplicas=1), needs=Needs.NODE
        ),
        Objects(
            title="what the operator has made",
            kinds="echoes.test.com,deployments,services,pods",
            conditions_of=(_ECHO, _NAME),
        ),
        Owners(kinds="deployments,replicasets,pods,services", of=((_ECHO, _NAME),)),
    ),
)
