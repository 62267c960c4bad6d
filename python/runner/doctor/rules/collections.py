"""Collections that roles and playbooks use, that requirements.yml installs, and that come with the operator."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runner.doctor import uses
from runner.doctor.findings import Finding, Place, Severity
from runner.doctor.project import Project
from runner.doctor.shipped import Shipped
from runner.doctor.yamlfile import Node, find, items, place_of, plain, text_of

__all__ = ["check", "required"]

_IN_COMMAND = re.compile(r"ansible-galaxy\s+collection\s+install\s+(?P<rest>[^&;|\n]*)")
_ARGUMENT = re.compile(r"(?<![\w./-])([a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*)(?=[:\s]|$)")
_UTIL = "operator_sdk.util"


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """One entry of requirements.yml."""

    name: str
    """Empty: an address, of which the name cannot be told."""
    version: str
    place: Place


def check(project: Project, shipped: Shipped) -> Iterator[Finding]:
    """Compare what is used with what is there."""
    wanted = required(project)
    yield from _pins(wanted, shipped)
    # An entry that is an address, of a repository or a file, may bring any collection.
    if all(entry.name for entry in wanted):
        there = {entry.name for entry in wanted} | set(shipped.collections) | project.collections
        told: set[tuple[str, str]] = set()
        for file in project.task_files:
            if file.in_molecule:
                continue  # runs where molecule does, with what is installed there
            for name, place in uses.of(project, file, shipped):
                if name not in there and (file.path, name) not in told:
                    told.add((file.path, name))
                    yield _missing(name, place)
    yield from _removed(project, shipped)


def required(project: Project) -> list[Required]:
    """Return what requirements.yml files and Dockerfiles install."""
    found = [
        Required(name=_name(item), version=str(plain(find(item, "version")) or ""), place=place_of(file.path, item))
        for file in project.named("requirements.yml", "requirements.yaml")
        for document in file.documents
        for item in items(find(document, "collections"))
    ]
    for path, text in project.dockerfiles.items():
        for command in _IN_COMMAND.finditer(text.replace("\\\n", "  ")):
            line = text.replace("\\\n", "  ").count("\n", 0, command.start()) + 1
            found += [
                Required(name=name, version="", place=Place(path, line)) for name in _ARGUMENT.findall(command["rest"])
            ]
    return found


def _name(item: Node) -> str:
    name = text_of(item) if text_of(item) is not None else text_of(find(item, "name")) or text_of(find(item, "source"))
    name = (name or "").partition(":")[0] if "/" not in (name or "") else ""
    return name if re.fullmatch(r"\w+\.\w+", name) else ""


def _pins(wanted: list[Required], shipped: Shipped) -> Iterator[Finding]:
    for entry in wanted:
        if entry.name == _UTIL:
            yield Finding(
                place=entry.place,
                rule="collection-own",
                severity=Severity.INFO,
                what=f"{_UTIL} comes with the operator, and its copy is used whatever is installed",
                remedy="the entry can go; --prefer-project-util uses the installed one",
            )
        elif entry.name == "cloud.common":
            yield Finding(
                place=entry.place,
                rule="collection-turbo",
                severity=Severity.INFO,
                what="cloud.common serves the turbo mode of old versions of kubernetes.core, which is not used here",
                remedy="the entry can go, unless a role names the collection",
            )
        elif entry.name in shipped.collections and entry.version not in {"", "*", shipped.collections[entry.name]}:
            yield Finding(
                place=entry.place,
                rule="collection-version",
                # A range most likely ends at the version that is shipped, or past it.
                severity=Severity.CHANGE if entry.version[:1].isdigit() else Severity.INFO,
                what=f"{entry.name} {entry.version} replaces the {shipped.collections[entry.name]} that comes with the "
                "operator, was not tested with it, and has each of its modules started as a process of its own",
                remedy="remove the entry",
            )


def _missing(name: str, place: Place) -> Finding:
    return Finding(
        place=place,
        rule="collection-missing",
        severity=Severity.ERROR,
        what=f"the collection {name} is used here, but neither comes with the operator nor is in requirements.yml",
        remedy=f"add `- name: {name}` to requirements.yml",
    )


def _removed(project: Project, shipped: Shipped) -> Iterator[Finding]:
    removed = shipped.removed
    for file in project.task_files:
        for task in file.tasks:
            if task.module in removed and task.action_node is not None and not project.has_module(task.module):
                yield Finding(
                    place=place_of(file.path, task.action_node),
                    rule="module-removed",
                    severity=Severity.ERROR,
                    what=f"the module {task.module} is not part of ansible-core any more",
                    remedy=removed[task.module].rstrip(".")[:1].lower() + removed[task.module].rstrip(".")[1:],
                )
