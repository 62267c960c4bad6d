"""Who may read the metrics: asks the API server who a bearer token belongs to, and whether that user may.

As controller-runtime's metrics filter does, with the same two rights for the operator (create `tokenreviews` and
`subjectaccessreviews`) and the same one for readers (the non-resource URL, verb `get`). Promises: nobody is let in on a
doubt; a token is kept as a keyed digest only; memory is bounded; several who ask the same at once are one question.
"""

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import web

from runner.clock import Clock
from runner.httpserver.server import Answer
from runner.kube.errors import ApiError, KubeError
from runner.logs import fields
from runner.objects import Raw

__all__ = ["Asking", "Review", "Reviewer"]

logger = logging.getLogger(__name__)

# controller-runtime 0.21, pkg/metrics/filters/filters.go
_TOKEN_GOOD_S = 60.0
_ALLOWED_S = 300.0
_DENIED_S = 30.0
# controller-runtime keeps only rejections for which the API server gave no reason; it always gives one. A moment is
# kept here, so that a scraper with a stale token is not one question each time it tries.
_TOKEN_BAD_S = 10.0
_DEADLINE_S = 4.0
"""Of each of the two questions; together less than a connection may take."""
_MOST = 1000
_LONGEST_TOKEN = 16384

_AUTHENTICATED = "system:authenticated"
_RIGHTS = {
    "token": "create tokenreviews.authentication.k8s.io",
    "access": "create subjectaccessreviews.authorization.k8s.io",
}
_PATHS = {
    "token": ("authentication.k8s.io/v1", "TokenReview", "tokenreviews"),
    "access": ("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews"),
}
Review = str
"""`token` or `access`."""


class Asking(Protocol):
    """The part of a `KubeClient` that is used. A standby serves metrics too, so no fence may stop it."""

    def request(
        self, method: str, path: str, *, body: Raw | list[Raw] | None = None, deadline_s: float
    ) -> Awaitable[Raw]: ...


class _Remembered[T]:
    """Answers for a while; the oldest go when there are too many."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: dict[bytes, tuple[float, T]] = {}
        self._asked: dict[bytes, asyncio.Task[T]] = {}

    async def get(self, key: bytes, ask: Callable[[], Coroutine[Any, Any, T]], keep_s: Callable[[T], float]) -> T:
        """Return what is known, else ask; a failure to ask is raised to all who wait, and not kept."""
        known = self._answers.get(key)
        if known is not None and self._clock.monotonic() < known[0]:
            return known[1]
        task = self._asked.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key, ask, keep_s), name="metrics review")
            task.add_done_callback(lambda done: self._answered(key, done))
            self._asked[key] = task
        # Whoever asked first may go away before the others have their answer: that does not end the question.
        await asyncio.wait({task})
        return task.result()

    def _answered(self, key: bytes, task: "asyncio.Task[T]") -> None:
        del self._asked[key]
        if not task.cancelled():
            task.exception()  # it may be that nobody waits for it any more

    async def _ask(self, key: bytes, ask: Callable[[], Coroutine[Any, Any, T]], keep_s: Callable[[T], float]) -> T:
        answer = await ask()
        self._answers.pop(key, None)
        if len(self._answers) >= _MOST:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = (self._clock.monotonic() + keep_s(answer), answer)
        return answer


_User = Mapping[str, Any]
"""As a review of access takes it; empty: nobody we know."""


class Reviewer:
    """A `httpserver.Filter`."""

    def __init__(
        self,
        client: Asking,
        *,
        clock: Clock,
        observe: Callable[[Review, str], None] = lambda _review, _answer: None,
    ) -> None:
        """Args:
        observe: told of each question put to the API server: which, and `yes`, `no` or `error`.
        """
        self._client = client
        self._observe = observe
        self._salt = secrets.token_bytes(32)
        self._users: _Remembered[_User] = _Remembered(clock)
        self._access: _Remembered[bool] = _Remembered(clock)
        self._complaints: dict[Review, str] = {}

    async def __call__(self, request: web.BaseRequest) -> Answer | None:
        """Let pass with `None`, or refuse: 401 nobody known, 403 somebody who may not, 500 there was no answer."""
        token = _bearer(request.headers.get("Authorization", ""))
        if not token:
            return _refusal(HTTPStatus.UNAUTHORIZED)
        try:
            user = await self._user(token)
            if not user:
                return _refusal(HTTPStatus.UNAUTHORIZED)
            allowed = await self._may(user, request.method.lower(), request.rel_url.path)
        except KubeError:  # told where it was met
            return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR)
        return None if allowed else _refusal(HTTPStatus.FORBIDDEN)

    async def _user(self, token: str) -> _User:
        async def ask() -> _User:
            status = await self._review("token", {"token": token})
            user: Raw = status.get("user") or {}
            known = bool(status.get("authenticated") and user.get("username"))
            self._observe("token", "yes" if known else "no")
            return _spec(user) if known else {}

        key = self._digest(token)
        return await self._users.get(key, ask, lambda user: _TOKEN_GOOD_S if user else _TOKEN_BAD_S)

    async def _may(self, user: _User, verb: str, path: str) -> bool:
        if not path.isprintable():  # nothing that could be asked about
            return False
        spec = {**user, "nonResourceAttributes": {"path": path, "verb": verb}}

        async def ask() -> bool:
            status = await self._review("access", spec)
            allowed = bool(status.get("allowed") and not status.get("denied"))
            self._observe("access", "yes" if allowed else "no")
            return allowed

        key = self._digest(json.dumps(spec, sort_keys=True))
        return await self._access.get(key, ask, lambda allowed: _ALLOWED_S if allowed else _DENIED_S)

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=self._salt).digest()

    async def _review(self, review: Review, spec: Mapping[str, Any]) -> Raw:
        api_version, kind, plural = _PATHS[review]
        body = {"apiVersion": api_version, "kind": kind, "spec": dict(spec)}
        try:
            answer = await self._client.request(
                "POST", f"/apis/{api_version}/{plural}", body=body, deadline_s=_DEADLINE_S
            )
        except KubeError as error:
            self._observe(review, "error")
            self._complain(review, error)
            raise
        self._complaints.pop(review, None)
        status: Raw = answer.get("status") or {}
        return status

    def _complain(self, review: Review, error: KubeError) -> None:
        """Once for each kind of failure, until it has gone: scrapers ask again and again."""
        if isinstance(error, ApiError) and error.forbidden:
            text = f"the operator's service account lacks a right: {_RIGHTS[review]}"
        else:
            # An API server that refuses may quote what it was sent, which is a token.
            text = f"{error.status} {error.reason}" if isinstance(error, ApiError) else str(error)
        if self._complaints.get(review) != text:
            self._complaints[review] = text
            logger.error("metrics cannot be read, because who asks cannot be checked", extra=fields(reason=text))


def _bearer(authorization: str) -> str:
    """The token, or nothing where there is none that could be asked about."""
    scheme, _, rest = authorization.strip().partition(" ")
    token = rest.strip()
    sane = token.isascii() and token.isprintable() and " " not in token and len(token) <= _LONGEST_TOKEN
    return token if scheme.lower() == "bearer" and sane else ""


def _spec(user: Raw) -> Raw:
    """The user of a token as a review of access takes it."""
    groups = list(user.get("groups") or ())
    if _AUTHENTICATED not in groups:
        groups.append(_AUTHENTICATED)
    spec: Raw = {"user": user["username"], "groups": groups}
    return spec | {key: user[key] for key in ("uid", "extra") if user.get(key)}


def _refusal(status: HTTPStatus) -> Answer:
    return Answer(status=status, body=f"{status.phrase}\n".encode())
