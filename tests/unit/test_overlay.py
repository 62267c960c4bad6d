"""The kustomization that `make deploy` writes, as values."""

from pathlib import Path

import pytest
import yaml

from harness import ROOT
from scripts.overlay import ImageError, NamespaceError, overlay

HERE = ROOT / ".work" / "deploy"


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("mine", {"newName": "mine", "newTag": "latest"}),
        ("localhost/mine:dev", {"newName": "localhost/mine", "newTag": "dev"}),
        ("registry:5000/a/b", {"newName": "registry:5000/a/b", "newTag": "latest"}),
        ("registry:5000/a/b:1.2", {"newName": "registry:5000/a/b", "newTag": "1.2"}),
        ("a/b@sha256:00ff", {"newName": "a/b", "digest": "sha256:00ff"}),
        ("a/b:1.2@sha256:00ff", {"newName": "a/b", "digest": "sha256:00ff"}),
    ],
)
def test_image_is_taken_as_a_container_engine_takes_it(image: str, parts: dict[str, str]) -> None:
    (file,) = overlay(HERE, image=image).values()
    assert file["images"] == [{"name": "controller", **parts}]


@pytest.mark.parametrize("image", ["", "a/", "a:1:2", "a:", "a@"])
def test_what_is_no_image_is_refused_by_the_name_of_the_variable(image: str) -> None:
    with pytest.raises(ImageError, match=r"^IMG='.*no image; give name:tag"):
        overlay(HERE, image=image)


def test_all_namespaces_need_nothing_but_the_default() -> None:
    files = overlay(HERE, image="mine")
    assert files["kustomization.yaml"]["resources"] == ["../../config/default"]
    assert "patches" not in files["kustomization.yaml"]


def test_each_watched_namespace_gets_a_binding_of_its_own_and_all_together_lose_theirs() -> None:
    files = overlay(HERE, image="mine", namespaces=["a", "b"])
    bindings = files["role_bindings.yaml"]["items"]
    assert [(entry["kind"], entry["metadata"]["namespace"]) for entry in bindings] == [
        ("RoleBinding", "a"),
        ("RoleBinding", "b"),
    ]
    watching, removed = (yaml.safe_load(entry["patch"]) for entry in files["kustomization.yaml"]["patches"])
    assert (removed["kind"], removed["$patch"]) == ("ClusterRoleBinding", "delete")
    (container,) = watching["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "WATCH_NAMESPACE", "value": "a,b"}]


def test_what_is_no_namespace_is_refused_by_the_name_of_the_variable() -> None:
    with pytest.raises(NamespaceError, match=r"^WATCH_NAMESPACE='A_b'"):
        overlay(HERE, image="mine", namespaces=["a", "A_b"])


def test_way_to_the_manifests_is_right_from_anywhere(tmp_path: Path) -> None:
    (directory,) = overlay(tmp_path / "x" / "y", image="mine")["kustomization.yaml"]["resources"]
    assert (tmp_path / "x" / "y" / directory).resolve() == ROOT / "config" / "default"


def test_another_image_of_its_name_means_other_pods() -> None:
    """Else a rebuilt image would not be run: nothing in the Deployment had changed."""
    (patch,) = overlay(HERE, image="mine", image_id="sha256:00ff")["kustomization.yaml"]["patches"]
    template = yaml.safe_load(patch["patch"])["spec"]["template"]
    assert template["metadata"]["annotations"] == {"echoperator/image-id": "sha256:00ff"}


def test_the_jobs_image_is_the_operators_to_know() -> None:
    (patch,) = overlay(HERE, image="mine", echo_image="localhost/busybox:1")["kustomization.yaml"]["patches"]
    (container,) = yaml.safe_load(patch["patch"])["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "RELATED_IMAGE_ECHO", "value": "localhost/busybox:1"}]
