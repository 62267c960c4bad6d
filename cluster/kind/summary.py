"""What is said of a cluster that is up: for people, and as JSON for programs. Pure."""

import json
from dataclasses import dataclass
from pathlib import Path

from cluster.kind.clusters import Kind, Place
from cluster.progress import seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What `up` has to say."""

    place: Place
    kind: Kind
    kubectl: Path
    kubernetes: str
    node_image: str
    test_image: str | None
    """`None`: none could be made here."""
    already_up: bool
    took_s: float

    def as_json(self) -> str:
        return json.dumps(
            {
                "name": self.place.name,
                "kubernetes": self.kubernetes,
                "kubeconfig": str(self.place.kubeconfig),
                "kubectl": str(self.kubectl),
                "kind": str(self.kind.program),
                "ownEngine": self.kind.engine.ours,
                "environment": self.kind.engine.environment,
                "nodeImage": self.node_image,
                "testImage": self.test_image,
                "alreadyUp": self.already_up,
                "seconds": round(self.took_s, 1),
            },
            indent=2,
        )

    def as_text(self) -> str:
        how = "is up already" if self.already_up else f"is up, in {seconds(self.took_s)}"
        what = "an engine of its own" if self.kind.engine.ours else "this machine's docker"
        lines = [
            f'kind cluster "{self.place.name}" {how}: Kubernetes {self.kubernetes}, with {what}.',
            f"  node image  {self.node_image}",
            f"  kind        {self.kind.program}",
            f"  kubectl     {self.kubectl}",
        ]
        if self.test_image is not None:
            lines.append(f"  test image  {self.test_image} (on its nodes)")
        lines += ["", f"export KUBECONFIG={self.place.kubeconfig}"]
        lines += [f"export {name}={value}" for name, value in self.kind.engine.environment.items()]
        if self.test_image is not None:
            lines.append(f"export RELATED_IMAGE_ECHO={self.test_image}")
        return "\n".join(lines)
