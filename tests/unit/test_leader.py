"""The elector against a Lease in memory, the fence, the watchdog, and a model check of all of them together.

The cases follow client-go's leaderelection_test.go where it has one. The model check (`TestNeverTwo`) drives three
electors through random delays, losses, pauses, crashes, clock jumps and hands that edit the Lease; a failure prints
the seed that repeats it. `LEADER_SCHEDULES` is how many such histories are tried.
"""

import asyncio
import heapq
import itertools
import logging
import os
import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from fakes import FakeClock
from runner.kube.errors import ApiError, Fenced, Unreachable
from runner.leader.elector import LeaderElector, LeadershipLost
from runner.leader.fence import Fence, Watchdog
from runner.leader.lease import LeaderSettings, LeaseRecord

COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
ITEM = f"{COLLECTION}/echo"


class LeaseServer:
    """One Lease with the API server's rules: versions, uids, no blind writes. Refuses calls that it does not know.

    No dict is changed once it was handed over, in either direction, so none is copied.
    """

    def __init__(self):
        self.lease = None
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)

    @property
    def record(self):
        return LeaseRecord.of(self.lease) if self.lease else None

    def apply(self, method, path, body):
        if (method, path) == ("GET", ITEM):
            return self._read()
        if (method, path) == ("POST", COLLECTION):
            if self.lease is not None:
                raise ApiError(409, reason="AlreadyExists")
            assert "resourceVersion" not in body["metadata"]
            return self._store(body, uid=f"uid-{next(self._uids)}")
        assert (method, path) == ("PUT", ITEM), f"unknown call: {method} {path}"
        stored = self._read()["metadata"]
        sent = body["metadata"]
        if (sent["resourceVersion"], sent["uid"]) != (stored["resourceVersion"], stored["uid"]):
            raise ApiError(409, reason="Conflict")
        return self._store(body, uid=stored["uid"])

    def edit(self, **changes):
        """What a hand with kubectl edit does: it knows no rules but the server's."""
        self._store({**self.lease, "spec": self.lease["spec"] | changes}, uid=self.lease["metadata"]["uid"])

    def _read(self):
        if self.lease is None:
            raise ApiError(404, reason="NotFound")
        return self.lease

    def _store(self, body, *, uid):
        meta = {**body["metadata"], "uid": uid, "resourceVersion": str(next(self._versions))}
        self.lease = {**body, "metadata": meta}
        return self.lease


class Client:
    """Calls the server in memory; `faults` are taken one for each call, `None` for none."""

    VERBS = {"GET": "get", "POST": "create", "PUT": "update"}  # noqa: RUF012 - a constant

    def __init__(self, server, clock):
        self.server = server
        self.calls = []
        self.deadlines = []
        self.faults = []
        self.always = None
        self._clock = clock

    async def request(self, method, path, *, body=None, deadline_s):
        self.calls.append(self.VERBS[method])
        self.deadlines.append(deadline_s)
        fault = self.faults.pop(0) if self.faults else self.always
        if fault is not None:
            return await fault(lambda: self.server.apply(method, path, body), self._clock, deadline_s)
        return self.server.apply(method, path, body)


async def refused(apply, clock, deadline_s):
    raise Unreachable("connection refused")


async def hung(apply, clock, deadline_s):
    await clock.sleep(deadline_s)
    raise Unreachable("no answer")


async def applied_but_unanswered(apply, clock, deadline_s):
    apply()
    await clock.sleep(deadline_s)
    raise Unreachable("no answer")


def answering(error):
    async def fault(apply, clock, deadline_s):
        raise error

    return fault


def slow(seconds):
    async def fault(apply, clock, deadline_s):
        await clock.sleep(seconds)
        return apply()

    return fault


def answered_late(seconds):
    """Takes effect at once; the answer takes its time."""

    async def fault(apply, clock, deadline_s):
        answer = apply()
        await clock.sleep(seconds)
        return answer

    return fault


def settings(**changes):
    return LeaderSettings(**({"name": "echo", "namespace": "default", "identity": "baz"} | changes))


class Observed:
    def __init__(self):
        self.states = []
        self.slow_paths = 0

    def leading(self, leading):
        self.states.append(leading)

    def slow_path(self):
        self.slow_paths += 1


class Rig:
    """One elector with its clock, fence and client, on a server that may be shared."""

    def __init__(self, server=None, clock=None, identity="baz"):
        self.clock = clock or FakeClock()
        self.server = server or LeaseServer()
        self.client = Client(self.server, self.clock)
        self.fence = Fence(clock=self.clock, jump_s=15.0)
        self.leaders = []
        self.observed = Observed()
        self.elector = LeaderElector(
            self.client,
            settings(identity=identity),
            clock=self.clock,
            rng=random.Random(1),
            fence=self.fence,
            on_new_leader=self.leaders.append,
            observer=self.observed,
        )

    def led_by(self, **changes):
        """Put another's record on the server."""
        values = {"holder": "bing", "duration_s": 15, "acquired": "t0", "renewed": "r0", "transitions": 4}
        spec = LeaseRecord(**(values | changes)).as_spec()
        self.server.apply("POST", COLLECTION, {"metadata": {"name": "echo", "namespace": "default"}, "spec": spec})

    async def leading(self):
        await asyncio.wait_for(self.elector.acquire(), 1)
        self.client.calls.clear()
        self.client.deadlines.clear()


@pytest.fixture
def rig():
    return Rig()


@pytest.fixture
async def started():
    """Starts tasks, and ends them after the test."""
    tasks = []

    def start(coroutine):
        tasks.append(asyncio.ensure_future(coroutine))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class TestAcquire:
    async def test_creates_a_lease_where_there_is_none(self, rig):
        """First start: no waiting, transitions from 0 as client-go writes them."""
        await rig.leading()

        assert rig.server.record == LeaseRecord(
            holder="baz",
            duration_s=15,
            acquired="2026-01-01T00:00:00.000000Z",
            renewed="2026-01-01T00:00:00.000000Z",
            transitions=0,
        )
        assert rig.fence.holds()
        assert rig.leaders == ["baz"]
        assert rig.observed.states == [False, True]

    @pytest.mark.parametrize("blank", [{"holder": ""}, {"holder": "", "duration_s": 0, "acquired": "", "renewed": ""}])
    async def test_takes_an_unled_lease_at_once(self, rig, blank):
        rig.led_by(**blank)

        await rig.leading()

        assert (rig.server.record.holder, rig.server.record.transitions) == ("baz", 5)

    async def test_stands_by_while_another_is_alive(self, rig, started):
        """Each change of the record restarts the wait."""
        rig.led_by()
        acquiring = started(rig.elector.acquire())
        for renewal in range(5):
            await rig.clock.advance(10)
            rig.server.edit(renewTime=f"renewal {renewal}")

        await rig.clock.advance(10)

        assert not acquiring.done()
        assert not rig.fence.holds()
        assert rig.server.record.holder == "bing"
        assert rig.leaders == ["bing"]

    async def test_takes_over_after_silence(self, rig, started):
        """A lease duration after the last change seen, plus at most one jittered retry."""
        rig.led_by()
        acquiring = started(rig.elector.acquire())

        await rig.clock.advance(14.9)
        assert not acquiring.done()
        await rig.clock.advance(2 * 2.2 + 0.1)

        assert acquiring.done()
        assert (rig.server.record.holder, rig.server.record.transitions) == ("baz", 5)
        assert rig.leaders == ["bing", "baz"]

    @pytest.mark.parametrize("jump", [3600.0, -3600.0, 365 * 86400.0])
    async def test_clock_jump_of_a_follower_does_not_rob_a_live_holder(self, rig, started, jump):
        """Python's own elector did: the wall clock is never reckoned with."""
        rig.led_by()
        acquiring = started(rig.elector.acquire())
        await rig.clock.advance(5)

        rig.clock.jump_wall(jump)
        await rig.clock.advance(9)

        assert not acquiring.done()

    @pytest.mark.parametrize(
        "fault",
        [
            refused,
            hung,
            answering(ApiError(500, reason="InternalError")),
            answering(ApiError(403, reason="Forbidden")),
            answering(ApiError(429, reason="TooManyRequests", retry_after_s=1)),
        ],
    )
    async def test_api_that_fails_is_asked_again(self, rig, started, fault):
        """Whatever the failure, on whichever call: a follower never ends."""
        rig.client.faults = [fault, None, fault, None, None]
        acquiring = started(rig.elector.acquire())

        await rig.clock.advance(30)

        assert acquiring.done()
        assert rig.server.record.holder == "baz"

    async def test_api_that_stays_away_is_logged_once(self, rig, started, caplog):
        """A standby asks every few seconds, for hours if need be."""
        rig.client.always = refused
        started(rig.elector.acquire())

        await rig.clock.advance(600)

        assert len(rig.client.calls) > 100
        assert [record.levelname for record in caplog.records].count("WARNING") == 1

    async def test_retry_after_is_honoured(self, rig, started):
        """A server that says when to come again is not asked before."""
        rig.client.faults = [answering(ApiError(429, reason="TooManyRequests", retry_after_s=9))]
        started(rig.elector.acquire())

        await rig.clock.advance(8.9)
        assert rig.client.calls == ["get"]
        await rig.clock.advance(0.2)

        assert rig.client.calls == ["get", "get", "create"]

    async def test_lost_race_to_create_makes_a_follower(self, rig, started):
        """Two first starts at once: one of them gets AlreadyExists."""

        async def other_was_first(apply, clock, deadline_s):
            rig.led_by()
            return apply()

        rig.client.faults = [None, other_was_first]
        acquiring = started(rig.elector.acquire())
        await rig.clock.advance(10)

        assert not acquiring.done()
        assert rig.server.record.holder == "bing"

    async def test_lost_race_to_take_over_makes_a_follower(self, rig, started):
        """The write names the version that was seen, so the second of two successors fails."""

        async def other_was_first(apply, clock, deadline_s):
            rig.server.edit(holderIdentity="bong", acquireTime="t9", leaseDurationSeconds=15)
            return apply()

        rig.led_by(holder="", duration_s=1)
        rig.client.faults = [None, other_was_first]
        acquiring = started(rig.elector.acquire())
        await rig.clock.advance(10)

        assert not acquiring.done()
        assert rig.server.record.holder == "bong"

    async def test_term_begins_with_the_write_that_won(self, rig, started):
        """Not with the one that lost a race a while before."""

        async def other_was_first(apply, clock, deadline_s):
            rig.led_by()
            return apply()

        rig.client.faults = [None, other_was_first]
        acquiring = started(rig.elector.acquire())
        await rig.clock.advance(25)

        assert acquiring.done()
        assert rig.server.record.acquired == rig.server.record.renewed > "2026-01-01T00:00:15"

    async def test_followers_do_not_ask_in_step(self, rig, started):
        """Retry periods are stretched at random, up to 2.2 times, or all would write at the same instant."""
        rig.led_by()
        asked = []

        async def noted(apply, clock, deadline_s):
            asked.append(clock.monotonic())
            return apply()

        rig.client.always = noted
        started(rig.elector.acquire())
        await rig.clock.advance(14)

        waits = [after - before for before, after in itertools.pairwise(asked)]
        assert len(set(waits)) == len(waits) > 2
        assert 2.0 <= min(waits) < max(waits) <= 4.4

    async def test_takeover_of_unknown_outcome_is_recognised_as_ours(self, rig, started):
        """The write took effect, its answer was lost: without recognising it we would wait for ourselves to die."""
        rig.client.faults = [None, applied_but_unanswered]
        acquiring = started(rig.elector.acquire())
        await rig.clock.advance(5)
        assert not rig.fence.holds()

        await rig.clock.advance(5)

        assert acquiring.done()
        assert rig.server.record.transitions == 0
        assert rig.fence.holds()

    async def test_own_identity_held_by_another_process_is_waited_for(self, rig, started):
        """HA_NODE_ID set in a ConfigMap gives it to every replica."""
        rig.led_by(holder="baz")
        acquiring = started(rig.elector.acquire())

        await rig.clock.advance(14.9)

        assert not acquiring.done()
        assert rig.client.calls.count("update") == 0

    async def test_answer_that_comes_too_late_does_not_open_the_fence(self, rig, started):
        """The hold counts from sending: after a frozen process woke, the record is as old as the freeze."""
        rig.client.faults = [None, answered_late(11)]
        acquiring = started(rig.elector.acquire())
        await rig.clock.advance(11.5)
        assert not rig.fence.holds()

        await rig.clock.advance(5)

        assert acquiring.done()
        assert rig.fence.holds()

    async def test_lease_without_version_is_not_written(self, rig, started):
        """A blind write would win over another holder's."""
        rig.server.lease = {"metadata": {"name": "echo"}, "spec": {}}
        started(rig.elector.acquire())

        await rig.clock.advance(30)

        assert set(rig.client.calls) == {"get"}

    async def test_calls_have_half_the_renew_deadline(self, rig):
        """One hung call must not cost all tries."""
        await asyncio.wait_for(rig.elector.acquire(), 1)

        assert rig.client.deadlines == [5.0, 5.0]

    async def test_leader_is_unknown_until_seen(self, rig, started):
        """Readiness asks for it."""
        rig.led_by()
        assert rig.elector.leader is None

        started(rig.elector.acquire())
        await rig.clock.advance(0)

        assert rig.elector.leader == "bing"


class TestHold:
    async def test_renews_with_one_write_and_keeps_the_term(self, rig, started):
        """client-go's fast path; acquireTime and transitions tell since when we lead."""
        await rig.leading()
        before = rig.server.record
        started(rig.elector.hold())

        await rig.clock.advance(60)

        assert set(rig.client.calls) == {"update"}
        assert len(rig.client.calls) == 30
        assert rig.observed.slow_paths == 0
        after = rig.server.record
        assert (after.acquired, after.transitions) == (before.acquired, before.transitions)
        assert after.renewed > before.renewed
        assert rig.fence.holds()

    async def test_conflict_falls_back_to_reading(self, rig, started):
        """Somebody labelled the Lease: its version moved, its record did not."""
        await rig.leading()
        started(rig.elector.hold())
        rig.server.edit()

        await rig.clock.advance(4)

        assert rig.client.calls == ["update", "get", "update", "update"]
        assert rig.observed.slow_paths == 1
        assert rig.fence.holds()

    async def test_another_holder_ends_it_at_once(self, rig, started):
        """client-go goes on to the deadline; those are seconds with two leaders."""
        await rig.leading()
        holding = started(rig.elector.hold())
        rig.server.edit(holderIdentity="bing", acquireTime="t9")

        await rig.clock.advance(2)

        assert isinstance(holding.exception(), LeadershipLost)
        assert holding.exception().reason == "the lease is held by bing"
        assert not rig.fence.holds()
        assert rig.server.record.holder == "bing"
        assert rig.observed.states == [False, True, False]

    async def test_same_identity_in_another_term_ends_it(self, rig, started):
        """A twin with our identity took the Lease."""
        await rig.leading()
        holding = started(rig.elector.hold())
        rig.server.edit(acquireTime="t9")

        await rig.clock.advance(2)

        assert isinstance(holding.exception(), LeadershipLost)

    @pytest.mark.parametrize(
        "fault", [refused, hung, applied_but_unanswered, answering(ApiError(500, reason="InternalError"))]
    )
    async def test_renewals_that_fail_end_it_at_the_deadline(self, rig, started, fault):
        """Refused, hung, or taken but never answered: ten seconds from when the last good renewal was sent."""
        await rig.leading()
        holding = started(rig.elector.hold())
        await rig.clock.advance(4)
        rig.client.always = fault

        await rig.clock.advance(9.9)
        assert rig.fence.holds()
        assert not holding.done()
        await rig.clock.advance(0.1)

        assert not rig.fence.holds()
        assert isinstance(holding.exception(), LeadershipLost)
        assert holding.exception().reason == "not renewed within 10 s"

    async def test_renewal_without_answer_does_not_extend_the_fence(self, rig, started):
        """It may have taken effect, and it may not."""
        await rig.leading()
        started(rig.elector.hold())
        before = rig.fence.deadline()
        rig.client.always = applied_but_unanswered

        await rig.clock.advance(9)

        assert rig.fence.deadline() == before

    async def test_fence_counts_from_sending(self, rig, started):
        """Another may have seen the record at that very instant."""
        await rig.leading()
        started(rig.elector.hold())
        sent = rig.clock.monotonic() + 2
        rig.client.faults = [slow(3)]

        await rig.clock.advance(5)

        assert rig.fence.deadline() == sent + 10

    async def test_one_hung_call_does_not_cost_the_lease(self, rig, started):
        """The next call follows at once, and has what time is left."""
        await rig.leading()
        holding = started(rig.elector.hold())
        rig.client.faults = [hung]

        await rig.clock.advance(9)

        assert not holding.done()
        assert rig.client.calls[:3] == ["update", "get", "update"]

    async def test_no_call_outlives_the_deadline(self, rig, started):
        """Or the answer would come when we must be gone."""
        await rig.leading()
        started(rig.elector.hold())
        ends = rig.clock.monotonic() + 10
        late = []

        async def hangs(apply, clock, deadline_s):
            late.append(clock.monotonic() + deadline_s - ends)
            await clock.sleep(deadline_s)
            raise Unreachable("no answer")

        rig.client.always = hangs
        await rig.clock.advance(20)

        assert len(late) == 2
        assert max(late) <= 0

    async def test_answer_after_the_deadline_comes_too_late(self, rig, started):
        """A loop that was blocked meanwhile: the watchdog has struck, so the renewal must not open the fence again."""
        await rig.leading()
        holding = started(rig.elector.hold())
        rig.client.always = refused
        await rig.clock.advance(7)
        rig.client.always = answered_late(6)

        await rig.clock.advance(7.5)

        assert isinstance(holding.exception(), LeadershipLost)
        assert not rig.fence.holds()
        assert rig.fence.deadline() < rig.clock.monotonic()

    async def test_recovers_within_the_deadline(self, rig, started):
        """An API server that restarts in five seconds costs nothing."""
        await rig.leading()
        holding = started(rig.elector.hold())
        rig.client.always = refused
        await rig.clock.advance(5)
        rig.client.always = None

        await rig.clock.advance(30)

        assert not holding.done()
        assert rig.fence.holds()

    async def test_deleted_lease_is_put_back_in_the_same_term(self, rig, started):
        """kubectl delete lease: our followers wait a lease duration, so we need not stop."""
        rig.led_by(holder="")
        await rig.leading()
        holding = started(rig.elector.hold())
        before = rig.server.record
        rig.server.lease = None

        await rig.clock.advance(2)

        assert not holding.done()
        after = rig.server.record
        assert (after.holder, after.acquired, after.transitions) == ("baz", before.acquired, 5)

    async def test_deleted_and_made_again_by_another_ends_it(self, rig, started):
        """The uid in the write sees to it that the new one is not overwritten."""
        await rig.leading()
        holding = started(rig.elector.hold())
        rig.server.lease = None
        rig.led_by()

        await rig.clock.advance(2)

        assert isinstance(holding.exception(), LeadershipLost)
        assert rig.server.record.holder == "bing"

    @pytest.mark.parametrize(
        "edit",
        [
            {"holderIdentity": ""},
            {"holderIdentity": None, "leaseDurationSeconds": None, "acquireTime": None, "renewTime": None},
            {"leaseDurationSeconds": 0},
            {"leaseDurationSeconds": "many", "leaseTransitions": "few", "renewTime": 7},
            {"leaseTransitions": -1},
        ],
    )
    async def test_blanked_or_garbled_record_is_put_right(self, rig, started, edit):
        """Nobody else holds it, so neither a crash nor a new leader."""
        await rig.leading()
        holding = started(rig.elector.hold())
        rig.server.edit(**edit)

        await rig.clock.advance(4)

        assert not holding.done()
        assert (rig.server.record.holder, rig.server.record.duration_s) == ("baz", 15)
        assert rig.fence.holds()

    @pytest.mark.parametrize("jump", [3600.0, -3600.0, 365 * 86400.0, -365 * 86400.0])
    async def test_clock_jump_of_the_leader_changes_no_leader(self, rig, started, jump):
        """NTP setting the clock must kill no run."""
        await rig.leading()
        holding = started(rig.elector.hold())

        rig.clock.jump_wall(jump)
        await rig.clock.advance(20)

        assert not holding.done()
        assert rig.fence.holds()

    async def test_jump_ahead_is_settled_by_a_renewal_within_half_a_second(self, rig, started):
        """Until then writes are refused, so it must not take the whole rest."""
        await rig.leading()
        started(rig.elector.hold())
        rig.clock.jump_wall(3600)
        assert not rig.fence.holds()

        await rig.clock.advance(0.5)

        assert rig.fence.holds()

    async def test_each_renewal_changes_the_record_even_if_the_clock_stands(self, rig, started, monkeypatch):
        """Others tell that we live by a change; a clock that stands, or is set back, must not look like death."""
        await rig.leading()
        started(rig.elector.hold())
        stood = rig.clock.now()
        monkeypatch.setattr(rig.clock, "now", lambda: stood)
        renewed = [rig.server.record.renewed]
        for _ in range(5):
            await rig.clock.advance(2)
            renewed.append(rig.server.record.renewed)

        assert len(set(renewed)) == 6

    async def test_frozen_past_the_deadline_ends_it_before_any_call(self, rig, started):
        """After SIGSTOP or suspend nothing is asked and nothing written: another leads by now."""
        await rig.leading()
        holding = started(rig.elector.hold())
        await rig.clock.advance(1)
        rig.clock._move_to(rig.clock.monotonic() + 30)

        await rig.clock.advance(1)

        assert isinstance(holding.exception(), LeadershipLost)
        assert rig.client.calls == []

    async def test_cancelling_drops_the_fence(self, rig, started):
        """Nobody renews any more."""
        await rig.leading()
        holding = started(rig.elector.hold())
        await rig.clock.advance(1)

        holding.cancel()
        await asyncio.wait({holding})

        assert not rig.fence.holds()
        assert rig.observed.states[-1] is False

    async def test_can_lead_again_after_a_loss(self, rig, started):
        """The elector keeps nothing of a lost term that would stand in the way."""
        await rig.leading()
        holding = started(rig.elector.hold())
        rig.server.edit(holderIdentity="bing", acquireTime="t9")
        await rig.clock.advance(2)
        assert holding.done()
        acquiring = started(rig.elector.acquire())

        await rig.clock.advance(20)

        assert acquiring.done()
        assert rig.fence.holds()
        assert rig.leaders == ["baz", "bing", "baz"]


class TestRelease:
    async def test_lets_the_next_one_in_at_once(self, rig):
        """A rolling update must not wait for a lease duration."""
        await rig.leading()
        before = rig.server.record

        released = await rig.elector.release()

        assert released
        assert rig.observed.states[-1] is False
        record = rig.server.record
        assert (record.holder, record.duration_s, record.transitions) == ("", 1, before.transitions)
        assert not rig.fence.holds()
        other = Rig(server=rig.server, clock=rig.clock, identity="bing")
        await other.leading()
        assert rig.server.record.transitions == before.transitions + 1

    async def test_follower_that_saw_the_holder_need_not_wait(self, rig, started):
        """It waits for a blanked record, so it must know a release."""
        await rig.leading()
        follower = Rig(server=rig.server, clock=rig.clock, identity="bing")
        acquiring = started(follower.elector.acquire())
        await rig.clock.advance(1)

        await rig.elector.release()
        await rig.clock.advance(4.4)

        assert acquiring.done()

    async def test_another_s_lease_is_left_alone(self, rig):
        await rig.leading()
        rig.server.edit(holderIdentity="bing", acquireTime="t9")

        assert await rig.elector.release()

        assert rig.server.record.holder == "bing"
        assert rig.client.calls == ["get"]

    async def test_nothing_to_release_asks_nothing(self, rig):
        """A follower that stops must not wait for an API server."""
        assert await rig.elector.release()

        assert rig.client.calls == []

    async def test_conflict_is_tried_again(self, rig):
        """client-go: release retries on conflict."""

        async def edited_meanwhile(apply, clock, deadline_s):
            rig.server.edit()
            return apply()

        await rig.leading()
        rig.client.faults = [None, edited_meanwhile]

        assert await rig.elector.release()

        assert rig.client.calls == ["get", "update", "get", "update"]
        assert rig.server.record.holder == ""

    async def test_answer_lost_is_looked_up(self, rig, started):
        """It took effect: the second look says so."""
        await rig.leading()
        rig.client.faults = [None, applied_but_unanswered]
        releasing = started(rig.elector.release())

        await rig.clock.advance(5)

        assert releasing.done()
        assert rig.server.record.holder == ""

    @pytest.mark.parametrize("fault", [refused, hung])
    async def test_gives_up_within_half_the_renew_deadline(self, rig, started, fault):
        """A process that is asked to end must end, API server or not."""
        await rig.leading()
        rig.client.always = fault
        releasing = started(rig.elector.release())

        await rig.clock.advance(5)

        assert releasing.result() is False
        assert not rig.fence.holds()


class TestFence:
    def test_holds_until_its_instant(self):
        clock = FakeClock()
        fence = Fence(clock=clock, jump_s=15)
        assert not fence.holds()

        fence.extend(clock.monotonic() + 10)
        assert fence.holds()
        clock._move_to(clock.monotonic() + 9.99)
        assert fence.holds()
        clock._move_to(clock.monotonic() + 0.01)

        assert not fence.holds()

    def test_check_raises_fenced(self):
        """The client's word for a write that was not sent."""
        fence = Fence(clock=FakeClock(), jump_s=15)

        with pytest.raises(Fenced):
            fence.check()

    def test_open_fence_always_holds(self):
        """Without leader election nothing may ever be refused, whatever the clocks do."""
        clock = FakeClock()
        fence = Fence.open(clock=clock)
        clock._move_to(clock.monotonic() + 1e9)
        clock.jump_wall(1e9)

        fence.check()

        assert not fence.in_doubt()

    def test_drop_refuses_and_keeps_the_deadline(self):
        """The watchdog still has to see to it that a stuck process ends."""
        clock = FakeClock()
        fence = Fence(clock=clock, jump_s=15)
        fence.extend(1010.0)

        fence.drop()

        assert not fence.holds()
        assert fence.deadline() == 1010.0

    @pytest.mark.parametrize(("jump", "holds"), [(15.0, True), (15.1, False), (-3600.0, True)])
    def test_wall_clock_that_gained_a_lease_duration_puts_it_in_doubt(self, jump, holds):
        """A virtual machine that was stopped does not count that time on any other clock."""
        clock = FakeClock()
        fence = Fence(clock=clock, jump_s=15)
        fence.extend(1010.0)

        clock.jump_wall(jump)

        assert fence.holds() is holds
        assert fence.in_doubt() is not holds

    def test_extending_settles_the_doubt(self):
        clock = FakeClock()
        fence = Fence(clock=clock, jump_s=15)
        fence.extend(1010.0)
        clock.jump_wall(3600)

        fence.extend(1012.0)

        assert fence.holds()


class Waits:
    """Stands in for sleeping: each wait moves the clock, and says stop after the last step."""

    def __init__(self, clock, steps):
        self._clock = clock
        self._steps = iter(steps)
        self.asked = []

    def __call__(self, seconds):
        self.asked.append(seconds)
        step = next(self._steps, None)
        if step is None:
            return True
        self._clock._move_to(self._clock.monotonic() + step)
        return False


class TestWatchdog:
    def run(self, fence, clock, steps):
        """Let the thread live through those steps of time; return how often it struck, and what it waited for."""
        lapses = []
        waits = Waits(clock, steps)
        dog = Watchdog(fence, lambda: lapses.append(clock.monotonic()), clock=clock, wait=waits)
        dog.start()
        dog._thread.join(2)
        assert not dog._thread.is_alive()
        dog.stop()
        return lapses, waits.asked

    def test_strikes_once_when_the_deadline_passed(self):
        """No event loop is running here: a stuck one changes nothing."""
        clock = FakeClock()
        fence = Fence(clock=clock, jump_s=15)
        fence.extend(1000.5)

        lapses, asked = self.run(fence, clock, [0.2, 0.2, 0.2, 0.2, 0.2])

        assert lapses == [pytest.approx(1000.6)]
        assert asked == [pytest.approx(0.2), pytest.approx(0.2), pytest.approx(0.1)]

    def test_fence_is_dropped_before_it_strikes(self):
        """What on_lapse takes time for must not go on writing meanwhile."""
        clock = FakeClock()
        fence = Fence(clock=clock, jump_s=15)
        fence.extend(999.0)
        held = []
        dog = Watchdog(fence, lambda: held.append(fence.holds()), clock=clock, wait=Waits(clock, []))

        dog.start()
        dog._thread.join(2)

        assert held == [False]
        assert fence._hold.dropped

    def test_renewals_keep_it_quiet(self):
        clock = FakeClock()
        fence = Fence(clock=clock, jump_s=15)
        fence.extend(1010.0)
        waits = Waits(clock, [8.0] * 10)
        lapses = []

        def wait(seconds):
            stop = waits(seconds)
            fence.extend(clock.monotonic() + 10)
            return stop

        dog = Watchdog(fence, lambda: lapses.append(1), clock=clock, wait=wait)
        dog.start()
        dog._thread.join(2)

        assert lapses == []

    def test_strikes_after_a_drop_too(self):
        """A loop that got stuck between losing the lease and killing its runs is ended all the same."""
        clock = FakeClock()
        fence = Fence(clock=clock, jump_s=15)
        fence.extend(1000.3)
        fence.drop()

        lapses, _ = self.run(fence, clock, [0.2, 0.2, 0.2])

        assert len(lapses) == 1

    def test_time_jumping_over_the_deadline_strikes_at_the_next_look(self):
        """Resumed from suspend or SIGSTOP."""
        clock = FakeClock()
        fence = Fence(clock=clock, jump_s=15)
        fence.extend(1010.0)

        lapses, asked = self.run(fence, clock, [0.2, 3600.0])

        assert len(lapses) == 1
        assert max(asked) <= 0.2

    @pytest.mark.parametrize("fence", [Fence.open(clock=FakeClock()), Fence(clock=FakeClock(), jump_s=15)])
    def test_never_strikes_where_nothing_can_lapse(self, fence):
        """No leader election, or not leading yet."""
        lapses, _ = self.run(fence, FakeClock(), [1e6] * 5)

        assert lapses == []

    def test_stop_ends_the_thread(self):
        """With its real wait: no thread outlives the operator's orderly end."""
        clock = FakeClock()
        fence = Fence(clock=clock, jump_s=15)
        fence.extend(2000.0)
        dog = Watchdog(fence, lambda: None, clock=clock)
        dog.start()

        dog.stop()

        assert "lease-watchdog" not in {thread.name for thread in threading.enumerate()}

    def test_stop_without_start_is_harmless(self):
        Watchdog(Fence.open(clock=FakeClock()), lambda: None, clock=FakeClock()).stop()


class Sleep:
    """What an elector under the model awaits: told to the world, which resumes it when the time has come."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __await__(self):
        yield self


class Call:
    def __init__(self, method, path, body, deadline_s):
        self.method, self.path, self.body, self.deadline_s = method, path, body, deadline_s

    def __await__(self):
        return (yield self)


class MachineClock:
    """A machine's clocks over the world's true time: each with its own rate; the wall clock is set by anyone."""

    def __init__(self, world, rate, offset):
        self.rate = rate
        self.wall_s = 0.0
        self._world = world
        self._offset = offset

    def monotonic(self):
        return self._offset + self.rate * self._world.now

    def now(self):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.rate * self._world.now + self.wall_s)

    async def sleep(self, seconds):
        await Sleep(max(0.0, seconds))


class Process:
    """One life of an operator on a machine: acquires, holds, and is gone after a loss, a crash or a release."""

    def __init__(self, world, machine, identity):
        self.world = world
        self.machine = machine
        self.identity = identity
        self.alive = True
        self.stopping = False
        self.waits_for = None
        self.fence = Fence(clock=machine.clock, jump_s=15.0)
        self.elector = LeaderElector(
            self, settings(identity=identity), clock=machine.clock, rng=world.rng, fence=self.fence
        )
        self._running = self._life()

    async def request(self, method, path, *, body=None, deadline_s):
        return await Call(method, path, body, deadline_s)

    async def _life(self):
        await self.elector.acquire()
        self.world.seen["led"] += 1
        try:
            await self.elector.hold()
        except LeadershipLost as lost:
            self.world.seen["lost: held by" if "held by" in lost.reason else "lost: not renewed"] += 1

    def stop(self):
        """SIGTERM with nothing running: stop renewing, release."""
        self.stopping = True
        self._running.close()
        self._running = self.elector.release()
        self.resume(self.waits_for, None)

    def crash(self):
        self.alive = False
        self._running.close()

    def resume(self, waited, answer):
        """Go on after that wait, unless a crash, a stop or a timeout came first."""
        if not self.alive or waited is not self.waits_for:
            return
        if self.machine.frozen_until > self.world.now:
            self.world.at(self.machine.frozen_until, lambda: self.resume(waited, answer))
            return
        try:
            step = self._running.throw(answer) if isinstance(answer, Exception) else self._running.send(answer)
        except StopIteration:
            self.alive = False
            return
        finally:
            self.world.look()
        self.waits_for = step
        if isinstance(step, Call):
            self.world.send(self, step)
        else:
            self.world.at(self.world.now + step.seconds / self.machine.clock.rate, lambda: self.resume(step, None))


class Machine:
    def __init__(self, world, number):
        self.number = number
        self.clock = MachineClock(world, world.rng.choice((1.0, 1.4, world.rng.uniform(1.0, 1.4))), 1000.0 * number)
        self.frozen_until = 0.0
        self.slow_until = 0.0
        self.cut_off_until = 0.0
        self.process = None


class World:
    """A random history, all of it drawn from one seed: `LENGTH_S` of trouble, then peace until somebody leads."""

    LENGTH_S = 120.0
    TROUBLE = ("freeze", "cut off", "crash", "stop", "set clock", "edit", "delete", "outage")

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.now = 0.0
        self.seen = Counter()
        self.server = LeaseServer()
        self.down_until = 0.0
        self.no_start_until = 0.0
        self.loss = self.rng.choice((0.0, 0.02, 0.2))
        self.delay_s = self.rng.choice((0.01, 0.3, 2.0))
        self.shared_identity = self.rng.random() < 0.1
        self._events = []
        self._order = itertools.count()
        self._lives = itertools.count()
        self.machines = [Machine(self, number) for number in range(3)]
        for machine in self.machines:
            self.at(self.rng.uniform(0, 5), lambda machine=machine: self.start(machine))
        kinds = self.rng.sample(self.TROUBLE, self.rng.randint(1, len(self.TROUBLE)))
        for kind in self.rng.choices(kinds, k=self.rng.randint(1, 25)):
            self.at(self.rng.uniform(0, self.LENGTH_S), lambda kind=kind: self.trouble(kind))

    def run(self):
        while self.now < self.LENGTH_S or not self.holders():
            self.now, _, event = heapq.heappop(self._events)
            event()
            assert self.now < 2 * self.LENGTH_S, f"after {self.LENGTH_S} s of peace nobody leads"
        for machine in self.machines:
            if machine.process is not None:
                machine.process.crash()

    def at(self, instant, event):
        heapq.heappush(self._events, (instant, next(self._order), event))

    def holders(self):
        return [m.process.identity for m in self.machines if m.process and m.process.alive and m.process.fence.holds()]

    def look(self):
        """The promise. A fence starts to hold only when its elector ran, so looking after each such step sees all."""
        assert len(self.holders()) <= 1, f"at {self.now:.3f} s may write: {self.holders()}"

    def start(self, machine):
        if machine.process is not None and machine.process.alive:
            return
        identity = "twin" if self.shared_identity else f"life-{next(self._lives)}"
        if self.now < self.no_start_until:
            self.at(self.no_start_until, lambda: self.start(machine))
            return
        machine.process = Process(self, machine, identity)
        machine.process.resume(None, None)
        self._watch_over(machine)

    def _watch_over(self, machine):
        """Start the next life some time after this one ended."""
        if machine.process.alive:
            self.at(self.now + 1.0, lambda: self._watch_over(machine))
        else:
            self.at(self.now + self.rng.uniform(0, 10), lambda: self.start(machine))

    # The network: each way takes its time, may lose what it carries, and may deliver it long after the caller gave up.

    def send(self, process, call):
        peace = self.now > self.LENGTH_S
        lost = not peace and self.rng.random() < self.loss
        if process.machine.slow_until <= self.now < process.machine.cut_off_until:
            lost = True
        arrival = self.now + self._delay(peace)
        timeout = self.now + call.deadline_s / process.machine.clock.rate
        self.at(timeout, lambda: process.resume(call, Unreachable("no answer")))
        if not lost:
            self.at(arrival, lambda: self._serve(process, call, peace))

    def _delay(self, peace):
        if not peace and self.rng.random() < 0.02:
            return self.rng.uniform(0, 40)
        return self.rng.expovariate(1 / (0.01 if peace else self.delay_s))

    def _serve(self, process, call, peace):
        if self.now < self.down_until:
            self.at(self.now, lambda: process.resume(call, Unreachable("connection refused")))
            return
        try:
            answer = self.server.apply(call.method, call.path, call.body)
        except ApiError as error:
            answer = error
        if not peace and self.rng.random() < self.loss:
            return
        if not peace and self.rng.random() < self.loss:
            answer = ApiError(500, reason="InternalError")
        delay_s = self.rng.uniform(2, 4) if self.now < process.machine.slow_until else self._delay(peace)
        self.at(self.now + delay_s, lambda: process.resume(call, answer))

    # Trouble

    def trouble(self, kind):
        machine = self.rng.choice(self.machines)
        leading = [m for m in self.machines if m.process and m.process.alive and m.process.fence.holds()]
        if leading and self.rng.random() < 0.6:
            machine = leading[0]
        self.seen[kind] += 1
        if kind == "freeze":
            machine.frozen_until = max(machine.frozen_until, self.now + self.rng.uniform(0.1, 40))
        elif kind == "cut off":
            # Often it begins with answers that are late: what they confirm is old by then.
            machine.slow_until = self.now + self.rng.choice((0.0, 4.0))
            machine.cut_off_until = machine.slow_until + self.rng.uniform(1, 40)
        elif kind == "outage":
            self.down_until = self.now + self.rng.uniform(0.5, 25)
        elif kind == "set clock":
            machine.clock.wall_s += self.rng.choice((-3600.0, -14.0, 14.0, 3600.0, 365 * 86400.0))
        elif kind in {"crash", "stop"}:
            self._end(machine.process, kind)
        elif self.server.lease is not None:
            self._meddle(kind)

    def _end(self, process, kind):
        if process is None or not process.alive or process.stopping:
            return
        if kind == "crash":
            process.crash()
        elif process.machine.frozen_until <= self.now:
            process.stop()

    def _meddle(self, kind):
        """A hand at the Lease. It takes it from under its holder only where all others know that there is one."""
        edit = self.rng.choice(("blank", "wipe", "short", "long", "garble", "touch", "stranger"))
        if kind == "delete" or edit in {"blank", "wipe"}:
            if not self._holder_is_known():
                self.seen["hand held back"] += 1
                return
            # A newcomer that finds no Lease cannot know that somebody held one a moment ago.
            self.no_start_until = self.now + 60
        if kind == "delete":
            self.server.lease = None
        elif edit == "blank":
            self.server.edit(holderIdentity="")
        elif edit == "wipe":
            self.server.edit(holderIdentity=None, leaseDurationSeconds=None, acquireTime=None, renewTime=None)
        elif edit == "short":  # never to 1: blanked as well, that would be a release, forged
            self.server.edit(leaseDurationSeconds=self.rng.choice((0, 2, 5, -3)))
        elif edit == "long":
            self.server.edit(leaseDurationSeconds=40)
        elif edit == "garble":
            self.server.edit(leaseDurationSeconds="x", renewTime=[], leaseTransitions="y")
        elif edit == "touch":
            self.server.edit()
        else:
            self.server.edit(holderIdentity=self.rng.choice(("stranger", "life-1", "twin")))

    def _holder_is_known(self):
        """Each living process but the holder saw this holder's record last, or does not lead and waits for its end."""
        holder = self.server.record.holder
        living = [m.process for m in self.machines if m.process and m.process.alive]
        return (
            bool(holder)
            and not self.shared_identity
            and all(p.identity == holder or p.elector.leader == holder for p in living)
        )


class TestNeverTwo:
    SCHEDULES = int(os.environ.get("LEADER_SCHEDULES", "4000"))

    def test_at_most_one_may_write_in_any_history(self, caplog):
        """Rates up to 1.4 (the bound is 15 s / 10 s), delays, losses, freezes, crashes, set clocks, meddling hands."""
        seen = Counter()
        caplog.set_level(logging.CRITICAL)
        for seed in range(self.SCHEDULES):
            world = World(seed)
            try:
                world.run()
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
            seen += world.seen

        # The histories must have been worth the while.
        assert seen["led"] > 2 * self.SCHEDULES
        for happened in ("lost: not renewed", *World.TROUBLE):
            assert seen[happened] > self.SCHEDULES / 2, f"{happened}: {seen}"
        assert seen["lost: held by"] > self.SCHEDULES / 100, str(seen)
