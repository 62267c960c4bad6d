"""What `make deploy` does before kubectl: writes the overlay and, where the cluster is the embedded one, gives its node
the image first, since it can pull none.

The cluster is the one that KUBECONFIG leads to. Of any other than the embedded one nothing is asked.
"""

import argparse
import os
import sys
from pathlib import Path

from cluster import images
from cluster.errors import ClusterError
from cluster.node import Node
from cluster.progress import Progress
from scripts import overlay
from scripts.image import archive
from scripts.image.errors import ImageError

__all__ = ["MissingImageError", "given"]


class MissingImageError(Exception):
    """The node does not have the image, and no archive here holds it."""


def given(node: Node, image: str, tar: Path, progress: Progress) -> str:
    """Have the node take in an image from its archive, unless it has that very one.

    Returns:
        The digest by which the node knows it now. Empty: it does not, and will have to pull it.

    Raises:
        MissingImageError: the archive holds another image, or there is none, and nobody can pull this one.
        scripts.image.errors.NotAnImageError: the file is no archive.
        cluster.errors.ImportFailedError: the node did not take it.
    """
    there = node.images().get(image, "")
    built = archive.read(tar) if tar.exists() else None
    if built is None or built.name != image:
        if not there and image.startswith("localhost/"):
            holds = "is not there" if built is None else f"holds {built.name}"
            raise MissingImageError(
                f"the embedded cluster does not have {image}, and {tar} {holds}: run make image first"
            )
        if not there:
            progress.warn(f"the embedded cluster does not have {image}, and will have to pull it")
        return there
    if there and there == built.manifest:
        return there
    with progress.step(f"loading {image} into the embedded cluster"):
        node.load_image(tar)
    return node.images()[image]


def main() -> int:
    """Write the overlay; 1 where the image can't be had, 2 where a variable is wrong."""
    parser = argparse.ArgumentParser(prog="python -m scripts.deploy", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the overlay goes")
    parser.add_argument("--image", required=True)
    parser.add_argument("--archive", type=Path, required=True, help="where make image has put it")
    parser.add_argument("--watch-namespace", default="", help="comma list; empty: all")
    options = parser.parse_args()
    kubeconfig = os.environ.get("KUBECONFIG", "")
    node = Node.of(Path(kubeconfig)) if kubeconfig else None
    try:
        files = overlay.overlay(
            options.directory,
            image=options.image,
            namespaces=overlay.names(options.watch_namespace),
            echo_image=os.environ.get("RELATED_IMAGE_ECHO") or (images.BUSYBOX if node else ""),
            image_id=given(node, options.image, options.archive, Progress()) if node else "",
        )
    except ValueError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 2
    except (MissingImageError, ImageError, ClusterError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    overlay.write(options.directory, files)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
