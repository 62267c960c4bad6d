"""A base image out of Debian's packages, for machines that reach no registry of images.

It has what the Dockerfile takes from `python:3.13-slim`: Debian 13 with its Python 3.13, apt and certificates; and
tini. Equal packages give equal bytes. Made once and kept: `make image-clean`, and the next one has newer packages.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

from cluster import cache
from cluster.progress import Progress
from scripts.image import archive, inputs, steps

__all__ = ["NAME", "command", "provide"]

NAME = "localhost/echoperator/debian-python:trixie"
"""As `BASE_IMAGE`, it asks for this base."""

_SUITE = "trixie"
_PACKAGES = ("ca-certificates", "python3", "python3-venv", "tini")
_UNWANTED = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*")
_HOOKS = (
    # The machine's own name and name servers.
    'rm -f "$1/etc/hostname" && : > "$1/etc/resolv.conf"',
    # What Debian's packages compile is compared with its source at each import.
    'chroot "$1" python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3.13 /usr/lib/python3',
)
_CONFIG = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]}


def command(target: Path) -> list[str]:
    """The command that makes the root file system as a tar; packages come from Debian's mirror and security archive."""
    excludes = [f"--dpkgopt=path-exclude={pattern}" for pattern in _UNWANTED]
    return [
        *("mmdebstrap", "--variant=apt", "--mode=auto", f"--include={','.join(_PACKAGES)}"),
        *excludes,
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        *(f"--customize-hook={hook}" for hook in _HOOKS),
        *(_SUITE, str(target)),
    ]


def provide(place: Path, progress: Progress, *, epoch: int) -> Path:
    """The base as a docker-archive, made if it is missing.

    Args:
        place: Where it is kept.
        progress: Where to say what is done.
        epoch: No file is newer, in seconds since 1970.

    Raises:
        errors.StepFailedError: Debian's packages could not be had.
    """
    architecture = cache.build_environment()["GOARCH"]
    recipe = [*command(Path("base.tar")), json.dumps(_CONFIG), str(epoch), architecture]
    kept = place / f"debian-{inputs.key(*recipe)}.tar"
    if kept.exists():
        return kept
    layer = place / ".debian-layer.tar"
    try:
        steps.run(
            f"a base image out of Debian {_SUITE}'s packages (120 MB)",
            command(layer),
            log=place / "debian.log",
            progress=progress,
            environment={"SOURCE_DATE_EPOCH": str(epoch)},
        )
        created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        archive.write(kept, NAME, layer, _CONFIG, architecture=architecture, created=created)
    finally:
        layer.unlink(missing_ok=True)
    return kept
