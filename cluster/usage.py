"""What somebody needs who uses a cluster that is up: the variables of a shell, and images on its node."""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster import images
from cluster.errors import NotRunningError
from cluster.node import Node

__all__ = ["exports", "load", "variables"]


def variables(*, kubeconfig: Path, kubectl: Path, node: bool) -> Mapping[str, str]:
    """The environment in which kubectl and the operator work on a cluster.

    Args:
        kubeconfig: The cluster's.
        kubectl: One that fits it; it is added to PATH where there is none.
        node: It has a node, whose only image for Jobs is then named.
    """
    found = {"KUBECONFIG": str(kubeconfig)}
    if node:
        found["RELATED_IMAGE_ECHO"] = images.BUSYBOX
    if shutil.which("kubectl") is None:
        found["PATH"] = os.pathsep.join([str(kubectl.parent), *filter(None, [os.environ.get("PATH")])])
    return found


def exports(environment: Mapping[str, str]) -> list[str]:
    """Lines that a shell can evaluate."""
    return [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]


def load(directory: Path, tars: Sequence[Path]) -> None:
    """Give the node of the cluster in `directory` the images in these archives.

    Raises:
        errors.NotRunningError: It has no node.
        errors.ImportFailedError: An archive is missing, or none.
    """
    node = Node.attach(directory)
    if node is None:
        raise NotRunningError(f"the cluster in {directory} has no node that could be given an image: run up first")
    for tar in tars:
        node.load_image(tar)
