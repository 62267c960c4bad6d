"""What stands in manifests: rendered objects, and the rights that RBAC objects give, one by one."""

import itertools
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from runner import settings
from runner.objects import Raw

__all__ = ["Right", "assert_room_in_tmp", "kustomized", "one", "parsed", "rights_of"]


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource, as RBAC knows them."""

    group: str
    resource: str
    """With its subresource: `echos/status`."""
    verb: str
    names: tuple[str, ...] = ()
    """The objects it is restricted to; empty: none in particular."""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}"

    def as_rule(self) -> Raw:
        rule: Raw = {"apiGroups": [self.group], "resources": [self.resource], "verbs": [self.verb]}
        return {**rule, "resourceNames": list(self.names)} if self.names else rule


def kustomized(kubectl: Path, directory: Path) -> list[Raw]:
    """The objects of a kustomization."""
    done = subprocess.run([kubectl, "kustomize", directory], check=True, capture_output=True, text=True)
    return parsed(done.stdout)


def parsed(text: str) -> list[Raw]:
    """The objects of a file of manifests; empty documents are left out."""
    return [obj for obj in yaml.safe_load_all(text) if obj]


def one(objects: Iterable[Raw], kind: str, name: str = "") -> Raw:
    """The only object of that kind; with `name`, the one that is called so."""
    (found,) = (obj for obj in objects if obj["kind"] == kind and name in {"", obj["metadata"]["name"]})
    return found


def rights_of(objects: Iterable[Raw], account: str) -> set[Right]:
    """What a service account may do to resources, wherever it may, by the bindings among these objects."""
    objects = list(objects)
    roles = {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects if obj["kind"] in {"Role", "ClusterRole"}}
    bound = {
        (obj["roleRef"]["kind"], obj["roleRef"]["name"])
        for obj in objects
        if obj["kind"] in {"RoleBinding", "ClusterRoleBinding"}
        and any(subject["name"] == account for subject in obj["subjects"])
    }
    return {right for key in bound for rule in roles[key]["rules"] for right in _rights_in(rule)}


def _rights_in(rule: Raw) -> list[Right]:
    names = tuple(rule.get("resourceNames") or ())
    each = itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    return [Right(group, resource, verb, names) for group, resource, verb in each]


def assert_room_in_tmp(deployment: Raw) -> None:
    """Half of what the operator's Pod may have in /tmp is for runs that are over, and not more."""
    pod = deployment["spec"]["template"]["spec"]
    (tmp,) = (volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "tmp")
    (container,) = pod["containers"]
    known = {option.flag: option for option in settings.TABLE}
    flags = dict(argument.partition("=")[::2] for argument in container["args"])
    option = known["--artifacts-limit"]
    kept, room = (option.parse(text) for text in (flags.get(option.flag, str(option.default)), tmp["sizeLimit"]))
    assert 2 * kept <= room
