"""Which variables a project sets, where and to what, as far as its files say.

A name that is set in two places may be set to different things; whoever asks is given all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.doctor import plays
from runner.doctor.crds import Resource, resources
from runner.doctor.project import Project
from runner.doctor.yamlfile import MappingNode, Node, entries, find, items, plain, text_of

__all__ = ["Variables", "collect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """All that is known of the variables of a project."""

    values: dict[str, list[tuple[str, Node]]] = field(default_factory=dict)
    """Name to the files and nodes of its values."""
    registered: dict[str, set[str]] = field(default_factory=dict)
    """Name to the modules whose results it is given; `loop` among them where a loop's results are collected."""
    unknown: set[str] = field(default_factory=set)
    """Names whose values are made at run time: loop variables, files included by computed names."""
    resources: tuple[Resource, ...] = ()
    """What custom resources add."""


def collect(project: Project) -> Variables:
    """Read every place where Ansible finds variables."""
    variables = Variables(resources=resources(project))
    for path, mapping in project.variable_files:
        _add(variables, path, mapping)
    for path in project.watch_files:
        for document in project.yaml[path].documents:
            for watch in items(document):
                _add(variables, path, find(watch, "vars"))
                _add(variables, path, find(watch, "finalizer", "vars"))
    for file in project.task_files:
        for task in file.tasks:
            _from_task(variables, file.path, task)
    return variables


def _add(variables: Variables, path: str, mapping: Node | None) -> None:
    for name, _, value in entries(mapping):
        variables.values.setdefault(name, []).append((path, value))


def _from_task(variables: Variables, path: str, task: plays.Task) -> None:
    for name, _, value in plays.variables_of(task):
        variables.values.setdefault(name, []).append((path, value))
    if task.module == "set_fact" and text_of(task.arguments) is not None:  # `set_fact: name=value`
        variables.unknown.update(part.partition("=")[0] for part in str(plain(task.arguments)).split())
    loop = find(task.node, "loop_control")
    variables.unknown.update(["item", *(str(plain(find(loop, key))) for key in ("loop_var", "index_var"))])
    variables.unknown.update(str(plain(found)) for found in _prompted(task))
    registered = text_of(task.keyword("register"))
    if registered is not None:
        looped = any(key == "loop" or key.startswith("with_") for key, _, _ in entries(task.node))
        variables.registered.setdefault(registered, set()).update({task.module, *(["loop"] if looped else [])})
    elif isinstance(task.keyword("register"), MappingNode):
        variables.unknown.update(key for key, _, _ in entries(task.keyword("register")))


def _prompted(task: plays.Task) -> Iterator[Node]:
    for prompt in items(task.keyword("vars_prompt")):
        found = find(prompt, "name")
        if found is not None:
            yield found
    if task.module == "include_vars":
        name = task.argument("name")
        if name is not None:
            yield name
