"""Which variables custom resources become, from the project's watches and definitions (CRDs)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from runner.doctor.findings import Place
from runner.doctor.project import Project
from runner.doctor.yamlfile import Node, entries, find, items, place_of, plain, text_of
from runner.execution.snakecase import snake_case

__all__ = ["Resource", "SpecField", "resources"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecField:
    """One property of a spec, at its top level."""

    key: str
    place: Place
    type: str
    """Of the schema; empty: it says none."""
    schema: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind that is watched."""

    group: str
    kind: str
    place: Place
    """Where it is watched."""
    mark_unsafe: bool | None
    """As watches.yaml says; `None`: it does not."""
    fields: Mapping[str, SpecField]
    """Variable name to the property it comes from. Empty where there is no definition in the project."""

    @property
    def names(self) -> tuple[str, str]:
        """The variables that hold the whole object, and its spec."""
        name = f"_{self.group}_{self.kind.lower()}".replace(".", "_").replace("-", "_")
        return (name, f"{name}_spec")


def resources(project: Project) -> tuple[Resource, ...]:
    """Return what watches.yaml names, each kind once, with the properties that its definition lists."""
    found: dict[tuple[str, str], Resource] = {}
    for path in project.watch_files:
        for document in project.yaml[path].documents:
            for watch in items(document):
                lowered = {key.lower(): value for key, _, value in entries(watch)}
                group, kind = (str(plain(lowered.get(key)) or "") for key in ("group", "kind"))
                rename = plain(lowered.get("snakecaseparameters")) is not False
                unsafe = plain(lowered.get("markunsafe")) if "markunsafe" in lowered else None
                found.setdefault((group, kind), Resource(
                    group=group,
                    kind=kind,
                    place=place_of(path, watch),
                    mark_unsafe=None if unsafe is None else unsafe in {True, "true"},
                    fields=MappingProxyType(dict(_fields(project, group, kind, rename=rename))),
                ))  # fmt: skip
    return tuple(found.values())


def _fields(project: Project, group: str, kind: str, *, rename: bool) -> Iterator[tuple[str, SpecField]]:
    for path, document in project.manifests:
        if text_of(find(document, "kind")) != "CustomResourceDefinition":
            continue
        spec = find(document, "spec")
        if (plain(find(spec, "group")), plain(find(spec, "names", "kind"))) != (group, kind):
            continue
        schemas = [find(version, "schema", "openAPIV3Schema") for version in items(find(spec, "versions"))]
        for schema in [*schemas, find(spec, "validation", "openAPIV3Schema")]:
            for key, key_node, value in entries(find(schema, "properties", "spec", "properties")):
                name = snake_case(key) if rename else key
                kind_of_value = text_of(find(value, "type")) or ""
                yield name, SpecField(key=key, place=place_of(path, key_node), type=kind_of_value, schema=value)
