"""Puts images into the store of a node that does not run yet: a containerd of our own works on its root file system."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import packages, processes
from cluster.kind import steps
from cluster.kind.errors import StepFailedError

_READY_TIMEOUT_S = 60.0


def settings(store: Path, scratch: Path) -> str:
    """The configuration of a containerd that imports and nothing else.

    Args:
        store: Its root directory.
        scratch: Where its sockets and state are.
    """
    text = json.dumps  # a JSON string is a TOML string
    return f"""version = 2
root = {text(str(store))}
state = {text(str(scratch / "state"))}
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = {text(str(scratch / "socket"))}

[ttrpc]
address = {text(str(scratch / "socket.ttrpc"))}

[plugins."io.containerd.internal.v1.opt"]
path = {text(str(scratch / "opt"))}
"""


def images(store: Path, archives: Iterable[Path], scratch: Path) -> None:
    """Import docker-archives into a store, pinned as kind pins its own, and remove each archive after that.

    Args:
        store: containerd's root directory; made if it is missing.
        archives: May be written while they are taken.
        scratch: An empty directory with a short path, for sockets.

    Raises:
        StepFailedError: containerd did not start, or did not take one.
    """
    store.mkdir(parents=True, exist_ok=True)
    with _running(store, scratch):
        for archive in archives:
            _ctr(
                scratch,
                *("--namespace=k8s.io", "images", "import", "--label=io.cri-containerd.pinned=pinned"),
                *("--all-platforms", "--no-unpack", "--digests", str(archive)),
            )
            archive.unlink()


@contextmanager
def _running(store: Path, scratch: Path) -> Iterator[None]:
    configuration, log = scratch / "containerd.toml", scratch / "containerd.log"
    configuration.write_text(settings(store, scratch))
    process = processes.spawn(
        steps.sealed([packages.command("containerd") or "containerd", "--config", str(configuration)]),
        log=log,
        env=steps.environment(),
        cwd=scratch,
        tied=True,
    )
    try:
        if not processes.wait_until(lambda: not process.alive() or _answers(scratch), _READY_TIMEOUT_S, 0.1):
            raise StepFailedError("containerd, to take the node's images", processes.tail(log))
        yield
        # It writes its index as it goes, and ends at once.
        for child in processes.descendants([process.pid]):
            processes.stop([child], timeout_s=10.0)
    finally:
        processes.stop([process], timeout_s=5.0)


def _answers(scratch: Path) -> bool:
    try:
        _ctr(scratch, "--timeout", "5s", "version")
    except StepFailedError:
        return False
    return True


def _ctr(scratch: Path, *arguments: str) -> None:
    done = subprocess.run(
        [packages.command("ctr") or "ctr", "--address", str(scratch / "socket"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StepFailedError(f"ctr {' '.join(arguments)}", done.stdout)
