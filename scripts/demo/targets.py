"""The clusters that a demo can work on: an embedded one, a kind cluster, or the current kubeconfig context's."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.demo.errors import DemoError
from scripts.demo.screen import say

__all__ = ["ROOT", "Target", "target"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The cluster that the demo works on."""

    kubeconfig: str
    kubectl: str
    image: str | None
    """The image that its node has, a busybox, because it can pull none. `None`: it can pull."""
    node: bool
    no_node_because: str = ""
    namespace: str = "default"
    """Where kubectl looks; the show's."""

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run kubectl and return what it prints."""
        command = [self.kubectl, f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if check and done.returncode:
            raise DemoError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """One object, or an empty mapping."""
        text = self.run("get", *arguments, "-o", "json", "--ignore-not-found")
        found: dict[str, Any] = json.loads(text) if text.strip() else {}
        return found


@contextlib.contextmanager
def target(kind: str, consequences: str) -> Iterator[Target]:
    """The cluster of a kind; one that is started for this is stopped at the end.

    Args:
        kind: `embedded`, `kind` or `current`.
        consequences: What is going to happen to the cluster, for the question before a cluster of the user's is used.

    Raises:
        DemoError: it can't be had, or the user wants none of it.
    """
    if kind == "current":
        yield _current(consequences)
        return
    say("a kind cluster on this machine" if kind == "kind" else "a real Kubernetes on this machine")
    command = [sys.executable, "-m", "cluster.kind" if kind == "kind" else "cluster"]
    started = subprocess.run([*command, "up", "--json"], stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    if started.returncode:
        raise DemoError(f"the {kind} cluster did not start; see above")
    facts = json.loads(started.stdout)
    try:
        yield Target(
            kubeconfig=facts["kubeconfig"],
            kubectl=facts["kubectl"],
            image=facts["testImage"],
            node=facts.get("node", True),  # a kind cluster always has one
            no_node_because=facts.get("noNodeBecause") or "",
        )
    finally:
        if not facts["alreadyUp"]:
            subprocess.run([*command, "down"], check=False, cwd=ROOT)


def _current(consequences: str) -> Target:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise DemoError("CLUSTER=current needs kubectl on PATH")
    # The operator runs in another directory.
    kubeconfig = str(Path(os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser().absolute())
    found = Target(kubeconfig=kubeconfig, kubectl=kubectl, image=None, node=True)
    context = found.run("config", "current-context").strip()
    say(f"your current context {context!r}: {consequences}")
    if sys.stdin.isatty() and input("go on? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise DemoError("nothing was changed")
    return found
