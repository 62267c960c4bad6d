"""Images made from files."""

import json
import tarfile
from pathlib import Path

import pytest

from cluster import images
from cluster.images import Entry

ENTRIES = [
    Entry(path="bin", directory=True),
    Entry(path="bin/tool", content=b"program"),
    Entry(path="bin/alias", link="tool"),
]


def layer_of(tar: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(tar) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        with tarfile.open(fileobj=archive.extractfile(manifest["Layers"][0])) as layer:
            return {member.name: member for member in layer.getmembers()}


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """A loaded image keeps its ID, so nothing is unpacked again."""
    for name in ("one", "two"):
        images.archive(tmp_path / name, "localhost/x:test", ENTRIES, {"Cmd": ["tool"]})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_archive_names_the_image_and_holds_its_files(tmp_path: Path) -> None:
    images.archive(tmp_path / "tar", "localhost/x:test", ENTRIES, {"Cmd": ["tool"]})
    with tarfile.open(tmp_path / "tar") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
    assert manifest["RepoTags"] == ["localhost/x:test"]
    assert config["config"] == {"Cmd": ["tool"]}
    layer = layer_of(tmp_path / "tar")
    assert layer["bin/tool"].mode == 0o755
    assert layer["bin/alias"].linkname == "tool"


def test_a_layer_is_known_by_its_digest(tmp_path: Path) -> None:
    images.archive(tmp_path / "tar", "localhost/x:test", ENTRIES, {})
    with tarfile.open(tmp_path / "tar") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
    assert manifest["Layers"] == [f"{config['rootfs']['diff_ids'][0].removeprefix('sha256:')}/layer.tar"]


def elf(kinds: list[int]) -> bytes:
    """A 64-bit little-endian ELF header with program headers of these kinds."""
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    header[32:40] = (64).to_bytes(8, "little")
    header[54:56] = (56).to_bytes(2, "little")
    header[56:58] = len(kinds).to_bytes(2, "little")
    return bytes(header) + b"".join(kind.to_bytes(4, "little") + bytes(52) for kind in kinds)


@pytest.mark.parametrize(
    ("program", "static"),
    [(elf([1, 1]), True), (elf([6, 3, 1]), False), (b"#!/bin/sh\n", False), (Path("/bin/sh").read_bytes(), False)],
)
def test_is_static_finds_the_loader(program: bytes, static: bool) -> None:
    """A dynamic busybox in an image without libraries fails only when a Pod starts."""
    assert images.is_static(program) is static
