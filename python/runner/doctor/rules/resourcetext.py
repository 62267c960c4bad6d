"""Text of custom resources is data here and a template in the Go runtime (`markUnsafe`, true here, false there)."""

from collections.abc import Iterator

from runner.doctor import jinja
from runner.doctor.crds import Resource
from runner.doctor.findings import Finding, Severity
from runner.doctor.project import Project
from runner.doctor.variables import Variables
from runner.doctor.yamlfile import Node, entries, find, items, place_of, plain, scalars, text_of

__all__ = ["check"]

_REMEDY = (
    "let the role make the text, or set `markUnsafe: false` for this kind in watches.yaml (whoever may write the "
    "resource can then run code as the operator)"
)


def check(project: Project, variables: Variables) -> Iterator[Finding]:
    off = any("--mark-unsafe=false" in text for text in project.set_up())
    data = [
        resource for resource in variables.resources
        if resource.mark_unsafe is True or (resource.mark_unsafe is None and not off)
    ]  # fmt: skip
    for resource in data:
        if resource.mark_unsafe is None:
            yield Finding(
                place=resource.place,
                rule="resource-text",
                severity=Severity.INFO,
                what=f"text in {resource.kind} resources is data here, where the Go runtime renders templates in it",
                remedy="nothing has to be done unless resources hold templates on purpose",
            )
    for path, document in project.manifests:
        kind = (str(plain(find(document, "apiVersion")) or "").rpartition("/")[0], text_of(find(document, "kind")))
        for resource in data:
            # What molecule applies is often a template itself.
            if kind == (resource.group, resource.kind) and "molecule" not in path.split("/"):
                yield from _templates(path, find(document, "spec"), resource, "has a template in its spec")
    for resource in data:
        for field in resource.fields.values():
            for node in _defaults(field.schema):
                yield from _templates(
                    field.place.file, node, resource, f"has a template as default of spec.{field.key}"
                )


def _templates(path: str, node: Node | None, resource: Resource, what: str) -> Iterator[Finding]:
    for scalar in scalars(node):
        text = text_of(scalar)
        if text is not None and jinja.delimited(text):
            yield Finding(
                place=place_of(path, scalar),
                rule="resource-text-template",
                severity=Severity.CHANGE,
                what=f"{resource.kind} {what}, which reaches the role as it stands here",
                remedy=_REMEDY,
            )


def _defaults(schema: Node) -> Iterator[Node]:
    """Yield `default` of a schema and of the schemas in it."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        default = find(node, "default")
        if default is not None:
            yield default
        waiting += [value for _, _, value in entries(find(node, "properties"))]
        waiting += [part for part in (find(node, "items"), find(node, "additionalProperties")) if part is not None]
        for key in ("allOf", "anyOf", "oneOf"):
            waiting += items(find(node, key))
