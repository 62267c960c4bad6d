"""`python -m cluster.kind`: the command line of kind clusters."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from cluster import commandline, versions
from cluster.kind import commands, programs
from cluster.kind.clusters import Place
from cluster.progress import Progress

_DESCRIPTION = f"""\
Run a kind cluster (kind {programs.KIND.module.version}), also where there is no docker and no registry.

Where docker answers, it is used, with kind's own node image if docker has it or can pull it. Elsewhere, root on Debian
gets Debian's docker.io, run for the clusters alone and stopped with the last of them, and a node image with Kubernetes
{versions.KUBERNETES.version} that is built from Debian's packages and Go modules: a quarter of an hour the first time
on two cores, two minutes when the Go programs are there, cached from then on. The packages and kernel settings that it
needs are listed before anything is changed.
"""

_EPILOG = """\
environment:
  KIND_CLUSTER             the cluster's name (default: echoperator)
  KIND_NODE_IMAGE          the node image to use, whatever is said above
  ECHOPERATOR_CLUSTER_DIR  where clusters keep their files (default: .cluster in the project)
  ECHOPERATOR_CACHE        where built programs and images are kept (default: echoperator in ~/.cache or XDG_CACHE_HOME)
  YES=1                    don't ask before packages are installed and kernel settings changed

exit status:
  0  done
  1  failed; what failed and the last it said are on standard error
  2  wrong arguments
  130, 143  interrupted by Ctrl-C or SIGTERM; what had been started is stopped
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    chosen = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = chosen.run
    return commandline.run(lambda: run(chosen), stops=run is _down)


def _place(chosen: argparse.Namespace) -> Place:
    return Place(root=commandline.root(), name=chosen.name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cluster.kind",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    named = argparse.ArgumentParser(add_help=False)
    default = os.environ.get("KIND_CLUSTER") or "echoperator"
    named.add_argument("--name", type=commandline.name, default=default, help="which cluster (default: %(default)s)")

    sub = parser.add_subparsers(metavar="{up,down,load,node-image}", required=True)
    up = sub.add_parser("up", parents=[named], help="make the cluster, or say that it is up")
    up.add_argument("--image", default=os.environ.get("KIND_NODE_IMAGE", ""), help="the node image to use")
    up.add_argument("--config", type=Path, help="a kind configuration file, for more nodes, ports or mounts")
    up.add_argument("--json", action="store_true", help="print JSON, for programs")
    up.set_defaults(run=_up)
    down = sub.add_parser("down", parents=[named], help="delete the cluster, and stop the engine that ran for it")
    down.add_argument("--all", action="store_true", help="all clusters of this project")
    down.set_defaults(run=_down)
    load = sub.add_parser("load", parents=[named], help="give the nodes an image")
    load.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a docker-archive or oci-archive, or a name docker knows"
    )
    load.set_defaults(run=_load)
    image = sub.add_parser("node-image", help="build the node image if it is missing, and print its name")
    image.set_defaults(run=_node_image)
    return parser


def _up(chosen: argparse.Namespace) -> int:
    return commands.up(
        _place(chosen), wanted_image=chosen.image, config=chosen.config, as_json=chosen.json, progress=Progress()
    )


def _down(chosen: argparse.Namespace) -> int:
    return commands.down(_place(chosen), Progress(), everything=chosen.all)


def _load(chosen: argparse.Namespace) -> int:
    return commands.load(_place(chosen), chosen.images, Progress())


def _node_image(_: argparse.Namespace) -> int:
    return commands.build_node_image(Progress())


if __name__ == "__main__":
    sys.exit(main())
