"""Which image the embedded cluster's node is given before a deployment. containerd itself is in tests/e2e."""

import io
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cluster.progress import Progress
from harness import ROOT
from scripts.deploy import MissingImageError, given
from scripts.image import archive

IMAGE = "localhost/echo-operator:dev"


@dataclass
class Node:
    """One that knows an image by a digest of what was loaded."""

    known: dict[str, str] = field(default_factory=dict)
    loaded: list[Path] = field(default_factory=list)

    def images(self) -> Mapping[str, str]:
        return self.known

    def load_image(self, tar: Path) -> None:
        self.loaded.append(tar)
        self.known[archive.read(tar).name] = "sha256:loaded"


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    layer = tmp_path / "layer.tar"
    layer.write_bytes(bytes(10240))
    archive.write(tmp_path / "image.tar", IMAGE, layer, {}, architecture="amd64", created="1980-01-01T00:00:00Z")
    return tmp_path / "image.tar"


def quiet() -> Progress:
    return Progress(quiet=True)


def test_node_is_given_the_image_that_was_built(tar: Path) -> None:
    node = Node()
    assert given(node, IMAGE, tar, quiet()) == "sha256:loaded"
    assert node.loaded == [tar]


def test_an_image_built_anew_is_given_anew(tar: Path) -> None:
    """Of the same name, since `make image` calls it dev each time; the digest says that it is another one."""
    node = Node(known={IMAGE: "sha256:before"})
    assert given(node, IMAGE, tar, quiet()) == "sha256:loaded"


def test_an_image_that_the_node_has_is_not_loaded_again(tar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = archive.read

    def as_buildah_writes_it(path: Path) -> archive.Image:
        image = read(path)
        return archive.Image(
            archive=path,
            name=image.name,
            config=image.config,
            layers=image.layers,
            blobs=image.blobs,
            manifest="sha256:same",
        )

    monkeypatch.setattr(archive, "read", as_buildah_writes_it)
    node = Node(known={IMAGE: "sha256:same"})
    assert given(node, IMAGE, tar, quiet()) == "sha256:same"
    assert node.loaded == []


def test_an_image_that_was_loaded_by_hand_is_taken_as_it_is(tar: Path) -> None:
    node = Node(known={"localhost/mine:1": "sha256:mine"})
    assert given(node, "localhost/mine:1", tar, quiet()) == "sha256:mine"
    assert node.loaded == []


def test_an_image_of_this_machine_that_nobody_has_is_refused_by_saying_what_there_is(tar: Path) -> None:
    """The Pods would wait for it for ever."""
    with pytest.raises(MissingImageError, match=rf"mine:1, and .*image.tar holds {IMAGE}: run make image"):
        given(Node(), "localhost/mine:1", tar, quiet())
    with pytest.raises(MissingImageError, match=r"none\.tar is not there"):
        given(Node(), IMAGE, tar.with_name("none.tar"), quiet())


def test_an_image_of_a_registry_is_left_to_the_node_to_pull(tar: Path) -> None:
    heard = io.StringIO()
    assert given(Node(), "registry.example/mine:1", tar, Progress(stream=heard)) == ""
    assert "have to pull it" in heard.getvalue()


def test_a_wrong_variable_is_two_and_writes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.deploy", str(tmp_path / "out"), "--image=mine", "--archive=none"]
    done = subprocess.run([*command, "--watch-namespace=A_b"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("deploy: WATCH_NAMESPACE='A_b'")
    assert not (tmp_path / "out").exists()
