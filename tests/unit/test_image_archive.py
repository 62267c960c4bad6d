"""Archives of images: both forms are read, layers hide what is below them, equal content gives equal bytes."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from scripts.image import archive
from scripts.image.errors import NotAnImageError

NAME = "localhost/thing:dev"


def tar(files: dict[str, bytes | str | None]) -> bytes:
    """A tar of files (bytes), links (text) and directories (`None`)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            out.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def oci(path: Path, layers: list[bytes], *, images: int = 1) -> Path:
    """An oci-archive as buildah and podman write it, with packed layers."""
    blobs: dict[str, bytes | str | None] = {}

    def blob(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return f"sha256:{digest}"

    diffs = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config: dict[str, Any] = {"config": {"User": "1001"}, "rootfs": {"diff_ids": diffs}}
    manifest = {
        "config": {"digest": blob(json.dumps(config).encode())},
        "layers": [{"digest": blob(gzip.compress(layer, mtime=0))} for layer in layers],
    }
    entry = {
        "digest": blob(json.dumps(manifest).encode()),
        "annotations": {"org.opencontainers.image.ref.name": NAME},
    }
    path.write_bytes(tar({**blobs, "index.json": json.dumps({"manifests": [entry] * images}).encode()}))
    return path


def test_an_oci_archive_is_read(tmp_path: Path) -> None:
    layers = [tar({"a": b"12345"}), tar({"b": b"123"})]
    image = archive.read(oci(tmp_path / "x.tar", layers))
    assert image.name == NAME
    assert image.config == {"User": "1001"}
    assert image.layers == tuple(f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers)
    assert archive.size(image) == 8


def test_what_is_written_is_read_and_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    layer.write_bytes(tar({"a": b"x"}))
    written = []
    for name in ("one.tar", "two.tar"):
        target = tmp_path / name
        archive.write(target, NAME, layer, {"Env": ["A=b"]}, architecture="amd64", created="1980-01-01T00:00:00Z")
        written.append(target.read_bytes())
    image = archive.read(tmp_path / "one.tar")
    assert (image.name, image.config) == (NAME, {"Env": ["A=b"]})
    assert image.layers == (f"sha256:{hashlib.sha256(layer.read_bytes()).hexdigest()}",)
    assert written[0] == written[1]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["layer.tar", "one.tar", "two.tar"]


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def unpacked(tmp_path: Path, *layers: bytes) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    archive.unpack(archive.read(oci(tmp_path / "x.tar", list(layers))), root)
    return root


def test_a_later_layer_replaces_adds_and_removes(tmp_path: Path) -> None:
    below = tar({"d": None, "d/gone": b"1", "d/kept": b"1", "d/new": b"1", "link": "d", "tree": None, "tree/x": b"1"})
    above = tar({"d": None, "d/.wh.gone": b"", "d/new": b"22", ".wh.tree": b"", "link": b"file"})
    root = unpacked(tmp_path, below, above)
    assert names(root) == ["d", "d/kept", "d/new", "link"]
    assert (root / "d" / "new").read_bytes() == b"22"
    assert (root / "link").read_bytes() == b"file"
    assert not (root / "link").is_symlink()


def test_an_opaque_directory_hides_lower_layers_and_not_its_own(tmp_path: Path) -> None:
    """Wherever in its layer the mark stands."""
    below = tar({"d": None, "d/old": b"1"})
    above = tar({"d": None, "d/own": b"1", "d/.wh..wh..opq": b""})
    assert names(unpacked(tmp_path, below, above)) == ["d", "d/own"]


@pytest.mark.parametrize("content", [b"no tar", tar({"a": b""}), tar({"index.json": b'{"manifests": []}'})])
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(NotAnImageError, match=r"x\.tar: not an archive of one image"):
        archive.read(path)


def test_several_images_in_one_archive_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAnImageError):
        archive.read(oci(tmp_path / "x.tar", [tar({"a": b""})], images=2))
