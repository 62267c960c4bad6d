"""Makes the Debian that a kind node is made of: a tar of its root file system, kept in the cache.

Made with mmdebstrap from Debian's packages, newest at that time; kept until the list below changes.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

from cluster import cache
from cluster.kind import steps
from cluster.progress import Progress

SUITE = "bookworm"
"""Its systemd is the last to boot in good order on a machine with cgroup v1."""

PACKAGES = (
    *("systemd", "systemd-sysv", "conntrack", "iptables", "nftables", "iproute2", "ethtool", "util-linux", "mount"),
    *("kmod", "libseccomp2", "pigz", "e2fsprogs", "bash", "ca-certificates", "curl", "jq", "procps", "hostname"),
    *("containerd", "runc", "containernetworking-plugins", "socat", "gawk"),
)
"""What kind's own image has, or has built; less what mounts network storage."""

_UNWANTED = (
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/share/doc/*",
    "/usr/share/bash-completion/*",
)


def command(target: Path) -> list[str]:
    """The command that writes the tar."""
    return [
        *("mmdebstrap", "--mode=root", "--variant=apt", f"--include={','.join(PACKAGES)}"),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _UNWANTED),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        '--customize-hook=rm -f "$1/etc/hostname" && : > "$1/etc/resolv.conf"',
        *(SUITE, str(target)),
    ]


def key() -> str:
    """Name the recipe: 16 hexadecimal digits."""
    return hashlib.sha256("\0".join(command(Path("base.tar"))).encode()).hexdigest()[:16]


def provide(progress: Progress) -> Path:
    """The tar, made if it is missing.

    Raises:
        errors.StepFailedError: mmdebstrap could not.
    """
    kept = cache.root() / "kind" / f"debian-{SUITE}-{key()}.tar"
    with cache.locked(kept.parent / ".debian-lock"):
        if kept.exists():
            return kept
        for left in kept.parent.glob(".debian-*/"):  # by a build that was killed: we hold its lock
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".debian-") as place:
            half = Path(place) / "base.tar"
            steps.run(
                f"Debian {SUITE} with {len(PACKAGES)} packages and what they need",
                steps.sealed(command(half)),
                progress,
                added={"TMPDIR": place},
            )
            half.rename(kept)
    return kept
