"""A container of an image that was built: its own root file system and processes, with runc and nothing above it.

As a Pod under Pod Security `restricted` has it: no capability, no new privileges. It shares the machine's network, so
a control plane on loopback can be reached.
"""

import contextlib
import itertools
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster import packages
from cluster.progress import Progress
from scripts.image.archive import Image, unpack

_NUMBERS = itertools.count(1)


def require_runc() -> None:
    """Install runc where it is missing, as for a node."""
    missing = packages.missing([need for need in packages.NEEDS if need.package == "runc"])
    if missing:
        packages.install([need.package for need in missing], Progress())


class Root:
    """An image's root file system, unpacked; containers of it are made one after the other."""

    def __init__(self, image: Image, bundle: Path) -> None:
        self.image = image
        self._bundle = bundle
        self.path = bundle / "rootfs"
        self.path.mkdir(parents=True)
        self._runc = ("runc", "--root", str(bundle / "state"))
        unpack(image, self.path)

    def run(
        self, *arguments: str, uid: int = 1001, writable: bool = False, kept_root: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end.

        Args:
            arguments: The program and its arguments.
            uid: Who runs it; the group is 0.
            writable: Let it write where its user may; else the root file system is read-only.
            kept_root: With root's usual capabilities, as a step of a build has.
        """
        command = self._command(arguments, uid=uid, writable=writable, kept_root=kept_root)
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    @contextlib.contextmanager
    def started(
        self, *arguments: str, log: Path, uid: int = 1001, mounts: Mapping[Path, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The image's own entry point with further arguments, killed at the end if it still runs.

        Args:
            arguments: They follow those of the image.
            log: Where its output goes.
            uid: Who runs it; the group is 0.
            mounts: Files of the machine, and where they are inside, read-only.
        """
        command = self._command([*self.image.config["Entrypoint"], *arguments], uid=uid, mounts=mounts)
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            # Killing runc alone would leave the container.
            subprocess.run([*self._runc, "delete", "--force", command[-1]], capture_output=True, check=False)
            process.wait(30)

    def _command(
        self,
        arguments: Sequence[str],
        *,
        uid: int,
        writable: bool = False,
        kept_root: bool = False,
        mounts: Mapping[Path, str] | None = None,
    ) -> list[str]:
        name = f"image-test-{os.getpid()}-{next(_NUMBERS)}"
        capabilities = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"] if kept_root else []
        config: dict[str, Any] = {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": uid, "gid": 0},
                "args": list(arguments),
                "env": self.image.config["Env"],
                "cwd": self.image.config["WorkingDir"],
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
                "noNewPrivileges": True,
            },
            "root": {"path": str(self.path), "readonly": not writable},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                _tmpfs("/dev", "mode=755"),
                _tmpfs("/dev/shm", "nodev", "mode=1777"),  # as every Pod has it
                _tmpfs("/tmp", "nodev", "mode=1777"),  # the one emptyDir
                *(
                    {"destination": inside, "type": "bind", "source": str(path), "options": ["bind", "ro"]}
                    for path, inside in (mounts or {}).items()
                ),
            ],
            "linux": {
                "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
                "cgroupsPath": f"/{name}",
            },
        }
        bundle = self._bundle / name
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return [*self._runc, "run", "--bundle", str(bundle), name]


def _tmpfs(path: str, *options: str) -> dict[str, Any]:
    return {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", *options]}
