"""Container images made from files: no engine and no registry.

Each is a docker-archive tar with one layer, the same bytes for the same content, to be loaded by
`node.Node.load_image` (or by `ctr images import`).
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import build, cache, packages, versions
from cluster.errors import InstallFailedError, NoBusyboxError
from cluster.progress import Progress

BUSYBOX = "localhost/echoperator/busybox-static:test"
"""The test image: Debian's static busybox with a link for each of its commands."""
HTTP_ECHO = "localhost/echoperator/http-echo:test"
"""hashicorp/http-echo, built here; as there, the program is the entry point and the user is no root."""
PAUSE = "localhost/echoperator/pause:test"
"""What holds a Pod's namespaces open on the node."""

_ACCOUNTS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, directory or link of an image."""

    path: str
    content: bytes = b""
    mode: int = 0o755
    link: str | None = None
    """Where a symbolic link points. `None`: it is none."""
    directory: bool = False


def archive(target: Path, name: str, entries: Sequence[Entry], settings: Mapping[str, object]) -> None:
    """Write a docker-archive tar with one layer.

    Args:
        target: The tar file, replaced in one step.
        name: The image's name with its tag.
        entries: Its files, parents before children.
        settings: The `config` of the image: `Cmd`, `Entrypoint`, `Env`, ...
    """
    layer = _tar(entries)
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": cache.build_environment()["GOARCH"],
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": dict(settings),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "echoperator cluster.images"}],
        },
        sort_keys=True,
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{layer_digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]
    outer = _tar(
        [
            Entry(path=config_name, content=config, mode=0o644),
            Entry(path=layer_digest, directory=True),
            Entry(path=layer_name, content=layer, mode=0o644),
            Entry(path="manifest.json", content=json.dumps(manifest).encode(), mode=0o644),
        ]
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.write_bytes(outer)
    temporary.replace(target)


def build_busybox(target_tar: Path, progress: Progress | None = None, *, name: str = BUSYBOX) -> Path:
    """Make the test image, or the same under another name.

    Raises:
        NoBusyboxError: No static busybox is here, and Debian's package could not be fetched.
    """
    busybox = _static_busybox(progress or Progress(quiet=True))
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    archive(
        target_tar,
        name,
        [
            *(Entry(path=path, directory=True) for path in ("bin", "etc", "root")),
            Entry(path="tmp", directory=True, mode=0o1777),
            Entry(path="etc/passwd", content=_ACCOUNTS.encode(), mode=0o644),
            Entry(path="etc/group", content=_GROUP.encode(), mode=0o644),
            Entry(path="bin/busybox", content=busybox.read_bytes()),
            *(Entry(path=f"bin/{name}", link="busybox") for name in sorted(set(listed) - {"busybox"})),
        ],
        {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
    )
    return target_tar


def build_pause(target_tar: Path, progress: Progress | None = None) -> Path:
    """Make the image that the node's Pods need, from `pause/main.go`."""
    program = build.provide([versions.PAUSE], progress)[versions.PAUSE.name]
    archive(
        target_tar,
        PAUSE,
        [Entry(path="pause", content=program.read_bytes())],
        {"Entrypoint": ["/pause"], "User": "65535:65535"},
    )
    return target_tar


def build_http_echo(target_tar: Path, progress: Progress | None = None) -> Path:
    """Make the image of the server that answers with one text, which listens on 5678."""
    program = build.provide([versions.HTTP_ECHO], progress)[versions.HTTP_ECHO.name]
    archive(
        target_tar,
        HTTP_ECHO,
        [Entry(path="http-echo", content=program.read_bytes())],
        {"Entrypoint": ["/http-echo"], "User": "65532:65532"},
    )
    return target_tar


def is_static(program: bytes) -> bool:
    """Say whether a 64-bit little-endian ELF program needs no loader."""
    if program[:6] != b"\x7fELF\x02\x01":
        return False
    offset = int.from_bytes(program[32:40], "little")
    size = int.from_bytes(program[54:56], "little")
    count = int.from_bytes(program[56:58], "little")
    interpreter = 3  # PT_INTERP
    kinds = [int.from_bytes(program[offset + index * size :][:4], "little") for index in range(count)]
    return interpreter not in kinds


def _static_busybox(progress: Progress) -> Path:
    installed = packages.command("busybox")
    if installed is not None and is_static(Path(installed).read_bytes()):
        return Path(installed)
    kept = cache.root() / "busybox" / "busybox"
    with cache.locked(kept.parent / ".lock"):
        if kept.exists():
            return kept
        # Unpacked, not installed: Debian would remove a busybox that is there for it.
        with (
            tempfile.TemporaryDirectory(dir=kept.parent) as temporary,
            progress.step("fetching Debian's busybox-static", announce=False),
        ):
            place = Path(temporary)
            place.chmod(0o755)
            try:
                package = packages.download("busybox-static", place)
                subprocess.run(["dpkg-deb", "--extract", package, place / "x"], check=True)
            except (OSError, subprocess.CalledProcessError, InstallFailedError) as error:
                raise NoBusyboxError(
                    "no static busybox here, and Debian's package busybox-static could not be fetched"
                ) from error
            found = next(path for path in (place / "x").rglob("busybox") if path.is_file())
            shutil.move(found, kept)
    return kept


def _tar(entries: Sequence[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.mode = entry.mode
            if entry.directory:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            elif entry.link is not None:
                info.type = tarfile.SYMTYPE
                info.linkname = entry.link
                tar.addfile(info)
            else:
                info.size = len(entry.content)
                tar.addfile(info, io.BytesIO(entry.content))
    return buffer.getvalue()
