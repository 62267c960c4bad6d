"""Kubernetes' names for things: kinds, references, owner references and the metadata we act on.

Everything here is a value. Raw API objects stay `dict` (`Raw`) and never travel past `reconciler`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NewType

__all__ = [
    "GroupVersionKind",
    "Meta",
    "ObjectRef",
    "OwnerReference",
    "Raw",
    "Resource",
    "RunId",
    "Uid",
    "WatchEvent",
    "format_time",
    "parse_time",
    "root_of",
]

Raw = dict[str, Any]
"""An API object or patch body as decoded JSON."""

Uid = NewType("Uid", str)
RunId = NewType("RunId", str)


@dataclass(frozen=True, slots=True, order=True)
class GroupVersionKind:
    """A kind with its group and version; the core group is the empty string."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """As written in manifests: `batch/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> "GroupVersionKind":
        """Read `apiVersion` and `kind` of a raw object; a missing one becomes the empty string."""
        return cls.parse(str(obj.get("apiVersion") or ""), str(obj.get("kind") or ""))

    @classmethod
    def parse(cls, api_version: str, kind: str) -> "GroupVersionKind":
        return _parse_gvk(api_version, kind)

    def __str__(self) -> str:
        """Operator SDK's spelling, the value of the metric label `GVK`."""
        return f"{self.api_version}, Kind={self.kind}"


@lru_cache(maxsize=256)
def _parse_gvk(api_version: str, kind: str) -> GroupVersionKind:
    # Remembered, so that ten thousand owner references share one value.
    group, _, version = api_version.rpartition("/")
    return GroupVersionKind(group, version, kind)


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Which object of a known kind; the namespace is empty for cluster-scoped ones. The only thing a queue holds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def root_of(group: str, version: str) -> str:
    """The path below which a group and version are served, without a trailing slash; the core group has no name."""
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind as the API server serves it."""

    gvk: GroupVersionKind
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    subresources: frozenset[str] = frozenset()

    @property
    def root(self) -> str:
        """The path below which its group and version are served, without a trailing slash."""
        return root_of(self.gvk.group, self.gvk.version)

    def path(self, ref: ObjectRef | None = None, *, namespace: str = "", subresource: str = "") -> str:
        """The collection's path, or one object's where `ref` is given."""
        if ref is not None:
            namespace = ref.namespace
        parts = [self.root]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if ref is not None:
            parts.append(ref.name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerReference:
    """One entry of `metadata.ownerReferences`."""

    gvk: GroupVersionKind
    name: str
    uid: Uid
    controller: bool = False
    block_owner_deletion: bool = False

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "OwnerReference":
        return cls(
            gvk=GroupVersionKind.of(raw),
            name=str(raw.get("name") or ""),
            uid=Uid(str(raw.get("uid") or "")),
            controller=bool(raw.get("controller")),
            block_owner_deletion=bool(raw.get("blockOwnerDeletion")),
        )

    def as_raw(self) -> Raw:
        """The API's shape; false flags are left out, as the Go runtime does."""
        raw: Raw = {
            "apiVersion": self.gvk.api_version,
            "kind": self.gvk.kind,
            "name": self.name,
            "uid": self.uid,
        }
        if self.controller:
            raw["controller"] = True
        if self.block_owner_deletion:
            raw["blockOwnerDeletion"] = True
        return raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """The metadata that predicates, handlers and decisions look at."""

    ref: ObjectRef
    uid: Uid = Uid("")
    resource_version: str = ""
    generation: int = 0
    deleting: bool = False
    created: str = ""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    finalizers: tuple[str, ...] = ()
    owners: tuple[OwnerReference, ...] = ()

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> "Meta":
        """Read a raw object; nothing is required of it, absent fields get their zero value."""
        raw: Mapping[str, Any] = obj.get("metadata") or {}
        return cls(
            ref=ObjectRef(str(raw.get("namespace") or ""), str(raw.get("name") or "")),
            uid=Uid(str(raw.get("uid") or "")),
            resource_version=str(raw.get("resourceVersion") or ""),
            generation=int(raw.get("generation") or 0),
            deleting=bool(raw.get("deletionTimestamp")),
            created=str(raw.get("creationTimestamp") or ""),
            labels=raw.get("labels") or {},
            annotations=raw.get("annotations") or {},
            finalizers=tuple(raw.get("finalizers") or ()),
            owners=tuple(OwnerReference.of(owner) for owner in raw.get("ownerReferences") or ()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """One change of one object, as the informer hands it on.

    `old` is what the informer held before (`None` for a first sight), `new` what it holds now (`None` once deleted):
    whatever the informer's projection keeps of an object, so never its full text. `initial` marks objects that
    were there when the informer first listed.
    """

    ref: ObjectRef
    old: Any | None
    new: Any | None
    initial: bool = False


def parse_time(text: str) -> datetime:
    """Parse RFC 3339 as Kubernetes writes it, with or without fractions.

    Raises:
        ValueError: `text` is no RFC 3339 time.
    """
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def format_time(instant: datetime) -> str:
    """Format as metav1.Time does: whole seconds, `Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
