"""What a Python program imports, read from its text (pure)."""

import ast
from collections.abc import Iterator

__all__ = ["of"]


def of(source: bytes, *, package: str) -> list[str]:
    """Names of the modules that a program imports, anywhere in it, in its order.

    Args:
        source: its text.
        package: its own Python name, which relative imports are relative to.
    """
    return list(dict.fromkeys(_names(ast.parse(source), package)))


def _names(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            if base != "__future__":
                # Whether a name is a module of a package or something in a module, only an import tells.
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parent = package.split(".")[: -node.level]
    return ".".join([*parent, *filter(None, [node.module])])
