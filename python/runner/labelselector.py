"""Label selectors as manifests write them: read, checked, matched and written as a query parameter. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["EVERYTHING", "Requirement", "Selector", "SelectorError"]


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


EVERYTHING = Selector()

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
