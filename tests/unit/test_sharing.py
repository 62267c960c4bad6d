"""Which tests stay together when several workers share them."""

import pytest

import sharing


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tests/cluster/test_node.py::test_a", "tests/e2e/test_echo_on_a_node.py::test_b"),
        ("tests/roles/test_echo_role.py::test_a", "tests/roles/test_echo_role.py::test_b[::1]"),
    ],
)
def test_a_file_stays_together_and_so_does_all_that_needs_the_node(one: str, other: str) -> None:
    assert sharing.scope_of(one) == sharing.scope_of(other)


def test_files_are_shared() -> None:
    assert sharing.scope_of("tests/unit/test_a.py::test_a") != sharing.scope_of("tests/unit/test_b.py::test_a")
