"""Which collections a file of tasks uses: modules, roles, filters, tests, lookups and `collections:`."""

import re
from collections.abc import Iterator

from jinja2 import nodes

from runner.doctor import jinja
from runner.doctor.findings import Place
from runner.doctor.plays import Task
from runner.doctor.project import Project, TaskFile
from runner.doctor.shipped import Shipped
from runner.doctor.yamlfile import Node, entries, find, items, place_of, scalars, text_of

__all__ = ["of"]

_FULL_NAME = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+")
_CONDITIONS = frozenset({"when", "until", "failed_when", "changed_when", "that"})
_TASK_LISTS = frozenset({"block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers"})


def of(project: Project, file: TaskFile, shipped: Shipped) -> Iterator[tuple[str, Place]]:
    """Yield names of collections (`community.general`) and where each is used, in the order of the file."""
    searches = _searches(project, file)
    for task in file.tasks:
        for node, name in [*_module(project, task, shipped, searches=searches), *_roles(task)]:
            if _FULL_NAME.fullmatch(name):
                yield _collection(name), place_of(file.path, node)
        for item in items(task.keyword("collections")):
            if (listed := text_of(item)) is not None and re.fullmatch(r"\w+\.\w+", listed):
                yield listed, place_of(file.path, item)
        for key, _, value in entries(task.node):
            if key not in _TASK_LISTS:
                yield from _in_text(file.path, value, condition=key in _CONDITIONS)


def _searches(project: Project, file: TaskFile) -> bool:
    """Whether short names are looked up in collections that a play or the role lists."""
    if any(items(task.keyword("collections")) for task in file.tasks):
        return True
    names = tuple(f"roles/{file.role}/meta/main.{suffix}" for suffix in ("yml", "yaml")) if file.role else ()
    metas = [parsed for path, parsed in project.yaml.items() if names and path.endswith(names)]
    return any(items(find(document, "collections")) for parsed in metas for document in parsed.documents)


def _module(project: Project, task: Task, shipped: Shipped, *, searches: bool) -> Iterator[tuple[Node, str]]:
    name = task.action
    if task.action_node is None:
        return
    if "." not in name and not searches and name not in shipped.modules and not project.has_module(name):
        name = shipped.redirects.get(name, name)
    yield task.action_node, name


def _roles(task: Task) -> Iterator[tuple[Node, str]]:
    if task.module in {"include_role", "import_role"}:
        named = [task.argument("name")]
    else:
        named = [task.keyword("role"), task.keyword("name")] if not task.action else []
    for node in named:
        if node is not None and (name := text_of(node)) is not None:
            yield node, name


def _in_text(path: str, node: Node, *, condition: bool) -> Iterator[tuple[str, Place]]:
    for scalar in scalars(node):
        text = scalar.value
        if text.count(".") < 2 or not (condition or jinja.delimited(text)):
            continue
        parsed = jinja.template(text) if jinja.delimited(text) else jinja.expression(text.strip())
        for name in _plugins(parsed):
            if _FULL_NAME.fullmatch(name):
                yield _collection(name), place_of(path, scalar)


def _plugins(parsed: nodes.Node | None) -> Iterator[str]:
    """Names of the filters, tests and lookups in it."""
    if parsed is None:
        return
    whole = nodes.Template([nodes.Output([parsed])]) if isinstance(parsed, nodes.Expr) else parsed
    for plugin in whole.find_all((nodes.Filter, nodes.Test)):
        yield plugin.name
    for call in whole.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in {"lookup", "query", "q"} and call.args:
            yield str(getattr(call.args[0], "value", ""))


def _collection(name: str) -> str:
    return ".".join(name.split(".")[:2])
