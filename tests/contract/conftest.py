"""What the tests that kill processes share."""

import pytest

from tests.contract.test_execution_kill import reap_adopted


@pytest.fixture
def nobody_adopted() -> None:
    """Operators that other tests killed have left their dead to this process."""
    reap_adopted()
