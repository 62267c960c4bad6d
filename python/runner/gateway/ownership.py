"""How a child says whose it is: owner reference or annotations, and when we may write them. Pure.

A child of ours carries our mark; an object that was there without it is never adopted, and one that has it never
loses it by a replace or an apply that does not mention it. Does not look at the cluster.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.objects import GroupVersionKind, ObjectRef, OwnerReference, Raw, Resource, Uid
from runner.predicates import PRIMARY_ANNOTATION, PRIMARY_TYPE_ANNOTATION

__all__ = ["BadMetadata", "Marks", "Owner", "held_marks", "kept_marks", "owner_marks", "with_owner"]


class BadMetadata(Exception):  # noqa: N818 - reads as what it is
    """An object whose metadata has not the API's shape; the text names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The object that a run serves."""

    gvk: GroupVersionKind
    ref: ObjectRef
    uid: Uid
    namespaced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a child carries of its owner: a raw owner reference, annotations, or both."""

    reference: Raw | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)


def owner_marks(owner: Owner, child: Resource, child_namespace: str, *, controller: bool = False) -> Marks:
    """Choose the mark for a new child: a reference wherever garbage collection honours one, else annotations.

    `controller` marks the reference as the managing one and has deletion of the owner wait for the child.
    """
    same_scope = child.namespaced and child_namespace == owner.ref.namespace
    if owner.namespaced and not same_scope:
        return Marks(annotations=_annotations(owner))
    reference = OwnerReference(
        gvk=owner.gvk,
        name=owner.ref.name,
        uid=owner.uid,
        controller=controller,
        block_owner_deletion=controller,
    )
    return Marks(reference=reference.as_raw())


def _annotations(owner: Owner) -> dict[str, str]:
    kind = f"{owner.gvk.kind}.{owner.gvk.group}" if owner.gvk.group else owner.gvk.kind
    return {PRIMARY_ANNOTATION: str(owner.ref), PRIMARY_TYPE_ANNOTATION: kind}


def held_marks(existing: Mapping[str, Any], owner: Owner) -> Marks | None:
    """Find our marks on an object, as they stand there; `None` if it is not ours."""
    metadata = existing.get("metadata") or {}
    reference = next((ref for ref in metadata.get("ownerReferences") or () if ref.get("uid") == owner.uid), None)
    wanted = _annotations(owner)
    present = metadata.get("annotations") or {}
    annotated = all(present.get(key) == value for key, value in wanted.items())
    if reference is None and not annotated:
        return None
    return Marks(reference=reference, annotations=wanted if annotated else {})


def with_owner(body: Raw, marks: Marks) -> Raw:
    """Return the object with the marks added; a reference with our UID that is there already stays as it is.

    Raises:
        BadMetadata: there is no place to add them.
    """
    metadata = dict(_field(body, "metadata", dict))
    if marks.reference is not None:
        references = _field(metadata, "ownerReferences", list)
        metadata["ownerReferences"] = _with_reference(references, marks.reference)
    if marks.annotations:
        metadata["annotations"] = {**_field(metadata, "annotations", dict), **marks.annotations}
    return {**body, "metadata": metadata}


def kept_marks(existing: Mapping[str, Any] | None, owner: Owner, marks: Marks) -> Marks | None:
    """Choose what a PUT or a server-side apply must carry, by what is there now (`None`: nothing).

    Absent: it is a creation, so `marks`, those for a new child. Present and ours: what marks it there, repeated to
    the letter, because a replace drops what it does not repeat, and an apply gives up what it does not repeat.
    Present and not ours: `None`, so the object is sent untouched.
    """
    return marks if existing is None else held_marks(existing, owner)


def _with_reference(references: list[Any], reference: Raw) -> list[Any]:
    if any(isinstance(other, dict) and other.get("uid") == reference["uid"] for other in references):
        return references
    added = copy.copy(reference)
    if any(isinstance(other, dict) and other.get("controller") is True for other in references):
        added.pop("controller", None)  # the API server refuses a second managing controller
    return [*references, added]


def _field(obj: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    value = obj.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise BadMetadata(f"{key} must be {'a list' if kind is list else 'a mapping'}, not {type(value).__name__}")
    return value
