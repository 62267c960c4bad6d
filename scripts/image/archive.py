"""Reads, unpacks and writes images as files: oci-archive and docker-archive.

An image here is one with one manifest: none for several platforms.
"""

import contextlib
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.image.errors import NotAnImageError

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What an archive holds."""

    archive: Path
    name: str
    config: Mapping[str, Any]
    """`config` of the image configuration: `User`, `Env`, `Entrypoint`, `Labels`, ..."""
    layers: tuple[str, ...]
    """Digests of the unpacked layers, lowest first: equal for equal content, however it is compressed."""
    blobs: tuple[str, ...]
    """The layers' names inside the archive, lowest first."""
    manifest: str
    """The digest of its manifest, by which a node knows it. Empty in a docker-archive, which has none."""


def read(archive: Path) -> Image:
    """Read what an archive says of its image.

    Raises:
        NotAnImageError: it is no archive, or has several images.
    """
    try:
        with tarfile.open(archive) as tar:
            names = set(tar.getnames())
            # docker writes both forms into one file, and then manifest.json has the name in full.
            return _read_docker(archive, tar) if "manifest.json" in names else _read_oci(archive, tar)
    except (tarfile.TarError, KeyError, IndexError, ValueError) as error:
        raise NotAnImageError(f"{archive}: not an archive of one image: {error}") from error


def _read_docker(archive: Path, tar: tarfile.TarFile) -> Image:
    (manifest,) = _json(tar, "manifest.json")
    config = _json(tar, manifest["Config"])
    return Image(
        archive=archive,
        name=manifest["RepoTags"][0],
        config=config["config"],
        layers=tuple(config["rootfs"]["diff_ids"]),
        blobs=tuple(manifest["Layers"]),
        manifest="",
    )


def _read_oci(archive: Path, tar: tarfile.TarFile) -> Image:
    (entry,) = _json(tar, "index.json")["manifests"]
    manifest = _json(tar, _blob(entry["digest"]))
    config = _json(tar, _blob(manifest["config"]["digest"]))
    return Image(
        archive=archive,
        name=entry.get("annotations", {}).get("org.opencontainers.image.ref.name", ""),
        config=config["config"],
        layers=tuple(config["rootfs"]["diff_ids"]),
        blobs=tuple(_blob(layer["digest"]) for layer in manifest["layers"]),
        manifest=entry["digest"],
    )


def size(image: Image) -> int:
    """Bytes of all files of all layers: what the image takes on a node's disk, less what file systems add."""
    return sum(member.size for layer in _layers(image) for member in layer)


def unpack(image: Image, directory: Path) -> None:
    """Make the root file system of a container of this image in an empty directory. Needs root: files have owners."""
    for layer in _layers(image):
        members = layer.getmembers()
        # A layer first hides what is below it, whatever the order inside its archive.
        for member in members:
            _hide(directory / member.name)
        for member in members:
            path = directory / member.name
            if path.name.startswith(_WHITEOUT):
                continue
            if not member.isdir() or path.is_symlink():
                _remove(path)
            layer.extract(member, directory, numeric_owner=True, filter="fully_trusted")


def _hide(path: Path) -> None:
    if path.name == _OPAQUE:
        for hidden in list(path.parent.iterdir()) if path.parent.is_dir() else ():
            _remove(hidden)
    elif path.name.startswith(_WHITEOUT):
        _remove(path.with_name(path.name.removeprefix(_WHITEOUT)))


def write(target: Path, name: str, layer: Path, config: Mapping[str, Any], *, architecture: str, created: str) -> None:
    """Write a docker-archive of one layer, which every engine loads; replaced in one step, equal for equal arguments.

    Args:
        target: The archive.
        name: The image's name with its tag.
        layer: The root file system as an uncompressed tar.
        config: `Env`, `Cmd`, ... of the image configuration.
        architecture: As Go says it: `amd64`.
        created: An instant in RFC 3339.
    """
    with layer.open("rb") as file:
        layer_digest = hashlib.file_digest(file, "sha256").hexdigest()
    configuration = json.dumps({
        "architecture": architecture,
        "os": "linux",
        "created": created,
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        # buildah refuses an image with fewer entries here than layers.
        "history": [{"created": created, "created_by": "scripts.image"}],
    }, sort_keys=True).encode()  # fmt: skip
    config_name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    temporary = target.with_name(f".{target.name}.partial")
    with tarfile.open(temporary, "w") as tar:
        for path, content in ((config_name, configuration), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        info = tarfile.TarInfo("layer.tar")
        info.size = layer.stat().st_size
        with layer.open("rb") as file:
            tar.addfile(info, file)
    temporary.replace(target)


@contextlib.contextmanager
def _opened(image: Image, blob: str) -> Iterator[tarfile.TarFile]:
    with tarfile.open(image.archive) as outer:
        file = outer.extractfile(blob)
        if file is None:
            raise NotAnImageError(f"{image.archive}: {blob} is no file")
        with tarfile.open(fileobj=file, mode="r:*") as layer:
            yield layer


def _layers(image: Image) -> Iterator[tarfile.TarFile]:
    for blob in image.blobs:
        with _opened(image, blob) as layer:
            yield layer


def _json(tar: tarfile.TarFile, name: str) -> Any:
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(name)
    return json.load(file)


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
