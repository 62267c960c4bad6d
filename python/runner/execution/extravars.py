"""A custom resource as Ansible variables (pure).

Promises: every string from the cluster is data, never a template (`mark_unsafe`); no key of the resource reaches
Ansible's own machinery (`ansible_*`, magic names, the markers that Ansible's JSON reader acts on); the same object
gives the same variables or the same error. Does not judge watch variables: whoever writes those owns the operator.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.execution import reserved
from runner.execution.snakecase import snake_case as to_snake_case
from runner.objects import GroupVersionKind, Meta, Raw

__all__ = ["BadParameters", "ExtraVars", "Problem", "build"]

_MARKER = "__ansible_unsafe"
_MAX_DEPTH = 100
"""Ansible and JSON readers recurse; nobody nests a spec this deep by accident."""
_MAX_NAMED = 20
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_HARMLESS_NAME = re.compile(r"[A-Za-z0-9._:-]*")
# kubectl keeps a copy of the whole object there: it would repeat each finding.
_LAST_APPLIED = ("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraVars:
    """What a run gets to know of its object."""

    values: dict[str, Any]
    """JSON-ready; marked strings are `{"__ansible_unsafe": text}`."""
    suspicious: tuple[str, ...] = ()
    """Fields such as `spec.message` whose marked text looks like a template; at most 20."""
    reserved: tuple[str, ...] = ()
    """Top-level variables from the spec that share a name with an Ansible keyword; they work, Ansible warns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One key or text of a resource that may not reach Ansible."""

    field: str
    """Where: `spec.ansible_python_interpreter`."""
    key: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}; {self.remedy}"


class BadParameters(ValueError):  # noqa: N818 - what it names is the error
    """A resource that cannot be handed to Ansible as it is. Names all problems, in the order of the object."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems
        self.field = problems[0].field
        self.key = problems[0].key
        self.remedy = problems[0].remedy

    def __str__(self) -> str:
        shown = [str(problem) for problem in self.problems[:_MAX_NAMED]]
        more = len(self.problems) - len(shown)
        return "\n".join([*shown, f"and {more} more"] if more else shown)


def build(
    obj: Raw,
    *,
    snake_case: bool,
    mark_unsafe: bool,
    watch_vars: Mapping[str, Any],
    finalizer_vars: Mapping[str, Any] | None,
) -> ExtraVars:
    """Make the variables in Operator SDK's order; a later one replaces an earlier one of the same name.

    Raises:
        BadParameters: the resource holds keys or texts that may not reach Ansible.
    """
    spec = obj["spec"] if isinstance(obj.get("spec"), dict) else {}
    conversion = _Conversion(mark=mark_unsafe)
    marked = conversion.mapping(obj, (), rename=False)
    parameters = conversion.mapping(spec, ("spec",), rename=snake_case)
    conversion.check_names(spec, rename=snake_case)
    if conversion.problems:
        raise BadParameters(tuple(dict.fromkeys(conversion.problems)))
    name = _variable_name(GroupVersionKind.of(obj))
    values = {
        **parameters,
        "ansible_operator_meta": _meta(obj, mark_unsafe=mark_unsafe),
        name: marked,
        f"{name}_spec": marked["spec"] if spec else {},
        **watch_vars,
        **(finalizer_vars or {}),
    }
    return ExtraVars(
        values=values,
        suspicious=tuple(dict.fromkeys(conversion.suspicious))[:_MAX_NAMED],
        reserved=tuple(sorted(reserved.RESERVED.intersection(parameters))),
    )


def _variable_name(gvk: GroupVersionKind) -> str:
    """`_mmontes_io_echo`; two leading underscores for the core group."""
    return f"_{gvk.group}_{gvk.kind.lower()}".replace(".", "_").replace("-", "_")


def _meta(obj: Raw, *, mark_unsafe: bool) -> dict[str, Any]:
    """Plain strings as Operator SDK gives them. Some kinds allow nearly any character in a name: mark those."""
    ref = Meta.of(obj).ref
    pairs = {"namespace": ref.namespace, "name": ref.name}
    if not mark_unsafe:
        return dict(pairs)
    return {key: text if _HARMLESS_NAME.fullmatch(text) else {_MARKER: text} for key, text in pairs.items()}


class _Conversion:
    """One walk over an object: marks strings, renames keys and collects what is wrong."""

    def __init__(self, *, mark: bool) -> None:
        self._mark = mark
        self.problems: list[Problem] = []
        self.suspicious: list[str] = []

    def mapping(self, source: Mapping[str, Any], path: Path, *, rename: bool) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        origin: dict[str, str] = {}
        for key, value in source.items():
            inside = (*path, key)
            name = to_snake_case(key) if rename else key
            self._check_key(key, name, inside)
            if name in origin:
                self._collision(inside, key, origin[name], name)
            origin[name] = key
            converted[name] = self._value(value, inside, rename=rename)
        return converted

    def _value(self, value: Any, path: Path, *, rename: bool) -> Any:
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict | list) and len(path) > _MAX_DEPTH:
            self._add(path[:3], "", f"nested more than {_MAX_DEPTH} levels deep", "flatten it")
            return None
        if isinstance(value, dict):
            return self.mapping(value, path, rename=rename)
        if isinstance(value, list):
            return [self._value(item, (*path, index), rename=rename) for index, item in enumerate(value)]
        return value

    def _text(self, text: str, path: Path) -> Any:
        if _unencodable(text):
            self._add(path, "", "holds half a surrogate pair, which is no Unicode text", "write the character itself")
        if not self._mark:
            return text
        if ("{{" in text or "{%" in text) and path[0] in {"spec", "metadata"} and path != _LAST_APPLIED:
            self.suspicious.append(_spell(path))
        return {_MARKER: text}

    def _check_key(self, key: str, name: str, path: Path) -> None:
        if _unencodable(key):
            self._add(path[:-1], key, "has a key that is no Unicode text", "rename the key")
        elif key.startswith("__ansible_") or name.startswith("__ansible_"):
            self._add(path, key, "keys beginning with __ansible_ control Ansible itself", "rename the key")
        elif path[0] == "spec" and not name.strip(" "):
            self._add(path[:-1], key, "has an empty key", "give the key a name")

    def check_names(self, spec: Mapping[str, Any], *, rename: bool) -> None:
        """Refuse top-level names with a power of their own, as renamed: `ansiblePort` arrives as `ansible_port`."""
        for key, name in zip(spec, _names(spec, rename=rename), strict=True):
            if name.startswith("ansible_"):
                reason = f"would set {name}, which steers Ansible itself"
            elif name in reserved.MAGIC:
                reason = f"would replace Ansible's own variable {name}"
            else:
                continue
            self._add(("spec", key), key, reason, "rename the field or nest it in another one")

    def _collision(self, path: Path, key: str, other: str, name: str) -> None:
        reason = f"{other!r} and {key!r} both become the variable {name}"
        self._add(path, key, reason, "keep one, or set snakeCaseParameters: false in watches.yaml")

    def _add(self, path: Path, key: str, reason: str, remedy: str) -> None:
        self.problems.append(Problem(field=_spell(path), key=_printable(key), reason=reason, remedy=remedy))


def _names(spec: Mapping[str, Any], *, rename: bool) -> Iterator[str]:
    return (to_snake_case(key) if rename else key for key in spec)


def _unencodable(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _spell(path: Path) -> str:
    """`spec.list[3].name`, `metadata.annotations["a.b/c"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{_printable(part)}"]'
    return text or "the object"


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
