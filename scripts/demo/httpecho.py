"""The server that shows put on a node which can pull no image: hashicorp/http-echo, built here."""

import subprocess
import sys
from pathlib import Path

from cluster import images
from cluster.errors import ClusterError
from cluster.node import Node
from cluster.progress import Progress
from scripts.demo.errors import DemoError
from scripts.demo.targets import ROOT, Target

__all__ = ["given"]


def given(target: Target, scratch: Path) -> str | None:
    """Have the target's node take in the image; its name there.

    Returns:
        `None`: the cluster has no node, or one that can pull what it needs.

    Raises:
        DemoError: it could not be built, or the node did not take it.
    """
    if target.image is None or not target.node:
        return None
    try:
        archive = images.build_http_echo(scratch / "http-echo.tar", Progress())
        node = Node.of(Path(target.kubeconfig))
        if node is not None:
            node.load_image(archive)
        else:
            command = [sys.executable, "-m", "cluster.kind", "load", str(archive)]
            subprocess.run(command, check=True, cwd=ROOT)
    except (ClusterError, subprocess.CalledProcessError) as error:
        raise DemoError(f"no image of http-echo: {error}") from error
    return images.HTTP_ECHO
