"""The kinds as a catalog shows them: each field of spec and status, with the words of the definition's own schema."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.objects import Raw
from scripts.bundle.errors import BundleError

__all__ = ["owned"]

_UI = "urn:alm:descriptor:com.tectonic.ui"
_WIDGETS = {"boolean": f"{_UI}:booleanSwitch", "integer": f"{_UI}:number", "string": f"{_UI}:text"}
_CONDITIONS = "urn:alm:descriptor:io.kubernetes.conditions"


def owned(definitions: Iterable[Raw], written: Sequence[Raw]) -> list[Raw]:
    """Describe every served version of every definition.

    Args:
        definitions: CustomResourceDefinitions.
        written: what people have said of them in the base, as `customresourcedefinitions.owned`; theirs wins.

    Raises:
        BundleError: something is said of a kind that no definition has.
    """
    described = {
        (definition["metadata"]["name"], version["name"]): _described(definition, version)
        for definition in definitions
        for version in definition["spec"]["versions"]
        if version["served"]
    }
    for entry in written:
        key = (entry["name"], entry["version"])
        if key not in described:
            known = ", ".join("/".join(each) for each in described)
            raise BundleError(f"ClusterServiceVersion owns {'/'.join(key)}, which no definition has (have: {known})")
        described[key] = {**described[key], **entry}
    return list(described.values())


def _described(definition: Raw, version: Raw) -> Raw:
    schema = version["schema"]["openAPIV3Schema"]
    kind = definition["spec"]["names"]["kind"]
    return {
        "name": definition["metadata"]["name"],
        "version": version["name"],
        "kind": kind,
        "displayName": _words(kind),
        "description": schema.get("description", ""),
        "specDescriptors": _descriptors(schema, "spec", _spec_widget),
        "statusDescriptors": _descriptors(schema, "status", _status_widget),
    }


def _descriptors(schema: Mapping[str, Any], half: str, widget: Any) -> list[Raw]:
    fields = schema["properties"].get(half, {}).get("properties", {})
    return [_descriptor(path, field, widget(path, field)) for path, field in sorted(fields.items())]


def _descriptor(path: str, field: Mapping[str, Any], widget: str | None) -> Raw:
    shown = {"path": path, "displayName": _words(path), "description": field.get("description", "")}
    return {**shown, "x-descriptors": [widget]} if widget else shown


def _spec_widget(_path: str, field: Mapping[str, Any]) -> str | None:
    return _WIDGETS.get(field["type"])


def _status_widget(path: str, _field: Mapping[str, Any]) -> str | None:
    return _CONDITIONS if path == "conditions" else None


def _words(name: str) -> str:
    """`observedGeneration` -> `Observed Generation`."""
    return " ".join(part[0].upper() + part[1:] for part in re.findall(r"[A-Z]?[^A-Z]+|[A-Z]+(?![a-z])", name))
