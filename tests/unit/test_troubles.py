"""What a failure means for an informer. `test_informer` has what it does then."""

import logging
import random

import pytest

from runner.informer.troubles import Troubles, kind_of, refuses_position
from runner.kube.discovery import NotServed
from runner.kube.errors import ApiError, Unreachable
from runner.logs import fields


@pytest.mark.parametrize(
    ("error", "kind", "refuses"),
    [
        (NotServed("x"), "not_served", True),
        (ApiError(404), "not_served", True),
        (ApiError(403), "forbidden", True),
        (ApiError(410), "expired", True),
        (ApiError(504, reason="Timeout"), "expired", True),
        (ApiError(504), "error", False),
        (ApiError(400), "error", True),
        (ApiError(401), "error", False),
        (ApiError(408), "error", False),
        (ApiError(429), "error", False),
        (ApiError(500), "error", False),
        (Unreachable("x"), "unreachable", False),
    ],
    ids=str,
)
def test_kind_and_whether_the_position_is_refused(error, kind, refuses):
    """A refused position means a new list of all; a passing failure must not cost one."""
    assert (kind_of(error), refuses_position(error)) == (kind, refuses)


def test_a_new_trouble_is_a_line_and_the_same_again_is_none(caplog):
    """Also where it changes from one to another without an end in between."""
    caplog.set_level(logging.INFO)
    troubles = Troubles("Echo", rng=random.Random(1), log_fields=fields)
    for error in (Unreachable("a"), Unreachable("b"), ApiError(403), ApiError(410)):
        troubles.met(error)
    assert troubles.problem == f"Echo: {ApiError(403)}", "an expired position is routine and no problem"
    troubles.over()
    troubles.over()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO", "INFO"]
    assert caplog.records[-1].message == "list and watch work again"
    assert troubles.problem == ""
