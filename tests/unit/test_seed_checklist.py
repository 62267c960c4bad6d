"""The page on weaknesses of the operators that we began from names files and tests that exist, for each of them."""

from promises import Page, linked_files, linked_tests

PAGE = Page.of("seed-checklist.md")
ROWS = PAGE.rows(r"\d+")


def test_every_weakness_is_answered() -> None:
    assert sorted(map(int, ROWS)) == list(range(1, 38))


def test_every_line_names_what_solves_it_and_a_test_that_shows_it() -> None:
    assert [line for line, row in ROWS.items() if not linked_files(row) or not linked_tests(row)] == []


def test_every_test_that_is_named_exists() -> None:
    assert PAGE.missing_tests() == []


def test_every_file_that_is_named_exists() -> None:
    assert PAGE.missing_files() == []


def test_every_link_leads_into_the_repository() -> None:
    """A link of another form would escape the other tests."""
    assert PAGE.links() == len(PAGE.tests()) + len(PAGE.files())
