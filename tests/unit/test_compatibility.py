"""The page on compatibility names tests that exist, and every line of the list it answers."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
LINES = [*(f"P{number}" for number in range(1, 19)), *(f"B{number}" for number in range(1, 36))]
LINK = re.compile(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)")


def rows() -> dict[str, str]:
    """Each line's row, by its id."""
    found = re.findall(r"^\| ([PB]\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert len(found) == len(dict(found)), "a line stands there twice"
    return dict(found)


@cache
def names_in(path: Path) -> frozenset[str]:
    """Names of the tests of a file, in classes and by assignment too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(found)


def test_every_line_of_the_list_is_answered() -> None:
    assert set(rows()) == set(LINES)


def test_every_line_names_a_test() -> None:
    assert [line for line, row in rows().items() if not LINK.search(row)] == []


def test_every_test_that_is_named_exists() -> None:
    named = LINK.findall(PAGE)
    assert len(named) > 100
    missing = [f"{file}::{name}" for name, file in named if name not in names_in(ROOT / file)]
    assert missing == []


def test_every_link_is_one_to_a_test() -> None:
    """A link of another form would escape the other tests."""
    assert PAGE.count("](") == len(LINK.findall(PAGE))
