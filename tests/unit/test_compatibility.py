"""The page on compatibility names tests that exist, and every line of the list it answers."""

from promises import Page, linked_tests

PAGE = Page.of("compatibility.md")
LINES = [*(f"P{number}" for number in range(1, 19)), *(f"B{number}" for number in range(1, 36))]
ROWS = PAGE.rows(r"[PB]\d+")


def test_every_line_of_the_list_is_answered() -> None:
    assert set(ROWS) == set(LINES)


def test_every_line_names_a_test() -> None:
    assert [line for line, row in ROWS.items() if not linked_tests(row)] == []


def test_every_test_that_is_named_exists() -> None:
    assert len(PAGE.tests()) > 100
    assert PAGE.missing_tests() == []


def test_every_link_is_one_to_a_test() -> None:
    """A link of another form would escape the other tests."""
    assert PAGE.links() == len(PAGE.tests())
