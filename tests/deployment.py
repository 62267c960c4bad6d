"""config/ as a user deploys it, and what is left of it afterwards."""

import os
import subprocess
from typing import TYPE_CHECKING

from harness import ROOT

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

__all__ = ["SYSTEM", "left_of_ours", "make"]

SYSTEM = "echoperator-system"


def make(plane: "ControlPlane", target: str, *variables: str) -> str:
    """Run a target as a user does whose current context is the plane's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", target, f"KUBECTL={plane.kubectl}", *variables],
        cwd=ROOT,
        env={**inherited, "KUBECONFIG": str(plane.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def left_of_ours(plane: "ControlPlane") -> list[str]:
    """What is there of the namespace and the objects outside of namespaces that are deployed."""
    kinds = "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings"
    asked = [plane.kubectl, f"--kubeconfig={plane.kubeconfig}", "get", kinds, "-o", "name"]
    found = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    return [name for name in found.split() if "/echoperator" in name or name.endswith("mmontes.io")]
