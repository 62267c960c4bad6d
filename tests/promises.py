"""Pages of docs/ with a table of promises, held to the tests that they name."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness import ROOT

__all__ = ["Page", "linked_files", "linked_tests"]

_LINK = re.compile(r"\[([^\]]+)\]\(\.\./([^)]+)\)")
_TEST = re.compile(r"tests/[\w/]+\.py")


@dataclass(frozen=True, slots=True)
class Page:
    """A page whose tables have rows `| id | ... |`, and whose links to tests are called what the test is called."""

    text: str

    @classmethod
    def of(cls, name: str) -> "Page":
        """The page of that name in docs/."""
        return cls((ROOT / "docs" / name).read_text(encoding="utf-8"))

    def rows(self, line: str) -> dict[str, str]:
        """Each row by its id, which the pattern `line` matches."""
        found = re.findall(rf"^\| ({line}) \| (.+) \|$", self.text, re.MULTILINE)
        assert len(found) == len(dict(found)), "a line stands there twice"
        return dict(found)

    def tests(self) -> list[tuple[str, str]]:
        """Name and file of each test that is named."""
        return linked_tests(self.text)

    def missing_tests(self) -> list[str]:
        """Tests that are named and not there."""
        return [f"{file}::{name}" for name, file in self.tests() if name not in _names_in(ROOT / file)]

    def missing_files(self) -> list[str]:
        """What is linked and not there."""
        return [path for _, path in _LINK.findall(self.text) if not (ROOT / path).exists()]

    def links(self) -> int:
        """How many links there are, of whatever form."""
        return self.text.count("](")

    def files(self) -> list[tuple[str, str]]:
        """Title and path of each link to something in the repository that is no test."""
        return linked_files(self.text)


def linked_tests(text: str) -> list[tuple[str, str]]:
    return [(name, path) for name, path in _LINK.findall(text) if _TEST.fullmatch(path) and name.startswith("test_")]


def linked_files(text: str) -> list[tuple[str, str]]:
    named = set(linked_tests(text))
    return [link for link in _LINK.findall(text) if link not in named]


@cache
def _names_in(path: Path) -> frozenset[str]:
    """Names of the tests of a file, in classes and by assignment too; none where there is no file."""
    if not path.exists():
        return frozenset()
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(found)
