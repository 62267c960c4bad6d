"""Our lists of Ansible's names are those of the ansible-core that is installed."""

from ansible import constants
from ansible.vars.reserved import get_reserved_names

from runner.execution import reserved


def test_reserved_names_are_ansibles() -> None:
    assert get_reserved_names() == reserved.RESERVED


def test_magic_names_are_ansibles() -> None:
    """Those that begin with `ansible_` are refused by their beginning."""
    expected = {name for name in constants.INTERNAL_STATIC_VARS if not name.startswith("ansible_")}
    assert expected == reserved.MAGIC
