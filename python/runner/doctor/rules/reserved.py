"""Names that mean something to Ansible itself, as fields of custom resources and as variables of roles."""

from collections.abc import Iterator

from runner.doctor.findings import Finding, Place, Severity
from runner.doctor.plays import variables_of
from runner.doctor.project import Project
from runner.doctor.variables import Variables
from runner.doctor.yamlfile import Node, entries, place_of, text_of
from runner.execution.reserved import MAGIC, RESERVED

__all__ = ["check"]


def check(project: Project, variables: Variables) -> Iterator[Finding]:
    yield from _fields(variables)
    for path, mapping in project.variable_files:
        yield from _names(path, [(key, key_node) for key, key_node, _ in entries(mapping)])
    for file in project.task_files:
        for task in file.tasks:
            registered = task.keyword("register")
            name = text_of(registered)
            pairs = [(key, node) for key, node, _ in variables_of(task)]
            yield from _names(file.path, [*pairs, *([(name, registered)] if name and registered else [])])


def _fields(variables: Variables) -> Iterator[Finding]:
    for resource in variables.resources:
        for name, field in resource.fields.items():
            if name.startswith("ansible_") or name in MAGIC:
                yield Finding(
                    place=field.place,
                    rule="resource-field-refused",
                    severity=Severity.ERROR,
                    what=f"spec.{field.key} of {resource.kind} becomes the variable {name}, which steers Ansible "
                    "itself; resources that set it are refused here",
                    remedy="rename the field, or nest it in another one",
                )
            elif name in RESERVED:
                yield Finding(
                    place=field.place,
                    rule="resource-field-reserved",
                    severity=Severity.INFO,
                    what=f"spec.{field.key} of {resource.kind} becomes the variable {name}, an Ansible keyword; "
                    "it works, and Ansible warns",
                    remedy="nothing has to be done; another name would end the warning",
                )


def _names(path: str, found: list[tuple[str, Node]]) -> Iterator[Finding]:
    for name, node in found:
        # `vars` is Ansible's own and never complained about.
        if name in RESERVED - {"vars"} or name in MAGIC:
            yield _reserved(name, place_of(path, node))


def _reserved(name: str, place: Place) -> Finding:
    meaning = "is set by Ansible, which ignores this one" if name in MAGIC else "is an Ansible keyword"
    return Finding(
        place=place,
        rule="variable-reserved",
        severity=Severity.INFO,
        what=f"the variable {name} {meaning}; ansible-core 2.19 and later warn about it wherever it is set",
        remedy="nothing has to be done; another name would end the warning",
    )
