"""Plays, blocks and tasks as they stand in files: who calls which module with what, and which conditions there are."""

from collections.abc import Iterator
from dataclasses import dataclass

from runner.doctor.yamlfile import MappingNode, Node, SequenceNode, entries, find, items, plain, text_of
from runner.execution import reserved

__all__ = ["Condition", "Task", "conditions_of", "is_play", "short_name", "tasks_of", "variables_of"]

_BLOCKS = ("block", "rescue", "always", "pre_tasks", "tasks", "post_tasks", "handlers")
_CONDITIONS = ("when", "until", "failed_when", "changed_when")
# Keywords of 2.21 that no name of `RESERVED` covers; a custom resource may well call a field so.
_KEYWORDS = reserved.RESERVED | {"listen", "loop_with", "become_pass", "break_when", "first_available_file"}
_RENAMED = {"ansible.builtin": "", "ansible.legacy": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task, or one block or play where only its keywords matter (`action` is empty then)."""

    node: MappingNode
    action: str = ""
    """As written: `k8s`, `kubernetes.core.k8s`."""
    action_node: Node | None = None
    arguments: Node | None = None

    @property
    def module(self) -> str:
        """`action` without `ansible.builtin.`."""
        return short_name(self.action)

    def keyword(self, name: str) -> Node | None:
        return find(self.node, name)

    def argument(self, name: str) -> Node | None:
        found = find(self.arguments, name)
        return found if found is not None else find(self.node, "args", name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One expression that has to be true or false."""

    keyword: str
    """`when`, `until`, `that`, ..."""
    node: Node


def short_name(name: str) -> str:
    """`ansible.builtin.copy` is `copy`; names of other collections stay."""
    prefix, _, rest = name.rpartition(".")
    return rest if prefix in _RENAMED else name


def is_play(node: Node) -> bool:
    return any(key in {"hosts", "import_playbook", "ansible.builtin.import_playbook"} for key, _, _ in entries(node))


def tasks_of(node: Node | None) -> Iterator[Task]:
    """Yield every play, block and task of a list of plays or tasks, outer ones first; roles of a play too."""
    for item in items(node):
        if not isinstance(item, MappingNode):
            continue
        keys = {key for key, _, _ in entries(item)}
        nested = [key for key in _BLOCKS if isinstance(find(item, key), SequenceNode)]
        if nested or is_play(item):
            yield Task(node=item)
            for role in items(find(item, "roles")):
                if isinstance(role, MappingNode):
                    yield Task(node=role)
            for key in nested:
                yield from tasks_of(find(item, key))
        elif keys:
            yield _task(item)


def _task(node: MappingNode) -> Task:
    for key in ("action", "local_action"):
        spelled = find(node, key)
        if isinstance(spelled, MappingNode):
            return Task(
                node=node, action=str(plain(find(spelled, "module")) or ""), action_node=spelled, arguments=spelled
            )
        if (text := text_of(spelled)) is not None:
            return Task(node=node, action=text.split(maxsplit=1)[0] if text.strip() else "", action_node=spelled)
    for key, key_node, value in entries(node):
        if key not in _KEYWORDS and not key.startswith("with_"):
            return Task(node=node, action=key, action_node=key_node, arguments=value)
    return Task(node=node)


def conditions_of(task: Task) -> Iterator[Condition]:
    """Yield what Ansible evaluates as a condition, each member of a list by itself."""
    for keyword in _CONDITIONS:
        yield from _each(keyword, task.keyword(keyword))
    yield from _each("break_when", find(task.node, "loop_control", "break_when"))
    if task.module == "assert":
        yield from _each("that", task.argument("that"))


def _each(keyword: str, node: Node | None) -> Iterator[Condition]:
    if node is not None:
        for part in items(node) if isinstance(node, SequenceNode) else [node]:
            yield Condition(keyword=keyword, node=part)


def variables_of(task: Task) -> Iterator[tuple[str, Node, Node]]:
    """Yield name, where it stands and value of each variable that a task sets by keyword or `set_fact`."""
    yield from entries(task.keyword("vars"))
    if task.module == "set_fact":
        for name, name_node, value in entries(task.arguments):
            if name != "cacheable":
                yield name, name_node, value
