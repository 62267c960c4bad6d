"""Which changes are worth a reconcile: pure functions over what an informer keeps of an object.

A primary object is kept as `objects.Meta`, a dependent one as `Dependent`: digests in place of its text, so that ten
thousand of them are cheap. Does not read the cluster and does not know who owns whom (`handlers` does).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runner.objects import Meta, OwnerReference, Raw, Uid

__all__ = [
    "PRIMARY_ANNOTATION",
    "PRIMARY_TYPE_ANNOTATION",
    "Dependent",
    "DependentStatus",
    "Requirement",
    "Selector",
    "SelectorError",
    "changed",
    "dependent_changed",
]

PRIMARY_ANNOTATION = "operator-sdk/primary-resource"
"""Names the owner where an owner reference can't: `namespace/name`, `name` or `/name`."""
PRIMARY_TYPE_ANNOTATION = "operator-sdk/primary-resource-type"
"""That owner's `Kind.group`, or `Kind` in the core group."""

DependentStatus = Literal["false", "terminal", "all"]
"""Which status changes of a dependent count: none, reaching its end, or each."""

_UNSTABLE_METADATA = ("resourceVersion", "managedFields", "generation")
_TERMINAL_CONDITIONS = ("Complete", "Failed")
_TERMINAL_PHASES = ("Succeeded", "Failed")


def changed(old: Meta | None, new: Meta | None, *, annotations: bool) -> bool:
    """Tell whether a primary object should be reconciled after this change.

    Creation and deletion always; an update if what its author wrote changed (the generation says so, except for
    kinds that have none, of which each update counts), or deletion began. A status write of ours does not count.
    A change of annotations counts where `annotations` says so.
    """
    if old is None or new is None:
        return True
    if old.uid != new.uid or old.deleting != new.deleting or old.generation != new.generation:
        return True
    if old.generation == 0:
        return True
    return annotations and dict(old.annotations) != dict(new.annotations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """What is kept of an object that some primary object may own."""

    uid: Uid
    owners: tuple[OwnerReference, ...] = ()
    primary: str = ""
    """Value of `PRIMARY_ANNOTATION`."""
    primary_type: str = ""
    """Value of `PRIMARY_TYPE_ANNOTATION`."""
    digest: str = ""
    """Of everything but the status and what the server counts by itself."""
    status_digest: str = ""
    """Of the status; empty if there is none."""
    finished: str = ""
    """The end it reached, such as `Complete`, `Succeeded` or `Failed`; empty while it may still change by itself."""

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> "Dependent":
        meta: Mapping[str, Any] = obj.get("metadata") or {}
        annotations: Mapping[str, str] = meta.get("annotations") or {}
        status = obj.get("status")
        return cls(
            uid=Uid(str(meta.get("uid") or "")),
            owners=tuple(OwnerReference.of(owner) for owner in meta.get("ownerReferences") or ()),
            primary=str(annotations.get(PRIMARY_ANNOTATION) or ""),
            primary_type=str(annotations.get(PRIMARY_TYPE_ANNOTATION) or ""),
            digest=_digest(_stable(obj)),
            status_digest=_digest(status) if status else "",
            finished=_finished(obj),
        )


def dependent_changed(old: Dependent | None, new: Dependent | None, *, status: DependentStatus) -> bool:
    """Tell whether the owners of a dependent object should be reconciled after this change.

    Deletion always. An update if anything but the status changed, or by the rule that `status` names. Creation never
    (the owner made it itself), except where the status counts and the object shows up with one that counts: then
    the change happened while nobody watched, such as a Job that finished before its kind was first listed.
    """
    if new is None:
        return True
    if old is None:
        return _status_news(None, new, status)
    return old.uid != new.uid or old.digest != new.digest or _status_news(old, new, status)


def _status_news(old: Dependent | None, new: Dependent, status: DependentStatus) -> bool:
    match status:
        case "all":
            return new.status_digest != (old.status_digest if old else "")
        case "terminal":
            return new.finished not in ("", old.finished if old else "")
        case "false":
            return False


def _stable(obj: Mapping[str, Any]) -> Raw:
    # apiVersion and kind never change, and the items of a list may come without them.
    stable = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    meta: Mapping[str, Any] = obj.get("metadata") or {}
    stable["metadata"] = {key: value for key, value in meta.items() if key not in _UNSTABLE_METADATA}
    return stable


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _finished(obj: Mapping[str, Any]) -> str:
    status = obj.get("status")
    if not isinstance(status, Mapping):
        return ""
    if obj.get("kind") == "Pod" and obj.get("apiVersion") == "v1":
        phase = status.get("phase")
        return str(phase) if phase in _TERMINAL_PHASES else ""
    conditions = status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if (
            isinstance(condition, Mapping)
            and condition.get("type") in _TERMINAL_CONDITIONS
            and condition.get("status") == "True"
        ):
            return str(condition["type"])
    return ""


class SelectorError(ValueError):
    """A label selector that means nothing."""

    problems: tuple[str, ...]
    """Each with the path below the selector, such as `matchExpressions[0].operator: ...`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """One condition on one label; the operators are those of the API."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return self.key not in labels or labels[self.key] not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels

    def __str__(self) -> str:
        match self.operator:
            case "In" if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case "In":
                return f"{self.key} in ({','.join(self.values)})"
            case "NotIn":
                return f"{self.key} notin ({','.join(self.values)})"
            case "Exists":
                return self.key
            case _:
                return f"!{self.key}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A `metav1.LabelSelector`: all requirements must hold; without any it matches everything.

    `str()` is the form that the query parameter `labelSelector` takes.
    """

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, raw: Mapping[str, Any] | None) -> "Selector":
        """Read `matchLabels` and `matchExpressions`; `None` and an empty mapping match everything.

        Raises:
            SelectorError: with all that is wrong, not only the first.
        """
        problems: list[str] = []
        raw = _typed(raw, dict, "selector", problems) or {}
        problems += [
            f"{key}: unknown (have: matchExpressions, matchLabels)"
            for key in raw
            if key not in ("matchLabels", "matchExpressions")
        ]
        requirements = []
        for key, value in (_typed(raw.get("matchLabels"), dict, "matchLabels", problems) or {}).items():
            problems += _key_problems(key, "matchLabels") + _value_problems(value, f"matchLabels.{key}")
            requirements.append(Requirement(str(key), "In", (str(value),)))
        expressions = _typed(raw.get("matchExpressions"), list, "matchExpressions", problems) or []
        for index, expression in enumerate(expressions):
            requirements.append(_expression(expression, f"matchExpressions[{index}]", problems))
        if problems:
            raise SelectorError(problems)
        return cls(tuple(sorted(requirements)))

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def _expression(raw: Any, where: str, problems: list[str]) -> Requirement:
    raw = _typed(raw, dict, where, problems) or {}
    problems += [
        f"{where}.{key}: unknown (have: key, operator, values)"
        for key in raw
        if key not in ("key", "operator", "values")
    ]
    key, operator = raw.get("key"), raw.get("operator")
    values = _typed(raw.get("values"), list, f"{where}.values", problems) or []
    problems += _key_problems(key, f"{where}.key")
    for index, value in enumerate(values):
        problems += _value_problems(value, f"{where}.values[{index}]")
    if operator in ("In", "NotIn"):
        if not values:
            problems.append(f"{where}.values: {operator} needs at least one")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            problems.append(f"{where}.values: {operator} takes none")
    else:
        problems.append(f"{where}.operator: {operator!r} is none of In, NotIn, Exists, DoesNotExist")
    return Requirement(str(key), str(operator), tuple(sorted(str(value) for value in values)))


def _typed[V](raw: Any, wanted: type[V], where: str, problems: list[str]) -> V | None:
    if raw is None or isinstance(raw, wanted):
        return raw
    problems.append(f"{where}: must be a {'mapping' if wanted is dict else 'list'}, not {type(raw).__name__}")
    return None


def _key_problems(key: Any, where: str) -> list[str]:
    if isinstance(key, str):
        prefix, slash, name = key.rpartition("/")
        good_prefix = not slash or (len(prefix) <= 253 and _PREFIX.fullmatch(prefix))
        if good_prefix and _NAME.fullmatch(name):
            return []
    return [f"{where}: {key!r} is no label key"]


def _value_problems(value: Any, where: str) -> list[str]:
    if not isinstance(value, str):
        return [f"{where}: {value!r} must be a string; quote it"]
    if value and not _NAME.fullmatch(value):
        return [f"{where}: {value!r} is no label value"]
    return []
