"""Reads watches.yaml: which kind is served by which role or playbook, and how.

Promises: every problem of the file is found in one reading and named by its path, such as
`watches.yaml[2].role: no such role 'ehco' (have: echo, scheduledecho)`; an unknown key is a warning with a suggestion.
The keys, defaults and look-up order are Operator SDK's; the keys after `# ours` are additions.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from runner.content import Content, SearchPath, known_roles
from runner.durations import parse_duration
from runner.fieldpaths import FieldPath
from runner.labelselector import Selector
from runner.objects import GroupVersionKind

__all__ = ["DependentStatus", "Finalizer", "Loaded", "Watch", "WatchesError", "load", "parse"]

DependentStatus = Literal["false", "terminal", "all"]


class WatchesError(Exception):
    """The file cannot be used; `problems` holds one line for each thing to mend."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalizer:
    """What runs before an object may go."""

    name: str
    content: Content | None
    """`None`: the watch's own role or playbook, with `vars` on top."""
    vars: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One entry of watches.yaml, defaults filled in."""

    gvk: GroupVersionKind
    content: Content
    vars: Mapping[str, Any] = field(default_factory=dict)
    finalizer: Finalizer | None = None
    reconcile_period_s: float | None = None
    """Seconds between runs without a change; 0: never; `None`: what `--reconcile-period` says."""
    manage_status: bool = True
    watch_dependent_resources: bool = True
    watch_cluster_scoped_resources: bool = False
    watch_annotations_changes: bool = False
    snake_case_parameters: bool = True
    mark_unsafe: bool = True
    """Strings from the cluster are data, never templates. The Go runtime's default is false."""
    max_runner_artifacts: int = 20
    """Runs of an object that are kept on disk; 0: none. The Go runtime reads 0 as 20."""
    blacklist: frozenset[GroupVersionKind] = frozenset()
    """Kinds that are never watched as dependents."""
    selector: Selector = field(default_factory=Selector)
    # ours
    run_timeout_s: float | None = None
    """Seconds after which a run is killed; `None`: never."""
    run_env: tuple[str, ...] | None = None
    """Names of the only variables a run inherits; `None`: all but a deny list."""
    watch_dependent_status: DependentStatus = "false"
    """Whether a dependent's status counts as a change: never, when it reaches its end, or always."""
    dependent_ignore: tuple[FieldPath, ...] = ()
    """Fields of dependents whose changes do not count."""
    controller_reference: bool = False
    """Owner references carry `controller` and `blockOwnerDeletion`."""
    max_concurrent_reconciles: int | None = None
    """`None`: what the flag or the environment says."""
    warm_modules: bool = True
    """Whether runs may be forks of a loaded Ansible; off, each is a program of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A usable file: its watches, and what a user should still hear about."""

    watches: tuple[Watch, ...]
    warnings: tuple[str, ...]


def load(path: Path, *, search: SearchPath, environment: Mapping[str, str], mark_unsafe: bool = True) -> Loaded:
    """Read and check the file.

    Args:
        path: of the file.
        search: where roles and playbooks are looked up.
        environment: what `${NAME}` in the file stands for.
        mark_unsafe: what counts for a watch that does not say.

    Raises:
        WatchesError: with every problem found, one a line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WatchesError([f"{path}: cannot be read: {error}; name another file with --watches-file"]) from error
    return parse(text, name=path.name, search=search, environment=environment, mark_unsafe=mark_unsafe)


def parse(
    text: str, *, name: str, search: SearchPath, environment: Mapping[str, str], mark_unsafe: bool = True
) -> Loaded:
    """As `load`, from text; `name` is what problems are reported under."""
    try:
        entries = yaml.safe_load(_expand(text, environment))
    except yaml.YAMLError as error:
        raise WatchesError([f"{name}: not YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(entries, list) or not entries:
        found = "nothing" if entries is None else type(entries).__name__
        raise WatchesError([f"{name}: must be a list of watches, found {found}; begin each entry with '- version:'"])
    report = _Report()
    read = (_Fields(entry, f"{name}[{index}]", report) for index, entry in enumerate(entries))
    watches = [_watch(fields, search, mark_unsafe=mark_unsafe) for fields in read]
    _refuse_duplicates(watches, name, report)
    if report.problems:
        raise WatchesError(report.problems)
    return Loaded(watches=tuple(watches), warnings=tuple(report.warnings))


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace `${NAME}` where the variable is set; `$NAME` and unknown names stay as they are."""
    return _VARIABLE.sub(lambda found: environment.get(found[1], found[0]), text)


@dataclass(slots=True)
class _Report:
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class _Fields:
    """One YAML mapping being read: knows its path, remembers what was asked for, reports instead of raising."""

    def __init__(self, raw: Any, path: str, report: _Report) -> None:
        self.path = path
        self.report = report
        self._asked: list[str] = []
        self._raw: dict[str, Any] = {}
        if isinstance(raw, dict):
            self._raw = {str(key): value for key, value in raw.items()}
        else:
            self.problem("", f"must be a mapping, found {_describe(raw)}")

    def problem(self, key: str, text: str) -> None:
        self.report.problems.append(f"{self.path}{'.' if key else ''}{key}: {text}")

    def read[T](self, key: str, convert: Callable[[Any], T], default: T) -> T:
        """Return the value of `key`, converted; a `ValueError` of the conversion becomes a problem."""
        self._asked.append(key)
        value = self._find(key)
        if value is None:
            return default
        try:
            return convert(value)
        except ValueError as error:
            self.problem(key, str(error))
            return default

    def nested(self, key: str) -> "_Fields | None":
        self._asked.append(key)
        value = self._find(key)
        return None if value is None else _Fields(value, f"{self.path}.{key}", self.report)

    def finish(self) -> None:
        """Warn about each key nobody asked for."""
        lowered = {key.lower() for key in self._asked}
        for key in self._raw:
            if key.lower() in lowered:
                continue
            near = difflib.get_close_matches(key.lower(), sorted(lowered), n=1)
            hint = next((f"did you mean {known!r}?" for known in self._asked if near == [known.lower()]), "")
            hint = hint or f"known here: {', '.join(sorted(self._asked))}"
            self.report.warnings.append(f"{self.path}.{key}: unknown key, ignored; {hint}")

    def _find(self, key: str) -> Any:
        # Go's JSON decoder matches keys without regard to case, so existing files may be written that way.
        if key in self._raw:
            return self._raw[key]
        return next((value for name, value in self._raw.items() if name.lower() == key.lower()), None)


def _watch(fields: _Fields, search: SearchPath, *, mark_unsafe: bool) -> Watch:
    gvk = GroupVersionKind(
        fields.read("group", _text, ""), fields.read("version", _text, ""), fields.read("kind", _text, "")
    )
    for key in ("version", "kind"):
        if not getattr(gvk, key):
            fields.problem(key, "is required")
    watch = Watch(
        gvk=gvk,
        content=_content(fields, search, required=True) or Content(),
        vars=fields.read("vars", _mapping, {}),
        finalizer=_finalizer(fields.nested("finalizer"), search),
        reconcile_period_s=fields.read("reconcilePeriod", _duration, None),
        manage_status=fields.read("manageStatus", _boolean, True),
        watch_dependent_resources=fields.read("watchDependentResources", _boolean, True),
        watch_cluster_scoped_resources=fields.read("watchClusterScopedResources", _boolean, False),
        watch_annotations_changes=fields.read("watchAnnotationsChanges", _boolean, False),
        snake_case_parameters=fields.read("snakeCaseParameters", _boolean, True),
        mark_unsafe=fields.read("markUnsafe", _boolean, mark_unsafe),
        max_runner_artifacts=fields.read("maxRunnerArtifacts", _count, 20),
        blacklist=fields.read("blacklist", _kinds, frozenset()),
        selector=fields.read("selector", _selector, Selector()),
        run_timeout_s=fields.read("runTimeout", _duration, None) or None,
        run_env=fields.read("runEnv", _names, None),
        watch_dependent_status=fields.read("watchDependentStatus", _dependent_status, "false"),
        dependent_ignore=_field_paths(fields, "dependentIgnore"),
        controller_reference=fields.read("controllerReference", _boolean, False),
        max_concurrent_reconciles=fields.read("maxConcurrentReconciles", _count, None) or None,
        warm_modules=fields.read("warmModules", _boolean, True),
    )
    fields.finish()
    return watch


def _content(fields: _Fields, search: SearchPath, *, required: bool) -> Content | None:
    role, playbook = fields.read("role", _text, ""), fields.read("playbook", _text, "")
    if role and playbook:
        fields.report.warnings.append(f"{fields.path}.role: ignored, because playbook is set too; keep one of them")
    if playbook:
        found = search.find_playbook(playbook)
        if found is None:
            fields.problem("playbook", f"no such file {playbook!r} (looked in {search.project})")
        return Content(playbook=found)
    if role:
        found = search.find_role(role)
        if found is None:
            fields.problem("role", f"no such role {role!r} (have: {', '.join(known_roles(search)) or 'none'})")
        return Content(role=found)
    if required:
        fields.problem("role", "is required, or playbook")
    return None


def _finalizer(fields: _Fields | None, search: SearchPath) -> Finalizer | None:
    if fields is None:
        return None
    name = fields.read("name", _text, "")
    if not name:
        fields.problem("name", "is required, as in 'mmontes.io/finalizer'")
    content = _content(fields, search, required=False)
    variables: Mapping[str, Any] = fields.read("vars", _mapping, {})
    if content is None and not variables:
        fields.problem("", "needs a role, a playbook or vars, or it would do nothing")
    fields.finish()
    return Finalizer(name=name, content=content, vars=variables)


def _field_paths(fields: _Fields, key: str) -> tuple[FieldPath, ...]:
    paths = []
    values: list[Any] = fields.read(key, _list, [])
    for index, value in enumerate(values):
        try:
            paths.append(FieldPath.parse(_text(value)))
        except ValueError as error:
            fields.problem(f"{key}[{index}]", str(error))
    return tuple(paths)


def _refuse_duplicates(watches: list[Watch], name: str, report: _Report) -> None:
    seen: dict[GroupVersionKind, int] = {}
    for index, watch in enumerate(watches):
        first = seen.setdefault(watch.gvk, index)
        if first != index and watch.gvk.kind:
            report.problems.append(f"{name}[{index}].kind: {watch.gvk} is watched by {name}[{first}] already")


# Conversions: the value, or a ValueError that says what was expected.


def _describe(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, found {_describe(value)}")  # noqa: TRY004 - reported, not a caller's mistake
    return value


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in {"true", "false"}:  # what a ${VARIABLE} in quotes turns into
        return bool(value == "true")
    raise ValueError(f"must be true or false, found {_describe(value)}")


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"must be a whole number from 0, found {_describe(value)}")
    return value


def _duration(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError(f"must be a duration such as '30s' or '1h', in quotes, found {_describe(value)}")  # noqa: TRY004
    seconds = parse_duration(value)
    if seconds < 0:
        raise ValueError(f"must not be negative, found {value!r}")
    return seconds


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping, found {_describe(value)}")  # noqa: TRY004
    return {str(key): entry for key, entry in value.items()}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list, found {_describe(value)}")  # noqa: TRY004
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ValueError(f"must be a list of names, found {_describe(value)}")
    return tuple(value)


def _kinds(value: Any) -> frozenset[GroupVersionKind]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) and entry.get("kind") for entry in value):
        raise ValueError(f"must be a list of mappings with group, version and kind, found {_describe(value)}")
    return frozenset(
        GroupVersionKind(str(entry.get("group") or ""), str(entry.get("version") or ""), str(entry["kind"]))
        for entry in value
    )


def _selector(value: Any) -> Selector:
    return Selector.parse(_mapping(value))


def _dependent_status(value: Any) -> DependentStatus:
    if value is False or value == "false":
        return "false"
    if value == "terminal":
        return "terminal"
    if value == "all":
        return "all"
    raise ValueError(f"must be false, terminal or all, found {_describe(value)}")
