"""YAML with the line of each value, read as text: no tag is acted on, no alias copied, nothing constructed.

Aliases of one node share that node. Values of unknown tags (`!vault`, `!unsafe`) are scalars of no known kind.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from runner.doctor.findings import Place

__all__ = [
    "MappingNode", "Node", "ScalarNode", "SequenceNode", "YamlFile", "entries", "find", "items", "place_of", "plain",
    "read", "scalars", "text_of",
]  # fmt: skip

_STRING = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})
_TRUE = frozenset({"yes", "true", "on"})
_MAX_NODES = 2_000_000
_MAX_DEPTH = 100
_POSITION = re.compile(r"line (\d+), column (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlFile:
    """One file. `documents` is what was read before `problem`, if there is one."""

    path: str
    documents: tuple[Node, ...] = ()
    problem: str = ""
    """Why the rest could not be read; empty: all was read."""
    problem_line: int = 1


def read(path: str, text: str) -> YamlFile:
    """Parse all documents; what is no YAML ends up in `problem`."""
    documents: list[Node] = []
    loader: yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        while loader.check_node():
            node: Node | None = loader.get_node()
            if node is None:
                continue
            if reason := _unfit(node):
                return YamlFile(path=path, problem=reason, problem_line=place_of(path, node).line)
            documents.append(node)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        found = _POSITION.findall(reason)
        line = int(found[-1][0]) if found else 1
        return YamlFile(path=path, documents=tuple(documents), problem=reason, problem_line=line)
    finally:
        loader.dispose()
    return YamlFile(path=path, documents=tuple(documents))


def _unfit(root: Node) -> str:
    """Say why a document must not be walked: it holds itself, or is made to exhaust whoever reads it."""
    weights: dict[int, tuple[int, int]] = {}  # of what is done: nodes with aliases written out, and depth
    waiting: list[tuple[Node, bool]] = [(root, False)]
    above: set[int] = set()
    while waiting:
        node, seen = waiting.pop()
        if id(node) in weights:
            continue
        children = _children(node)
        if not seen:
            if id(node) in above:
                return "an anchor that holds itself"
            above.add(id(node))
            waiting += [(node, True), *((child, False) for child in children)]
            continue
        above.discard(id(node))
        below = [weights[id(child)] for child in children]
        weights[id(node)] = (1 + sum(size for size, _ in below), 1 + max((depth for _, depth in below), default=0))
    size, depth = weights[id(root)]
    if size > _MAX_NODES:
        return "aliases that make it too large"
    return f"nested more than {_MAX_DEPTH} levels deep" if depth > _MAX_DEPTH else ""


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def place_of(file: str, node: Node) -> Place:
    return Place(file, node.start_mark.line + 1, node.start_mark.column + 1)


def entries(node: Node | None) -> Iterator[tuple[str, Node, Node]]:
    """Yield key, the key's node and the value's; nothing if it is no mapping. Merge keys (`<<`) are followed."""
    if not isinstance(node, MappingNode):
        return
    for key, value in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            for merged in [value] if isinstance(value, MappingNode) else items(value):
                yield from entries(merged)
        elif isinstance(key, ScalarNode):
            yield key.value, key, value


def find(node: Node | None, *path: str) -> Node | None:
    """Return the value at a path of keys; `None` where there is none."""
    for part in path:
        node = next((value for key, _, value in entries(node) if key == part), None)
    return node


def items(node: Node | None) -> list[Node]:
    return list(node.value) if isinstance(node, SequenceNode) else []


def text_of(node: Node | None) -> str | None:
    """Return a string's text; `None` for anything else, numbers and booleans too."""
    return str(node.value) if isinstance(node, ScalarNode) and node.tag == _STRING else None


def scalars(node: Node | None) -> Iterator[ScalarNode]:
    """Yield every scalar below a node, keys not included, in the order of the file; what is aliased only once."""
    seen: set[int] = set()
    waiting = [] if node is None else [node]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, ScalarNode):
            yield node
        elif isinstance(node, SequenceNode):
            waiting += reversed(node.value)
        elif isinstance(node, MappingNode):
            waiting += [value for _, value in reversed(node.value)]


def plain(node: Node | None) -> Any:
    """Return a small node's value as Python has it; a tag that is not YAML's own gives the text."""
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.value]
    if isinstance(node, MappingNode):
        return {key: plain(value) for key, _, value in entries(node)}
    if node is None or node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return str(node.value).lower() in _TRUE
    if node.tag in _NUMBERS:
        return yaml.safe_load(node.value)
    return str(node.value)
