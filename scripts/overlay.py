"""Write a kustomization over config/default, or another part of config/: with this image, and with what else is asked
for: some namespaces only, another image of the Jobs.

Promises: writes into the directory it is given and nowhere else, so that no file of the work tree changes from one
deployment to the next. Does not look at a cluster.
"""

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ImageError", "NamespaceError", "image_parts", "names", "overlay", "write"]

_CONFIG = Path(__file__).resolve().parent.parent / "config"
_PREFIX = "echoperator-"
_SYSTEM = "echoperator-system"
_RBAC = "rbac.authorization.k8s.io"
_IMAGE_ID = "echoperator/image-id"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class ImageError(ValueError):
    """No name of an image."""


class NamespaceError(ValueError):
    """No name of a namespace."""


def overlay(
    directory: Path,
    *,
    image: str,
    namespaces: Sequence[str] = (),
    config: str = "default",
    echo_image: str = "",
    image_id: str = "",
) -> dict[str, Any]:
    """Make the kustomization's files, by name; the content is what YAML is to be written of.

    Args:
        directory: where they will stand, for the way from there to config/.
        image: as a container engine takes it: `name`, `name:tag`, `name@sha256:...`.
        namespaces: those that the operator may see, and no others; empty: all.
        config: which directory of config/ it goes over.
        echo_image: the image of the Jobs; empty: the role's.
        image_id: what tells the image from another one of its name. It becomes an annotation of the Pods, so that
            another image means other Pods. Empty: nothing is said.

    Raises:
        ImageError: the image has no name, or two tags.
        NamespaceError: a name that no namespace can have.
    """
    wrong = [name for name in namespaces if not _LABEL.fullmatch(name)]
    if wrong:
        raise NamespaceError(f"WATCH_NAMESPACE={wrong[0]!r}: no name of a namespace; give a comma list, such as a,b")
    kustomization: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(_CONFIG / config, directory)],
        "images": [{"name": "controller", **image_parts(image)}],
    }
    patches = [_manager(namespaces, echo_image, image_id)] if namespaces or echo_image or image_id else []
    files: dict[str, Any] = {"kustomization.yaml": kustomization}
    if namespaces:
        kustomization["resources"].append("role_bindings.yaml")
        patches.append(_unbound())
        bindings = [_bound(name) for name in namespaces]
        files["role_bindings.yaml"] = {"apiVersion": "v1", "kind": "List", "items": bindings}
    if patches:
        kustomization["patches"] = [{"patch": yaml.safe_dump(patch)} for patch in patches]
    return files


def names(text: str) -> list[str]:
    """The names in a comma list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def write(directory: Path, files: Mapping[str, Any]) -> None:
    """Write what `overlay` has made, in place of what is there."""
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob("*.yaml"):
        left.unlink()  # what an earlier call wrote for other namespaces
    for name, content in files.items():
        (directory / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def image_parts(image: str) -> Mapping[str, str]:
    """Take an image's name apart, as kustomize wants it: `newName`, and `newTag` or `digest`.

    Raises:
        ImageError: it has no name, or two tags.
    """
    name, at, digest = image.partition("@")
    directory, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if not last or ":" in tag or (colon and not tag) or (at and not digest):
        raise ImageError(f"IMG={image!r}: no image; give name:tag or name@sha256:..., such as localhost/mine:dev")
    parts = {"newName": directory + slash + last}
    if at:
        return {**parts, "digest": digest}
    return {**parts, "newTag": tag or "latest"}


def _unbound() -> dict[str, Any]:
    """Take away what gives the rights in all namespaces."""
    return {**_head("ClusterRoleBinding", f"{_PREFIX}manager-rolebinding"), "$patch": "delete"}


def _bound(namespace: str) -> dict[str, Any]:
    """Give the same rights in one namespace."""
    head = _head("RoleBinding", f"{_PREFIX}manager-rolebinding")
    return {
        **head,
        "metadata": {**head["metadata"], "namespace": namespace},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": f"{_PREFIX}manager-role"},
        "subjects": [{"kind": "ServiceAccount", "name": f"{_PREFIX}controller-manager", "namespace": _SYSTEM}],
    }


def _head(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": {"name": name}}


def _manager(namespaces: Sequence[str], echo_image: str, image_id: str) -> dict[str, Any]:
    variables = {"WATCH_NAMESPACE": ",".join(namespaces), "RELATED_IMAGE_ECHO": echo_image}
    environment = [{"name": name, "value": value} for name, value in variables.items() if value]
    template: dict[str, Any] = {"spec": {"containers": [{"name": "manager", "env": environment}]}}
    if image_id:
        template["metadata"] = {"annotations": {_IMAGE_ID: image_id}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{_PREFIX}controller-manager", "namespace": _SYSTEM},
        "spec": {"template": template},
    }


def main() -> int:
    """Write the files; 2 where they can't be made of what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m scripts.overlay", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--image", required=True)
    parser.add_argument("--watch-namespace", default="", help="comma list; empty: all")
    parser.add_argument("--config", default="default", help="the directory of config/ that is rendered")
    given = parser.parse_args()
    try:
        files = overlay(
            given.directory, image=given.image, namespaces=names(given.watch_namespace), config=given.config
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    write(given.directory, files)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
