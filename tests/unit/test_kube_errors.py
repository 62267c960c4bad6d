"""Decisions are made on status and reason; these are read from what the API server sends."""

import pytest

from runner.kube.errors import ApiError


def test_status_object_is_read() -> None:
    error = ApiError.of(409, {"reason": "Conflict", "message": "changed", "details": {"retryAfterSeconds": 3}})
    assert (error.status, error.reason, error.message, error.retry_after_s) == (409, "Conflict", "changed", 3)
    assert error.conflict
    assert not error.already_exists


def test_header_beats_details() -> None:
    assert ApiError.of(429, {"details": {"retryAfterSeconds": 3}}, "7").retry_after_s == 7


@pytest.mark.parametrize("header", [None, "Wed, 21 Oct 2026 07:28:00 GMT", "-1"])
def test_unusable_retry_after_is_none(header: str | None) -> None:
    assert ApiError.of(429, "slow down", header).retry_after_s is None


@pytest.mark.parametrize(
    ("status", "reason", "properties"),
    [
        (404, "NotFound", {"not_found"}),
        (409, "Conflict", {"conflict"}),
        (409, "AlreadyExists", {"already_exists"}),
        (403, "Forbidden", {"forbidden"}),
        (410, "Expired", {"expired"}),
        (410, "Gone", {"expired"}),
        (504, "Timeout", {"expired"}),
        (504, "", set()),
        (500, "InternalError", set()),
    ],
)
def test_kinds_of_failure_are_told_apart(status: int, reason: str, properties: set[str]) -> None:
    error = ApiError(status, reason=reason)
    names = ("not_found", "conflict", "already_exists", "forbidden", "expired")
    assert {name for name in names if getattr(error, name)} == properties


def test_long_text_is_cut_in_print_only() -> None:
    error = ApiError(400, message="x" * 10_000)
    assert len(str(error)) < 600
    assert len(error.message) == 10_000
