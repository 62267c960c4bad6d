"""The memory of discovery: what it keeps, for how long, and that one question is asked once."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from fakes import FakeClock, settle
from runner.gateway import policy
from runner.gateway.answers import Refusal
from runner.gateway.discovery import DiscoveryMemory, Question, Source, Whole

APIS = Question(path="/apis", query="", accept="application/json", encoding="")
OTHER = replace(APIS, path="/api")


def whole(body: bytes = b"{}", status: int = 200) -> Whole:
    return Whole(status=status, reason="", headers=CIMultiDict(), body=body)


class Server:
    """Answers with `says` once it is let; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.given_up = 0
        self.says: Whole | Exception = whole(b"1")
        self.lets = asyncio.Event()
        self.lets.set()

    async def __call__(self) -> Whole:
        self.asked += 1
        try:
            await self.lets.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class Rig:
    def __init__(self, **limits: Any) -> None:
        self.clock = FakeClock()
        self.server = Server()
        self.sources: list[Source] = []
        self.memory = DiscoveryMemory(clock=self.clock, observe=self.sources.append, **limits)

    async def ask(self, question: Question = APIS, *, seen_at: float | None = None) -> bytes:
        answer, _ = await self.memory.answer(question, self.server, seen_at=seen_at)
        return answer.body

    def start(self, question: Question = APIS) -> "asyncio.Task[bytes]":
        return asyncio.create_task(self.ask(question))


@pytest.fixture
async def rig() -> Rig:
    return Rig()


# Which requests


def question(path: str, query: str = "", method: str = "GET", **headers: str) -> Question | None:
    asked = policy.parse_request(method, path, query)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Question.of(asked, query, CIMultiDictProxy(CIMultiDict(named)))


@pytest.mark.parametrize(
    "path",
    [
        "/version",
        "/api",
        "/apis",
        "/api/v1",
        "/apis/apps",
        "/apis/apps/v1",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/apis/apps/v1",
    ],
)
def test_discovery_paths(path: str):
    expected = Question(path=path, query="timeout=32s", accept="a/b", encoding="gzip")
    assert question(path, "timeout=32s", Accept="a/b", Accept_Encoding="gzip") == expected


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/versions",
        "/version/x",
        "/api/v1/pods",
        "/api/v1/namespaces/n",
        "/apis/apps/v1/deployments",
        "/healthz",
        "/metrics",
        "/openapi",
        "/openapi/v2/x",
        "/logs/x",
        "/.well-known/openid-configuration",
    ],
)
def test_other_paths_are_none(path: str):
    assert question(path) is None


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_none(method: str):
    assert question("/apis", method=method) is None


@pytest.mark.parametrize(
    "name", ["Range", "If-Range", "If-Match", "If-Unmodified-Since", "Impersonate-User", "impersonate-extra-x"]
)
def test_what_asks_for_another_s_answer_or_a_part_of_one_is_none(name: str):
    assert question("/apis", **{name.replace("-", "_"): "x"}) is None


# What is kept


async def test_a_second_question_is_answered_from_memory(rig: Rig):
    assert [await rig.ask(), await rig.ask()] == [b"1", b"1"]
    assert (rig.server.asked, rig.sources) == (1, ["server", "memory"])


@pytest.mark.parametrize("change", [{"path": "/api"}, {"query": "x"}, {"accept": "x"}, {"encoding": "gzip"}])
async def test_all_parts_of_a_question_count(rig: Rig, change: dict[str, str]):
    await rig.ask()
    await rig.ask(replace(APIS, **change))
    assert rig.server.asked == 2


async def test_an_answer_ages(rig: Rig):
    await rig.ask()
    await rig.clock.advance(599.9)
    await rig.ask()
    assert rig.server.asked == 1
    await rig.clock.advance(0.1)
    await rig.ask()
    assert rig.server.asked == 2


@pytest.mark.parametrize("status", [301, 401, 403, 404, 429, 500, 503])
async def test_only_good_answers_are_kept(rig: Rig, status: int):
    rig.server.says = whole(b"bad", status)
    assert await rig.ask() == b"bad"
    rig.server.says = whole(b"good")
    assert await rig.ask() == b"good"


async def test_a_failure_is_not_kept(rig: Rig):
    rig.server.says = Refusal.bad_gateway("x")
    with pytest.raises(Refusal):
        await rig.ask()
    rig.server.says = whole(b"good")
    assert await rig.ask() == b"good"


async def test_of_too_much_what_was_not_used_for_longest_goes():
    rig = Rig(max_bytes=30_000)
    rig.server.says = whole(b"x" * 7_000)
    questions = [replace(APIS, path=f"/apis/{number}") for number in range(4)]
    for each in questions[:3]:
        await rig.ask(each)
    await rig.ask(questions[0])
    await rig.ask(questions[3])
    rig.sources.clear()
    for each in (questions[0], questions[2], questions[3], questions[1]):
        await rig.ask(each)
    assert rig.sources == ["memory", "memory", "memory", "server"]


async def test_one_answer_does_not_drive_out_all_others():
    rig = Rig(max_bytes=30_000)
    await rig.ask()
    rig.server.says = whole(b"x" * 15_000)
    assert len(await rig.ask(OTHER)) == 15_000
    await rig.ask(OTHER)
    await rig.ask()
    assert rig.sources == ["server", "server", "server", "memory"]


async def test_small_answers_to_many_questions_are_bounded_too():
    """A run can make up any number of queries."""
    rig = Rig(max_bytes=100_000)
    rig.server.says = whole(b"")
    for number in range(100):
        await rig.ask(replace(APIS, query=str(number)))
    rig.sources.clear()
    for number in reversed(range(100)):
        await rig.ask(replace(APIS, query=str(number)))
    assert rig.sources.count("memory") < 50


# One at a time


async def test_waiters_share_one_request(rig: Rig):
    rig.server.lets.clear()
    waiting = [rig.start() for _ in range(3)]
    await settle()
    rig.server.lets.set()
    assert await asyncio.gather(*waiting) == [b"1"] * 3
    assert (rig.server.asked, rig.sources) == (1, ["server", "memory", "memory"])


async def test_another_question_does_not_wait(rig: Rig):
    rig.server.lets.clear()
    waiting = [rig.start(), rig.start(OTHER)]
    await settle()
    assert rig.server.asked == 2
    rig.server.lets.set()
    await asyncio.gather(*waiting)


async def test_a_failure_reaches_all_who_wait(rig: Rig):
    rig.server.lets.clear()
    waiting = [rig.start() for _ in range(2)]
    await settle()
    rig.server.says = Refusal.bad_gateway("x")
    rig.server.lets.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert found == [rig.server.says] * 2


async def test_whoever_asked_first_may_leave(rig: Rig):
    rig.server.lets.clear()
    first, second = rig.start(), rig.start()
    await settle()
    first.cancel()
    await settle()
    rig.server.lets.set()
    assert await second == b"1"
    assert (rig.server.asked, rig.server.given_up) == (1, 0)


async def test_when_the_last_has_left_the_request_ends(rig: Rig):
    rig.server.lets.clear()
    waiting = [rig.start() for _ in range(2)]
    await settle()
    for each in waiting:
        each.cancel()
    await settle()
    assert rig.server.given_up == 1
    rig.server.lets.set()
    assert await rig.ask() == b"1"


# What makes it forget


FORGETTING: list[Callable[[DiscoveryMemory], None]] = [
    DiscoveryMemory.drop,
    DiscoveryMemory.kinds_changed,
    DiscoveryMemory.doubt,
]


@pytest.mark.parametrize("forget", FORGETTING)
async def test_everything_is_forgotten_at_once(rig: Rig, forget: Callable[[DiscoveryMemory], None]):
    await rig.ask()
    await rig.ask(OTHER)
    forget(rig.memory)
    rig.server.says = whole(b"2")
    assert [await rig.ask(), await rig.ask(OTHER)] == [b"2", b"2"]


@pytest.mark.parametrize("forget", FORGETTING)
async def test_what_is_on_its_way_is_for_those_who_asked_before(rig: Rig, forget: Callable[[DiscoveryMemory], None]):
    """Its answer may be from before the change."""
    rig.server.lets.clear()
    before = rig.start()
    await settle()
    forget(rig.memory)
    after = rig.start()
    await settle()
    assert rig.server.asked == 2
    rig.server.lets.set()
    await asyncio.gather(before, after)
    await rig.clock.advance(20)
    rig.sources.clear()
    await rig.ask()
    assert rig.sources == (["server"] if forget is DiscoveryMemory.kinds_changed else ["memory"])


async def test_an_old_answer_that_arrives_last_is_not_kept(rig: Rig):
    slow = Server()
    slow.lets.clear()
    before = asyncio.create_task(rig.memory.answer(APIS, slow))
    await settle()
    rig.memory.drop()
    slow.lets.set()
    await before
    rig.server.says = whole(b"new")
    assert await rig.ask() == b"new"


async def test_after_a_change_nothing_is_kept_until_the_server_has_taken_note(rig: Rig):
    """It publishes a new kind a moment after it has stored the definition."""
    rig.memory.kinds_changed()
    for _ in range(2):
        await rig.ask()
    await rig.clock.advance(9.9)
    await rig.ask()
    assert rig.server.asked == 3
    await rig.clock.advance(0.1)
    for _ in range(2):
        await rig.ask()
    assert rig.server.asked == 4


async def test_many_doubts_are_one(rig: Rig):
    """Forty runs that look for what is not there must not make memory useless."""
    rig.memory.doubt()
    await rig.ask()
    rig.memory.doubt()
    await rig.ask()
    assert rig.server.asked == 1
    await rig.clock.advance(2)
    rig.memory.doubt()
    await rig.ask()
    assert rig.server.asked == 2


# Asking again


async def test_who_has_seen_an_answer_gets_a_newer_one(rig: Rig):
    """Clients ask again when they did not find a kind."""
    _, seen_at = await rig.memory.answer(APIS, rig.server)
    rig.server.says = whole(b"2")
    assert await rig.ask() == b"1"
    await rig.clock.advance(1)
    assert await rig.ask(seen_at=seen_at) == b"2"
    assert await rig.ask(seen_at=seen_at) == b"2"
    assert rig.server.asked == 2


async def test_who_has_seen_an_answer_does_not_wait_for_the_same(rig: Rig):
    rig.server.lets.clear()
    waiting = rig.start()
    await settle()
    again = asyncio.create_task(rig.ask(seen_at=rig.clock.monotonic()))
    await settle()
    assert rig.server.asked == 2
    rig.server.lets.set()
    await asyncio.gather(waiting, again)
