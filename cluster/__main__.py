"""`python -m cluster`: the embedded cluster's command line."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from cluster import commandline, commands, versions
from cluster.progress import Progress

_DESCRIPTION = f"""\
Run a real Kubernetes {versions.KUBERNETES.version} on this machine, without a container engine.

The control plane (etcd, kube-apiserver, kube-controller-manager, kube-scheduler) is built from its Go modules the
first time, six minutes on two cores, and starts in seconds from then on. Root on Debian also gets a node that runs
Pods (containerd, kubelet, kube-proxy); the Debian packages and kernel settings that it needs are listed before
anything is changed. Everybody else gets the control plane alone: objects are real, Pods are never started.
"""

_EPILOG = """\
environment:
  ECHOPERATOR_CLUSTER_DIR  where clusters keep their files (default: .cluster in the project)
  ECHOPERATOR_CACHE        where built programs are kept (default: echoperator in ~/.cache or XDG_CACHE_HOME)
  KUBEBUILDER_ASSETS       a directory with kube-apiserver, etcd, kubectl, ...: used where their versions fit
  YES=1                    don't ask before packages are installed and kernel settings changed

exit status:
  0  done; for status: up and healthy
  1  failed; what failed and the end of its log are on standard error
  2  wrong arguments
  3  status: not up, or a component does not work; env: not up
  130, 143  interrupted by Ctrl-C or SIGTERM; what had been started is stopped
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    chosen = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = chosen.run
    return commandline.run(lambda: run(chosen), stops=run is _down)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cluster",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", type=commandline.name, default="default", help="which cluster (default: %(default)s)")
    printing = argparse.ArgumentParser(add_help=False)
    printing.add_argument("--json", action="store_true", help="print JSON, for programs")
    kind = argparse.ArgumentParser(add_help=False)
    kind.add_argument("--control-plane-only", action="store_true", help="no node, even where one is possible")

    sub = parser.add_subparsers(metavar="{up,down,status,env,load,build,which}", required=True)
    up = sub.add_parser("up", parents=[named, kind, printing], help="start the cluster, or say that it runs")
    up.add_argument(
        "--context",
        action="store_true",
        help="make it the current context of ~/.kube/config until down, unless KUBECONFIG is set",
    )
    up.set_defaults(run=_up)
    down = sub.add_parser("down", help="stop the cluster and remove its data and logs")
    chosen = down.add_mutually_exclusive_group()
    chosen.add_argument("--name", type=commandline.name, default="default", help="which cluster (default: %(default)s)")
    chosen.add_argument("--all", action="store_true", help="all clusters of this project")
    down.set_defaults(run=_down)
    status = sub.add_parser("status", parents=[named, printing], help="show its components")
    status.set_defaults(run=_status)
    env = sub.add_parser("env", parents=[named], help="print what a shell evaluates to use the cluster")
    env.set_defaults(run=_env)
    load = sub.add_parser("load", parents=[named], help="give its node the images in archives")
    load.add_argument("archive", type=Path, nargs="+", help="docker-archive or oci-archive, such as make image writes")
    load.set_defaults(run=_load)
    build = sub.add_parser(
        "build",
        parents=[kind, printing],
        help="only build, also for tests and examples, and print where the programs are",
    )
    build.set_defaults(run=_build)
    which = sub.add_parser("which", help="print where one program is, built if it is missing")
    which.add_argument("program", choices=sorted(commands.program_names()))
    which.set_defaults(run=_which)
    return parser


def _up(chosen: argparse.Namespace) -> int:
    return commands.up(
        commands.Place(root=commandline.root(), name=chosen.name),
        control_plane_only=chosen.control_plane_only,
        context=chosen.context,
        as_json=chosen.json,
        progress=Progress(),
    )


def _down(chosen: argparse.Namespace) -> int:
    return commands.down(commandline.root(), None if chosen.all else chosen.name, Progress())


def _status(chosen: argparse.Namespace) -> int:
    return commands.status(commands.Place(root=commandline.root(), name=chosen.name), as_json=chosen.json)


def _env(chosen: argparse.Namespace) -> int:
    return commands.env(commands.Place(root=commandline.root(), name=chosen.name))


def _load(chosen: argparse.Namespace) -> int:
    return commands.load(commands.Place(root=commandline.root(), name=chosen.name), chosen.archive, Progress())


def _build(chosen: argparse.Namespace) -> int:
    return commands.provide(control_plane_only=chosen.control_plane_only, as_json=chosen.json, progress=Progress())


def _which(chosen: argparse.Namespace) -> int:
    return commands.which(chosen.program, Progress())


if __name__ == "__main__":
    sys.exit(main())
