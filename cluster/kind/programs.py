"""The Go programs that only a kind cluster needs, beside those of the embedded one. Starts nothing.

Each is a module of its own, so that a change to one has none of the others built anew.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster import build, cache, toolchain, versions
from cluster.errors import BuildFailedError
from cluster.progress import Progress
from cluster.versions import Module, Program, Version

_HERE = Path(__file__).resolve().parent / "programs"

KIND = Program(
    name="kind",
    package="sigs.k8s.io/kind",
    module=Module(directory=_HERE / "kind", version=Version(0, 33, 0), ldflags="-s -w"),
    oldest=Version(0, 33, 0),
)
KUBEADM = Program(
    name="kubeadm",
    package="k8s.io/kubernetes/cmd/kubeadm",
    module=Module(
        directory=_HERE / "kubeadm",
        version=versions.KUBERNETES.version,
        ldflags=versions.kubernetes_ldflags(versions.KUBERNETES.version),
    ),
)
COREDNS = Program(
    name="coredns",
    package="echoperator/cluster/kind/programs/coredns",
    module=Module(directory=_HERE / "coredns", version=Version(1, 12, 1), ldflags="-s -w"),
)
PROVISIONER = Program(
    name="local-path-provisioner",
    package="github.com/rancher/local-path-provisioner",
    module=Module(
        directory=_HERE / "local-path-provisioner",
        version=Version(0, 0, 30),
        ldflags="-s -w -X main.VERSION=v0.0.30",
    ),
)

IN_NODE_IMAGE = (
    *versions.control_plane_programs(),
    *versions.node_programs(),
    KUBEADM,
    COREDNS,
    PROVISIONER,
)
"""All that is built from Go modules and goes into the node image."""

ALL = (KIND, *IN_NODE_IMAGE)


def provide(programs: Sequence[Program], progress: Progress) -> dict[str, Path]:
    """Build what is missing; takes none from elsewhere, so that what is made of them is known by their modules.

    Raises:
        errors.BuildFailedError: Go could not build one.
        errors.NoToolchainError: There is no Go to build with.
    """
    return build.provide(programs, progress, environ=_without_found(os.environ))


def kind_source(progress: Progress) -> Path:
    """The directory of kind's own module, as Go's module cache has it: its node image's files are in there.

    Raises:
        errors.BuildFailedError: It could not be downloaded.
        errors.NoToolchainError: There is no Go to ask.
    """
    go = toolchain.find((KIND.module,), progress)
    settings = {**os.environ, **cache.build_environment()}
    for command in (["mod", "download", KIND.package], ["list", "-m", "-f", "{{.Dir}}", KIND.package]):
        done = subprocess.run(
            [go, *command], cwd=KIND.module.directory, env=settings, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BuildFailedError(KIND.name, done.stderr)
    return Path(done.stdout.strip())


def _without_found(environ: Mapping[str, str]) -> dict[str, str]:
    return {**{name: value for name, value in environ.items() if name != "KUBEBUILDER_ASSETS"}, "PATH": ""}
