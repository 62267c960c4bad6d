"""Reads watches.yaml: which kind is served by which role or playbook, and how.

Promises: every problem of the file is found in one reading and named by its path, such as
`watches.yaml[2].role: no such role 'ehco' (have: echo, scheduledecho)`; an unknown key is a warning with a suggestion.
The keys, defaults and look-up order are Operator SDK's; the keys after `# ours` are additions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from runner.content import Content, SearchPath, known_roles
from runner.fieldpaths import FieldPath
from runner.labelselector import Selector
from runner.objects import GroupVersionKind
from runner.watches import readers
from runner.watches.fields import Fields, Report
from runner.watches.readers import DependentStatus

__all__ = ["Finalizer", "Loaded", "Watch", "WatchesError", "load", "parse"]


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
    report = Report()
    read = (Fields(entry, f"{name}[{index}]", report) for index, entry in enumerate(entries))
    watches = [_watch(fields, search, mark_unsafe=mark_unsafe) for fields in read]
    _refuse_duplicates(watches, name, report)
    if report.problems:
        raise WatchesError(report.problems)
    return Loaded(watches=tuple(watches), warnings=tuple(report.warnings))


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace `${NAME}` where the variable is set; `$NAME` and unknown names stay as they are."""
    return _VARIABLE.sub(lambda found: environment.get(found[1], found[0]), text)


def _watch(fields: Fields, search: SearchPath, *, mark_unsafe: bool) -> Watch:
    gvk = GroupVersionKind(
        fields.read("group", readers.text, ""),
        fields.read("version", readers.text, ""),
        fields.read("kind", readers.text, ""),
    )
    for key in ("version", "kind"):
        if not getattr(gvk, key):
            fields.problem(key, "is required")
    watch = Watch(
        gvk=gvk,
        content=_content(fields, search, required=True) or Content(),
        vars=fields.read("vars", readers.mapping, {}),
        finalizer=_finalizer(fields.nested("finalizer"), search),
        reconcile_period_s=fields.read("reconcilePeriod", readers.duration, None),
        manage_status=fields.read("manageStatus", readers.boolean, True),
        watch_dependent_resources=fields.read("watchDependentResources", readers.boolean, True),
        watch_cluster_scoped_resources=fields.read("watchClusterScopedResources", readers.boolean, False),
        watch_annotations_changes=fields.read("watchAnnotationsChanges", readers.boolean, False),
        snake_case_parameters=fields.read("snakeCaseParameters", readers.boolean, True),
        mark_unsafe=fields.read("markUnsafe", readers.boolean, mark_unsafe),
        max_runner_artifacts=fields.read("maxRunnerArtifacts", readers.count, 20),
        blacklist=fields.read("blacklist", readers.kinds, frozenset()),
        selector=fields.read("selector", readers.selector, Selector()),
        run_timeout_s=fields.read("runTimeout", readers.duration, None) or None,
        run_env=fields.read("runEnv", readers.names, None),
        watch_dependent_status=fields.read("watchDependentStatus", readers.dependent_status, "false"),
        dependent_ignore=_field_paths(fields, "dependentIgnore"),
        controller_reference=fields.read("controllerReference", readers.boolean, False),
        max_concurrent_reconciles=fields.read("maxConcurrentReconciles", readers.count, None) or None,
        warm_modules=fields.read("warmModules", readers.boolean, True),
    )
    fields.finish()
    return watch


def _content(fields: Fields, search: SearchPath, *, required: bool) -> Content | None:
    role, playbook = fields.read("role", readers.text, ""), fields.read("playbook", readers.text, "")
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


def _finalizer(fields: Fields | None, search: SearchPath) -> Finalizer | None:
    if fields is None:
        return None
    name = fields.read("name", readers.text, "")
    if not name:
        fields.problem("name", "is required, as in 'mmontes.io/finalizer'")
    content = _content(fields, search, required=False)
    variables: Mapping[str, Any] = fields.read("vars", readers.mapping, {})
    if content is None and not variables:
        fields.problem("", "needs a role, a playbook or vars, or it would do nothing")
    fields.finish()
    return Finalizer(name=name, content=content, vars=variables)


def _field_paths(fields: Fields, key: str) -> tuple[FieldPath, ...]:
    paths = []
    values: list[Any] = fields.read(key, readers.entries, [])
    for index, value in enumerate(values):
        try:
            paths.append(FieldPath.parse(readers.text(value)))
        except ValueError as error:
            fields.problem(f"{key}[{index}]", str(error))
    return tuple(paths)


def _refuse_duplicates(watches: list[Watch], name: str, report: Report) -> None:
    seen: dict[GroupVersionKind, int] = {}
    for index, watch in enumerate(watches):
        first = seen.setdefault(watch.gvk, index)
        if first != index and watch.gvk.kind:
            report.problems.append(f"{name}[{index}].kind: {watch.gvk} is watched by {name}[{first}] already")
