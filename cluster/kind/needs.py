"""What this machine needs for an engine of ours and for building a node image; asking for leave, installing."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster import machine, nodecheck, packages, sysctls
from cluster.kind.errors import KindRefusedError
from cluster.packages import Need
from cluster.progress import Progress

IMAGE = (
    Need(
        package="mmdebstrap",
        purpose="puts together the node image's Debian",
        present=lambda: packages.command("mmdebstrap") is not None,
    ),
    Need(
        package="containerd",
        purpose="fills the node image's store; Debian also starts a service of its own, which is not used",
        present=lambda: all(packages.command(name) for name in ("containerd", "ctr")),
    ),
)
"""For building the node image."""

ENGINE = (
    Need(
        package="docker.io",
        purpose="runs the nodes; where Debian starts a service for it, that one is used",
        present=lambda: all(packages.command(name) for name in ("docker", "dockerd", "docker-init", "docker-proxy")),
    ),
    Need(package="runc", purpose="starts one container", present=lambda: packages.command("runc") is not None),
    Need(package="iproute2", purpose="removes the nodes' link", present=lambda: packages.command("ip") is not None),
)
"""For running an engine of our own."""


def refusal() -> str | None:
    """Say in a sentence why this machine can't have an engine of ours, or can't build a node image.

    Returns:
        `None`: it can.
    """
    if not sys.platform.startswith("linux"):
        return "Without docker, a kind cluster needs Linux."
    if os.geteuid() != 0:
        return "No docker answers here, and starting one of our own needs root."
    lacking = nodecheck.lacking_capabilities(Path("/proc/self/status").read_text())
    if lacking:
        return (
            f"No docker answers here, and one of our own needs {' and '.join(lacking)}, which this root does not have."
        )
    needs = packages.missing((*ENGINE, *IMAGE))
    if needs and not nodecheck.installs_packages():
        return (
            "No docker answers here; this is not Debian, and these are not installed: "
            f"{', '.join(need.package for need in needs)}."
        )
    return None


def image_refusal() -> str | None:
    """Say in a sentence why the node image can't be built here.

    Returns:
        `None`: it can.
    """
    if os.geteuid() != 0:
        return "Building a node image needs root; KIND_NODE_IMAGE names one that is there."
    needs = packages.missing(IMAGE)
    if needs and not nodecheck.installs_packages():
        return (
            "Building a node image needs Debian: this is none, and these are not installed: "
            f"{', '.join(need.package for need in needs)}. KIND_NODE_IMAGE names one that is there."
        )
    return None


def occupied() -> str | None:
    """Say in a sentence whose node is in the way: both would put the kernel's settings back, each to its own before.

    Returns:
        `None`: nobody's.
    """
    embedded = machine.read()
    if embedded is not None and embedded.alive():
        return f"The embedded cluster in {embedded.directory} has a node on this machine: make cluster-down stops it."
    return None


def install(needs: tuple[Need, ...], progress: Progress, *, engine: bool) -> None:
    """List what will be changed on the machine, ask on a terminal, and install what is missing.

    Raises:
        KindRefusedError: This machine can't have it.
        errors.DeclinedError: The answer was no.
        errors.InstallFailedError: A package could not be installed.
    """
    reason = refusal() if engine else image_refusal()
    if reason is not None:
        raise KindRefusedError(reason)
    missing = packages.missing(needs)
    settings = sysctls.to_change(sysctls.read(tuple(sysctls.SET_BY_KUBELET))) if engine else {}
    packages.ask_leave(announcement(missing, settings), progress)
    if missing:
        packages.install([need.package for need in missing], progress)


def announcement(missing: Sequence[Need], settings: Mapping[str, str]) -> list[str]:
    """The lines that say what will be changed on the machine."""
    return packages.changes(
        missing,
        settings,
        installs="A kind cluster without docker needs these Debian packages, which will be installed and stay:",
        sets="Its kubelet changes these kernel settings, which kind-down puts back:",
    )
