"""Who may read the metrics: the questions that are asked, how long answers count, and that doubt keeps out."""

import asyncio
import gc
import logging
from types import SimpleNamespace

import pytest
from yarl import URL

from fakes import FakeClock, settle
from runner.httpserver import reviews as metricsauth
from runner.httpserver.reviews import Reviewer
from runner.kube.errors import ApiError, Unreachable

TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
USER = {"username": "system:serviceaccount:m:prometheus", "uid": "u1", "groups": ["g"], "extra": {"k": ["v"]}}
FORBIDDEN = ApiError(403, reason="Forbidden", message="not you")


class Server:
    """Answers reviews; refuses what it does not know."""

    def __init__(self):
        self.asked = []
        self.authenticated = True
        self.status = {"allowed": True}
        self.failing = {}
        self.gate = None

    async def request(self, method, path, *, body, deadline_s):
        assert method == "POST"
        assert 0 < 2 * deadline_s < 10
        self.asked.append((path, body))
        if self.gate is not None:
            await self.gate.wait()
        if path in self.failing:
            raise self.failing[path]
        if path == TOKENS:
            return {"status": {"authenticated": self.authenticated, "user": USER if self.authenticated else {}}}
        assert path == ACCESS
        return {"status": self.status}

    def count(self, path):
        return len([each for each, _ in self.asked if each == path])


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def seen():
    return []


@pytest.fixture
def reviewer(server, clock, seen):
    return Reviewer(server, clock=clock, observe=lambda *what: seen.append(what))


def asking(token="t1", *, header=None, method="GET", path="/metrics"):
    value = f"Bearer {token}" if header is None else header
    return SimpleNamespace(headers={"Authorization": value} if value else {}, method=method, rel_url=URL(path))


async def code(reviewer, *arguments, **options):
    answer = await reviewer(asking(*arguments, **options))
    return 200 if answer is None else answer.status


class TestQuestions:
    async def test_are_those_of_controller_runtime(self, reviewer, server):
        assert await code(reviewer, "t1") == 200

        assert server.asked == [
            (TOKENS, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "t1"}}),
            (
                ACCESS,
                {
                    "apiVersion": "authorization.k8s.io/v1",
                    "kind": "SubjectAccessReview",
                    "spec": {
                        "user": USER["username"],
                        "uid": "u1",
                        "groups": ["g", "system:authenticated"],
                        "extra": {"k": ["v"]},
                        "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
                    },
                },
            ),
        ]

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Bearer",
            "Bearer ",
            "Basic dDE6",
            "t1",
            "Bearer a b",
            "Bearer \udcff",
            "Bearer ü",
            f"Bearer {'x' * 20_000}",
        ],
    )
    async def test_no_question_without_a_token(self, reviewer, server, header):
        assert await code(reviewer, header=header) == 401
        assert server.asked == []

    async def test_scheme_is_case_insensitive(self, reviewer):
        assert await code(reviewer, header="bearer t1") == 200

    async def test_unknown_token(self, reviewer, server):
        server.authenticated = False
        assert await code(reviewer) == 401
        assert server.count(ACCESS) == 0

    @pytest.mark.parametrize("status", [{}, {"allowed": False}, {"allowed": True, "denied": True}])
    async def test_anything_but_a_clear_yes_is_no(self, reviewer, server, status):
        server.status = status
        assert await code(reviewer) == 403

    async def test_right_is_for_one_path_and_verb(self, reviewer, server):
        """Who may get /metrics may not therefore get anything else that is served one day."""
        for method, path in (("GET", "/metrics"), ("HEAD", "/metrics"), ("GET", "/other")):
            await code(reviewer, method=method, path=path)

        asked = [body["spec"]["nonResourceAttributes"] for path, body in server.asked if path == ACCESS]
        assert [(each["verb"], each["path"]) for each in asked] == [
            ("get", "/metrics"), ("head", "/metrics"), ("get", "/other"),
        ]  # fmt: skip

    async def test_path_that_is_no_text_is_refused(self, reviewer, server):
        request = asking()
        request.rel_url = SimpleNamespace(path="/metrics\udcff")
        assert (await reviewer(request)).status == 403
        assert server.count(ACCESS) == 0

    async def test_answers_are_counted(self, reviewer, server, seen):
        await code(reviewer)
        server.authenticated = False
        await code(reviewer, "t2")
        server.failing[TOKENS] = FORBIDDEN
        await code(reviewer, "t3")

        assert seen == [("token", "yes"), ("access", "yes"), ("token", "no"), ("token", "error")]


class TestMemory:
    @pytest.mark.parametrize(
        ("authenticated", "allowed", "expected"),
        [
            (True, True, [(59, 1, 1), (2, 2, 1), (238, 3, 1), (2, 3, 2)]),
            (True, False, [(29, 1, 1), (2, 1, 2)]),
            (False, True, [(9, 1, 0), (2, 2, 0)]),
        ],
    )
    async def test_lasts_as_long_as_in_controller_runtime(
        self, reviewer, server, clock, authenticated, allowed, expected
    ):
        """Tokens a minute, yes five minutes, no half a minute. Each row: seconds that pass, then the questions so far."""
        server.authenticated, server.status = authenticated, {"allowed": allowed}
        await code(reviewer)
        for seconds, tokens, accesses in expected:
            await clock.advance(seconds)
            await code(reviewer)
            assert (server.count(TOKENS), server.count(ACCESS)) == (tokens, accesses)

    async def test_failure_is_not_kept(self, reviewer, server):
        """The next scrape may find the API server well again."""
        server.failing[TOKENS] = Unreachable("gone")
        assert await code(reviewer) == 500
        server.failing.clear()
        assert await code(reviewer) == 200

    async def test_other_token_of_the_same_user_shares_its_rights(self, reviewer, server):
        """Projected tokens change every hour."""
        await code(reviewer, "t1")
        await code(reviewer, "t2")
        assert (server.count(TOKENS), server.count(ACCESS)) == (2, 1)

    async def test_many_at_once_are_one_question(self, reviewer, server):
        server.gate = asyncio.Event()
        waiting = [asyncio.create_task(code(reviewer)) for _ in range(20)]
        await settle()
        server.gate.set()

        assert await asyncio.gather(*waiting) == [200] * 20
        assert (server.count(TOKENS), server.count(ACCESS)) == (1, 1)

    async def test_first_who_goes_away_leaves_the_others_their_answer(self, reviewer, server):
        server.gate = asyncio.Event()
        first, second = (asyncio.create_task(code(reviewer)) for _ in range(2))
        await settle()
        first.cancel()
        await settle()
        server.gate.set()

        assert await second == 200
        assert server.count(TOKENS) == 1

    async def test_failure_that_nobody_waits_for_is_no_noise(self, reviewer, server):
        server.gate = asyncio.Event()
        server.failing[TOKENS] = Unreachable("gone")
        noise = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: noise.append(context["message"]))
        only = asyncio.create_task(code(reviewer))
        await settle()
        only.cancel()
        server.gate.set()
        await settle()
        assert only.cancelled()
        del only  # holds on to the question
        gc.collect()  # where asyncio complains of an exception that nobody looked at
        assert noise == []

    async def test_is_bounded(self, reviewer, server, monkeypatch):
        """Anybody may come with a new token each time."""
        monkeypatch.setattr(metricsauth, "_MOST", 3)
        for number in range(10):
            await code(reviewer, f"t{number}")

        assert len(reviewer._users._answers) == 3

    async def test_holds_no_token(self, reviewer):
        """A core dump or a log of it would be a credential."""
        await code(reviewer, "very-secret-token")
        assert "very-secret-token" not in repr(vars(reviewer._users))


class TestTrouble:
    @pytest.mark.parametrize(
        ("path", "right"),
        [
            (TOKENS, "create tokenreviews.authentication.k8s.io"),
            (ACCESS, "create subjectaccessreviews.authorization.k8s.io"),
        ],
    )
    async def test_missing_right_is_named_once(self, reviewer, server, caplog, path, right):
        """It is the operator's own fault, so whoever asks is told nothing and the log everything."""
        server.failing[path] = FORBIDDEN
        with caplog.at_level(logging.ERROR):
            answers = [await reviewer(asking(f"t{number}")) for number in range(3)]

        assert [(answer.status, answer.body) for answer in answers] == [(500, b"Internal Server Error\n")] * 3
        (record,) = caplog.records
        assert record.fields["reason"] == f"the operator's service account lacks a right: {right}"

    async def test_is_told_again_when_it_comes_again(self, reviewer, server, caplog):
        with caplog.at_level(logging.ERROR):
            for number, error in enumerate([FORBIDDEN, None, FORBIDDEN]):
                server.failing = {TOKENS: error} if error else {}
                await code(reviewer, f"t{number}")

        assert len(caplog.records) == 2

    async def test_words_of_the_server_are_not_logged(self, reviewer, server, caplog):
        """It may quote the token that it was sent."""
        server.failing[TOKENS] = ApiError(400, reason="BadRequest", message="token t1 is bad")
        with caplog.at_level(logging.ERROR):
            await code(reviewer)

        assert [record.fields["reason"] for record in caplog.records] == ["400 BadRequest"]
