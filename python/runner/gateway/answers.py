"""Answers of the gateway's own, in the shape that Kubernetes clients read: a `Status` object."""

import json
from http import HTTPStatus

from runner.objects import Raw

__all__ = ["Refusal"]


class Refusal(Exception):  # noqa: N818 - reads as what happened
    """A request that is answered here and goes no further. `reason` is `metav1.Status.reason`."""

    def __init__(self, code: HTTPStatus, reason: str, message: str) -> None:
        super().__init__(code, reason, message)
        self.code = code
        self.reason = reason
        self.message = message

    def body(self) -> bytes:
        """The Status object."""
        status: Raw = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": f"gateway: {self.message}",
            "reason": self.reason,
            "code": self.code.value,
        }
        return json.dumps(status).encode() + b"\n"

    def __str__(self) -> str:
        return f"{self.code.value} {self.reason}: {self.message}"

    @classmethod
    def bad_request(cls, message: str) -> "Refusal":
        return cls(HTTPStatus.BAD_REQUEST, "BadRequest", message)

    @classmethod
    def unauthorized(cls) -> "Refusal":
        message = "no run has this token: it is missing, wrong, or its run has ended"
        return cls(HTTPStatus.UNAUTHORIZED, "Unauthorized", message)

    @classmethod
    def forbidden(cls, message: str) -> "Refusal":
        return cls(HTTPStatus.FORBIDDEN, "Forbidden", message)

    @classmethod
    def unsupported(cls, message: str) -> "Refusal":
        return cls(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)

    @classmethod
    def too_large(cls, limit: int) -> "Refusal":
        message = f"the request body is larger than {limit} bytes"
        return cls(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", message)

    @classmethod
    def fenced(cls, message: str) -> "Refusal":
        """Without Retry-After: clients would try again, and the run is being ended."""
        return cls(HTTPStatus.SERVICE_UNAVAILABLE, "Fenced", f"not sent: {message}")

    @classmethod
    def unavailable(cls, message: str) -> "Refusal":
        return cls(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", message)

    @classmethod
    def bad_gateway(cls, message: str) -> "Refusal":
        return cls(HTTPStatus.BAD_GATEWAY, "BadGateway", message)

    @classmethod
    def timed_out(cls, message: str) -> "Refusal":
        return cls(HTTPStatus.GATEWAY_TIMEOUT, "Timeout", message)
