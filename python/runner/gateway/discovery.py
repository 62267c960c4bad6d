"""What the API server said of its kinds, kept so that not every run asks it anew.

Promises: nothing that was asked before a `drop` is served or kept after it, and no answer is older than `max_age_s`;
all that is kept takes at most `max_bytes`; while a question is on its way, others with the same one wait for its
answer. Keeps only good answers. Does not know who may ask: the caller does.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from multidict import CIMultiDict, CIMultiDictProxy

from runner.clock import Clock
from runner.gateway.policy import ApiRequest

__all__ = ["Ask", "DiscoveryMemory", "Question", "Source", "Whole"]

Source = Literal["memory", "server"]

_PATH = re.compile(r"/version|/api|/apis|/api/[^/]+|/apis/[^/]+(/[^/]+)?|/openapi/v2|/openapi/v3(/.+)?")
_BEYOND_MEMORY = re.compile(r"impersonate-.*|range|if-range|if-match|if-unmodified-since", re.IGNORECASE)
"""Headers that ask for somebody else's answer, or for a part of one."""
_ENTRY_BYTES = 2048
"""What an answer takes besides its body and its question, generously."""
_DOUBT_EVERY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that an answer depends on."""

    path: str
    query: str
    accept: str
    encoding: str

    @classmethod
    def of(cls, asked: ApiRequest, query: str, headers: CIMultiDictProxy[str]) -> "Question | None":
        """Read a request.

        Returns:
            `None`: it is no discovery, or asks for what memory can't give.
        """
        if asked.method != "GET" or asked.is_resource or not _PATH.fullmatch(asked.path):
            return None
        if any(_BEYOND_MEMORY.fullmatch(name) for name in headers):
            return None
        return cls(
            path=asked.path,
            query=query,
            accept=_joined(headers, "Accept"),
            encoding=_joined(headers, "Accept-Encoding"),
        )

    @property
    def finds_kinds(self) -> bool:
        """Whether it is how a client looks for a kind, and not what it asks about the server or a kind's fields."""
        return self.path.startswith("/api")

    @property
    def size(self) -> int:
        return len(self.path) + len(self.query) + len(self.accept) + len(self.encoding)


def _joined(headers: CIMultiDictProxy[str], name: str) -> str:
    return ",".join(headers.getall(name, ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A complete answer, its body encoded as it came."""

    status: int
    reason: str
    headers: CIMultiDict[str]
    """Without hop-by-hop headers and the length."""
    body: bytes


Ask = Callable[[], Awaitable[Whole]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    whole: Whole
    asked_at: float
    size: int


@dataclass(slots=True, kw_only=True)
class _Flight:
    """A question on its way. Ends early when nobody waits for it any more."""

    task: asyncio.Task[Whole]
    asked_at: float
    waiting: int = field(default=0)


class DiscoveryMemory:
    """One serves all runs: they all ask with the operator's rights."""

    def __init__(
        self,
        *,
        clock: Clock,
        observe: Callable[[Source], None] = lambda _source: None,
        max_age_s: float = 600.0,
        max_bytes: int = 16 * 1024 * 1024,
        settle_s: float = 10.0,
    ) -> None:
        """Args:
        observe: told of each answer whether a request to the server was made for it.
        max_age_s: seconds after which the server is asked again, though nothing is known to have changed.
        max_bytes: bound of all that is kept; what was not used for longest goes first.
        settle_s: seconds for which nothing is kept after a change of kinds: the server itself learns of them late.
        """
        self._clock = clock
        self._observe = observe
        self._max_age_s = max_age_s
        self._max_bytes = max_bytes
        self._settle_s = settle_s
        self._kept: dict[Question, _Kept] = {}  # used longest ago first
        self._bytes = 0
        self._flights: dict[Question, _Flight] = {}
        self._drops = 0
        self._doubted_at = self._settled_at = float("-inf")

    def drop(self) -> None:
        """Forget everything; what is on its way is for those who wait for it already."""
        self._kept.clear()
        self._flights.clear()
        self._bytes = 0
        self._drops += 1

    def kinds_changed(self) -> None:
        """Forget everything, and keep nothing before the server has taken note itself."""
        self.drop()
        self._settled_at = self._clock.monotonic() + self._settle_s

    def doubt(self) -> None:
        """Forget everything, as the server knows otherwise; but not for each of many who ask for what is not there."""
        now = self._clock.monotonic()
        if now - self._doubted_at >= _DOUBT_EVERY_S:
            self._doubted_at = now
            self.drop()

    async def answer(self, question: Question, ask: Ask, *, seen_at: float | None = None) -> tuple[Whole, float]:
        """Answer from memory, or by asking.

        Args:
            question: what is asked.
            ask: puts it to the server; whatever it raises reaches all who wait for the answer.
            seen_at: only an answer younger than that will do; `None`: any that is kept.

        Returns:
            The answer, and the clock's instant at which it was asked for.
        """
        kept = self._recall(question)
        if kept is not None and (seen_at is None or kept.asked_at > seen_at):
            self._observe("memory")
            return kept.whole, kept.asked_at
        flight = self._flights.get(question)
        if flight is None or flight.task.done() or (seen_at is not None and flight.asked_at <= seen_at):
            self._observe("server")
            flight = self._depart(question, ask)
        else:
            self._observe("memory")
        return await self._arrival(question, flight), flight.asked_at

    def _recall(self, question: Question) -> _Kept | None:
        kept = self._forget(question)
        if kept is None or self._clock.monotonic() - kept.asked_at >= self._max_age_s:
            return None
        self._remember(question, kept)
        return kept

    def _depart(self, question: Question, ask: Ask) -> _Flight:
        asked_at = self._clock.monotonic()
        task = asyncio.create_task(self._ask(question, ask, asked_at), name=f"discovery {question.path}")
        flight = self._flights[question] = _Flight(task=task, asked_at=asked_at)
        return flight

    async def _ask(self, question: Question, ask: Ask, asked_at: float) -> Whole:
        drops = self._drops
        whole = await ask()
        settled = asked_at >= self._settled_at
        if whole.status == HTTPStatus.OK and drops == self._drops and settled:
            self._keep(question, whole, asked_at)
        return whole

    async def _arrival(self, question: Question, flight: _Flight) -> Whole:
        flight.waiting += 1
        try:
            await asyncio.wait({flight.task})
            return flight.task.result()
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                flight.task.cancel()
                if self._flights.get(question) is flight:
                    del self._flights[question]

    def _keep(self, question: Question, whole: Whole, asked_at: float) -> None:
        size = len(whole.body) + question.size + _ENTRY_BYTES
        if size > self._max_bytes // 2:
            return  # everything else would have to go for it
        self._forget(question)
        self._remember(question, _Kept(whole=whole, asked_at=asked_at, size=size))
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._kept)))

    def _remember(self, question: Question, kept: _Kept) -> None:
        self._kept[question] = kept
        self._bytes += kept.size

    def _forget(self, question: Question) -> _Kept | None:
        kept = self._kept.pop(question, None)
        if kept is not None:
            self._bytes -= kept.size
        return kept
