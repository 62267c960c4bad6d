"""What can go wrong between us and the API server.

    KubeError
    ├── ApiError          the server answered with a failure status
    ├── Unreachable       no answer: connection refused or reset, deadline passed, body cut off
    └── Fenced            not sent: the lease is no longer surely ours

Decisions are made on `status` and `reason`, never on message text.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

__all__ = ["ApiError", "Fenced", "KubeError", "Unreachable"]

_MESSAGE_LIMIT = 500


class KubeError(Exception):
    """Base of everything the client raises."""


class Unreachable(KubeError):  # noqa: N818 - reads as what happened
    """No answer from the API server; whether a write took effect is unknown."""


class Fenced(KubeError):  # noqa: N818 - reads as what happened
    """A write was refused on our side because the lease is no longer surely ours; nothing was sent."""


class ApiError(KubeError):
    """A failure status of the API server."""

    status: int
    """HTTP status code."""
    reason: str
    """`metav1.Status.reason`, such as `NotFound`; empty if the answer was no Status object."""
    message: str
    """The server's own words, in full; only `str()` cuts them."""
    retry_after_s: float | None
    """From the `Retry-After` header or `details.retryAfterSeconds`; `None`: the server did not say."""

    def __init__(self, status: int, *, reason: str = "", message: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s

    @classmethod
    def of(cls, status: int, body: Mapping[str, Any] | str, retry_after: str | None = None) -> "ApiError":
        """Build from an answer: `body` is the decoded Status object, or text where it was none."""
        if isinstance(body, str):
            return cls(status, message=body, retry_after_s=_seconds(retry_after))
        details = body.get("details") or {}
        after = _seconds(retry_after)
        if after is None:
            after = _seconds(details.get("retryAfterSeconds"))
        return cls(
            status,
            reason=str(body.get("reason") or ""),
            message=str(body.get("message") or ""),
            retry_after_s=after,
        )

    @property
    def not_found(self) -> bool:
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def conflict(self) -> bool:
        """A write lost against another; read again and decide again."""
        return self.status == HTTPStatus.CONFLICT and self.reason != "AlreadyExists"

    @property
    def already_exists(self) -> bool:
        return self.reason == "AlreadyExists"

    @property
    def forbidden(self) -> bool:
        return self.status == HTTPStatus.FORBIDDEN

    @property
    def expired(self) -> bool:
        """The resource version or continue token is too old (410) or, after a restore, too new (504)."""
        return self.status == HTTPStatus.GONE or (
            self.status == HTTPStatus.GATEWAY_TIMEOUT and self.reason == "Timeout"
        )

    def __str__(self) -> str:
        words = self.message if len(self.message) <= _MESSAGE_LIMIT else self.message[:_MESSAGE_LIMIT] + "…"
        return f"{self.status} {self.reason or 'error'}: {words}"


def _seconds(value: str | int | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None  # the HTTP-date form, which the API server does not send
    return seconds if seconds >= 0 else None
