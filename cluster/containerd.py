"""Talks to the node's containerd through its own client, ctr."""

import subprocess
from pathlib import Path

from cluster import machine, packages
from cluster.errors import ImportFailedError

SOCKET = machine.RUN / "containerd.sock"


def answers() -> bool:
    return _ctr("--timeout", "5s", "version").returncode == 0


def load(tar: Path) -> None:
    """Take in the images of a docker-archive or oci-archive, where the kubelet finds them.

    Raises:
        ImportFailedError: containerd refused.
    """
    done = _ctr("--namespace", "k8s.io", "images", "import", "--snapshotter", snapshotter(), str(tar))
    if done.returncode != 0:
        raise ImportFailedError(tar, done.stdout)


def images() -> dict[str, str]:
    """The digest of the manifest of each image that the kubelet can find, by the image's name."""
    lines = _ctr("--namespace", "k8s.io", "images", "list").stdout.splitlines()[1:]
    rows = [line.split() for line in lines]
    return {name: digest for name, _type, digest, *_ in rows}


def snapshotter() -> str:
    """overlayfs, but not on top of another overlay, as in a container."""
    stat = packages.command("stat") or "stat"
    kind = subprocess.run(
        [stat, "--file-system", "--format=%T", machine.DATA], capture_output=True, text=True, check=False
    ).stdout.strip()
    return "native" if kind in ("overlayfs", "aufs") else "overlayfs"


def _ctr(*arguments: str) -> subprocess.CompletedProcess[str]:
    ctr = packages.command("ctr") or "ctr"
    return subprocess.run(
        [ctr, "--address", str(SOCKET), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
