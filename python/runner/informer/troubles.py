"""What keeps an informer from its work: which kind of failure it is, how long to wait, and what to say of it.

Promises: waits grow with jitter and have a bound, and an API server that asks for patience gets it within reason; one
log line when a trouble begins and one when it is over. Does not wait and does not know what the informer does next.
"""

import logging
import random
from collections.abc import Callable
from http import HTTPStatus
from typing import Literal

from runner.kube.discovery import NotServed
from runner.kube.errors import ApiError, KubeError

__all__ = ["Trouble", "Troubles", "kind_of", "refuses_position"]

logger = logging.getLogger(__name__)

_BACKOFF_BASE_S = 0.8
_BACKOFF_MAX_S = 30.0
_RETRY_AFTER_MAX_S = 300.0
"""A server may ask for patience, but a slip in a proxy's configuration must not make us deaf for a day."""

Trouble = Literal["not_served", "forbidden", "expired", "unreachable", "error"]
_WORDS: dict[Trouble, str] = {
    "not_served": "kind is not served; is its CRD installed? asking again every 10 to 15 s",
    "forbidden": "not allowed to list or watch; asking again every 20 to 30 s",
    "expired": "position expired; listing anew",
    "unreachable": "API server out of reach; trying again with back-off",
    "error": "list or watch failed; trying again with back-off",
}
_POLL_S: dict[Trouble, tuple[float, float]] = {"not_served": (10.0, 15.0), "forbidden": (20.0, 30.0)}


class Troubles:
    """Those of one informer, one after the other."""

    problem: str
    """What is wrong now, for people; empty if nothing is."""

    def __init__(self, name: str, *, rng: random.Random, log_fields: Callable[..., dict[str, object]]) -> None:
        self._name = name
        self._rng = rng
        self._log_fields = log_fields
        self._failures = 0
        self._last: Trouble | None = None
        self.problem = ""

    def met(self, error: KubeError | NotServed) -> float:
        """Take note of a failure; return for how many seconds to wait."""
        trouble = kind_of(error)
        if trouble != "expired":
            self.problem = f"{self._name}: {error}" if self._name else str(error)
        if trouble != self._last:
            self._last = trouble
            level = logging.INFO if trouble == "expired" else logging.WARNING
            logger.log(level, _WORDS[trouble], extra=self._log_fields(error=str(error)))
        own_s = self._rng.uniform(*_POLL_S[trouble]) if trouble in _POLL_S else self.backoff_s()
        asked_s = (error.retry_after_s if isinstance(error, ApiError) else None) or 0.0
        # The sum and not the maximum: all who were asked to wait equally long should not come back together.
        return min(asked_s, _RETRY_AFTER_MAX_S) + own_s

    def over(self) -> None:
        """List and watch work."""
        if self.problem:
            logger.info("list and watch work again", extra=self._log_fields())
        self._last, self.problem = None, ""

    def backoff_s(self) -> float:
        """Return the next wait: random, below a bound that doubles up to 30 s."""
        bound_s = min(_BACKOFF_BASE_S * 2.0 ** min(self._failures, 10), _BACKOFF_MAX_S)
        self._failures += 1
        return self._rng.uniform(0.0, bound_s)

    def start_anew(self) -> None:
        """Let the next wait be a first one."""
        self._failures = 0


def kind_of(error: KubeError | NotServed) -> Trouble:
    if isinstance(error, NotServed):
        return "not_served"
    if not isinstance(error, ApiError):
        return "unreachable"
    if error.not_found:
        return "not_served"
    if error.forbidden:
        return "forbidden"
    return "expired" if error.expired else "error"


def refuses_position(error: KubeError | NotServed) -> bool:
    """Tell whether going on from the last position is pointless: the server wants none of it, or of the kind."""
    if not isinstance(error, ApiError):
        return isinstance(error, NotServed)
    passing = error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    return error.expired or (error.status < HTTPStatus.INTERNAL_SERVER_ERROR and not passing)
