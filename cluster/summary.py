"""What is said of an embedded cluster that is up: for people, and as JSON for programs."""

import json
from dataclasses import dataclass
from pathlib import Path

from cluster import images, usage
from cluster.progress import seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What `up` has to say."""

    name: str
    kubernetes: str
    directory: Path
    kubeconfig: Path
    kubectl: Path
    server: str
    node: bool
    no_node_because: str | None
    """`None`: there is a node."""
    already_up: bool
    took_s: float
    context: str = ""
    """What came of the user's own kubeconfig. Empty: nobody asked for that."""

    def as_json(self) -> str:
        return json.dumps(
            {
                "name": self.name,
                "kubernetes": self.kubernetes,
                "directory": str(self.directory),
                "kubeconfig": str(self.kubeconfig),
                "kubectl": str(self.kubectl),
                "server": self.server,
                "node": self.node,
                "noNodeBecause": self.no_node_because,
                "testImage": images.BUSYBOX if self.node else None,
                "context": self.context,
                "alreadyUp": self.already_up,
                "seconds": round(self.took_s, 1),
            },
            indent=2,
        )

    def as_text(self) -> str:
        what = "control plane and one node" if self.node else "control plane, no node"
        up = f'Cluster "{self.name}" is up already' if self.already_up else f'Cluster "{self.name}" is up'
        took = "" if self.already_up else f", in {seconds(self.took_s)}"
        lines = [
            f"{up}: Kubernetes {self.kubernetes}, {what}{took}.",
            f"  kubeconfig  {self.kubeconfig}",
            f"  kubectl     {self.kubectl}",
        ]
        if self.node:
            lines.append(f"  test image  {images.BUSYBOX} (on the node; it has no registry to pull others from)")
        else:
            lines.append(f"  No node, so no Pod runs: {self.no_node_because}")
        if self.context:
            lines.append(f"  context     {self.context}")
        used = usage.variables(kubeconfig=self.kubeconfig, kubectl=self.kubectl, node=self.node)
        lines += ["", *usage.exports(used)]
        return "\n".join(lines)
