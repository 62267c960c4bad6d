"""The Lease record and the decision on it. Cases ported from client-go's leaderelection_test.go, and what it leaves out."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from runner.leader import lease
from runner.leader.lease import Claim, LeaderSettings, LeaseRecord, Move, Sighting
from runner.objects import ObjectRef

US = Claim(identity="baz", term="t1")
NOBODY_YET = Claim(identity="baz")
OWN_DURATION_S = 15.0


def record(**changes):
    values = {"holder": "bing", "duration_s": 15, "acquired": "t0", "renewed": "r0", "transitions": 4}
    return LeaseRecord(**(values | changes))


def see(now, seen, before=None, claim=NOBODY_YET, version="7"):
    return lease.observe(before, seen, claim, version=version, now=now, at_least_s=OWN_DURATION_S)


def decide(seen, now, claim=NOBODY_YET):
    return lease.decide(seen, claim, now=now)


def settings(**changes):
    return LeaderSettings(**({"name": "echo", "namespace": "default", "identity": "me"} | changes))


class TestSettings:
    def test_defaults_are_those_of_client_go(self):
        """A mixed fleet agrees on how long silence means death."""
        made = settings()

        assert (made.lease_duration_s, made.renew_deadline_s, made.retry_period_s) == (15.0, 10.0, 2.0)

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"name": ""}, "--leader-election-id must not be empty"),
            ({"namespace": ""}, "--leader-election-namespace must not be empty"),
            ({"identity": ""}, "identity must not be empty"),
            ({"lease_duration_s": 10.0}, r"--leader-elect-lease-duration \(10s\) must be more than"),
            ({"lease_duration_s": math.inf}, "--leader-elect-lease-duration"),
            ({"lease_duration_s": math.nan}, "--leader-elect-lease-duration"),
            ({"renew_deadline_s": 2.4}, r"--leader-elect-renew-deadline \(2.4s\) must be more than 1.2 times"),
            ({"renew_deadline_s": math.nan}, "--leader-elect-renew-deadline"),
            ({"retry_period_s": 0.0}, "--leader-elect-retry-period"),
            ({"retry_period_s": -1.0}, "--leader-elect-retry-period"),
        ],
    )
    def test_values_that_cannot_work_are_refused_by_flag(self, changes, named):
        """The reader of the message sets flags, not attributes."""
        with pytest.raises(ValueError, match=named):
            settings(**changes)

    def test_all_that_is_wrong_is_said_at_once(self):
        """One start, one list; not one mistake for each restart."""
        with pytest.raises(ValueError, match=r"election-id.*election-namespace.*lease-duration"):
            settings(name="", namespace="", lease_duration_s=1.0)


class TestRecord:
    def test_round_trip(self):
        """What is written is what is read."""
        written = record(renewed="2026-01-01T00:00:00.000001Z")

        assert LeaseRecord.of({"spec": written.as_spec()}) == written

    def test_spec_has_client_go_s_fields(self):
        """A Go operator reads our record."""
        assert record().as_spec() == {
            "holderIdentity": "bing",
            "leaseDurationSeconds": 15,
            "acquireTime": "t0",
            "renewTime": "r0",
            "leaseTransitions": 4,
        }

    @pytest.mark.parametrize(
        "raw",
        [
            {},
            {"spec": None},
            {"spec": "text"},
            {"spec": {"holderIdentity": None, "leaseDurationSeconds": None, "leaseTransitions": None}},
            {"spec": {"holderIdentity": 7, "leaseDurationSeconds": "15", "acquireTime": 3, "renewTime": []}},
            {"spec": {"leaseDurationSeconds": -1, "leaseTransitions": -5}},
            {"spec": {"leaseDurationSeconds": True, "leaseTransitions": 1.5}},
        ],
    )
    def test_garbage_reads_as_absent(self, raw):
        """A hand that slipped in kubectl edit must not crash every replica."""
        assert LeaseRecord.of(raw) == LeaseRecord()

    def test_renewal_keeps_the_term(self):
        """acquireTime and leaseTransitions tell since when this holder leads."""
        assert record().renew(renewed="r1", duration_s=20) == record(renewed="r1", duration_s=20)

    def test_takeover_counts_a_transition(self):
        """The count is what people alert on."""
        taken = record().take(holder="baz", term="t1", renewed="r1", duration_s=20)

        assert taken == LeaseRecord(holder="baz", duration_s=20, acquired="t1", renewed="r1", transitions=5)

    def test_transitions_wrap_where_the_api_would_refuse_them(self):
        """A count edited to the 32-bit limit must not keep everybody out for ever."""
        assert record(transitions=2**31 - 1).take(holder="b", term="t", renewed="r", duration_s=1).transitions == 0

    def test_release_empties_the_holder_and_keeps_transitions(self):
        """client-go's shape of a release, on which its followers take over without waiting."""
        released = record().release(now="r9")

        assert released == LeaseRecord(holder="", duration_s=1, acquired="r9", renewed="r9", transitions=4)
        assert released.released

    @pytest.mark.parametrize(
        "blank",
        [
            LeaseRecord(),
            record(holder=""),
            record(holder="", duration_s=0),
            record(holder="", duration_s=1),
            LeaseRecord(duration_s=1),
        ],
    )
    def test_blanked_is_not_released(self, blank):
        """Only a holder's own release proves that it stopped."""
        assert not blank.released

    @pytest.mark.parametrize(
        ("instant", "text"),
        [
            (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000000Z"),
            (datetime(2026, 1, 2, 3, 4, 5, 60, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:04:05.000060Z"),
        ],
    )
    def test_times_have_six_digits_and_z(self, instant, text):
        """MicroTime is parsed with a fixed layout: fewer digits are refused."""
        assert lease.micro_time(instant) == text


READ = {
    "metadata": {
        "name": "echo",
        "namespace": "default",
        "uid": "u1",
        "resourceVersion": "7",
        "labels": {"a": "b"},
        "managedFields": [{"manager": "kubectl"}],
    },
    "spec": {"holderIdentity": "bing", "strategy": "OldestEmulationVersion"},
}


class TestBody:
    def test_update_names_version_and_uid_and_keeps_what_others_put_there(self):
        """Without the version a late write would win over another holder; without the uid it would bring back the dead."""
        made = lease.body(ObjectRef("default", "echo"), READ, record())

        assert made == {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": "echo",
                "namespace": "default",
                "uid": "u1",
                "resourceVersion": "7",
                "labels": {"a": "b"},
            },
            "spec": record().as_spec(),
        }

    def test_new_lease_has_its_name_only(self):
        """A creation must not name a version."""
        made = lease.body(ObjectRef("default", "echo"), {}, record())

        assert made["metadata"] == {"name": "echo", "namespace": "default"}

    @pytest.mark.parametrize("read", [{}, {"metadata": None}, {"metadata": "x"}, {"metadata": {"resourceVersion": 7}}])
    def test_version_that_is_none_is_empty(self, read):
        """The elector refuses to write where this is empty."""
        assert not lease.version(read)


class TestDecision:
    """client-go's table of tryAcquireOrRenew; `baz` is us and `bing` another."""

    def test_acquire_from_no_object(self):
        assert decide(see(0, None), 0) is Move.CREATE

    def test_acquire_from_unled_object(self):
        """A Lease that was made empty, or whose holder went before we came."""
        assert decide(see(0, LeaseRecord()), 0) is Move.TAKE_OVER

    def test_acquire_from_released(self):
        live = see(0, record())
        released = see(1, record().release(now="r1"), before=live)

        assert decide(released, 1) is Move.TAKE_OVER

    @pytest.mark.parametrize("now", [0.0, 14.9])
    def test_no_acquire_from_live(self, now):
        assert decide(see(0, record()), now) is Move.STAND_BY

    def test_acquire_from_expired(self):
        """A whole duration without a change, counted from when we saw the record, whatever its times say."""
        assert decide(see(0, record()), 15.0) is Move.TAKE_OVER

    def test_change_restarts_the_wait(self):
        seen = see(14, record(renewed="r1"), before=see(0, record()))

        assert decide(seen, 28.9) is Move.STAND_BY
        assert decide(seen, 29.0) is Move.TAKE_OVER

    def test_seeing_the_same_again_does_not_restart_the_wait(self):
        """Or a follower that looks often would never take over."""
        first = see(0, record())

        assert see(14, record(), before=first) is first

    def test_record_put_back_to_an_old_state_is_a_change(self):
        """Somebody restores a copy of the Lease: what we saw long ago, and yet its holder may have renewed since."""
        seen = see(14, record(), before=see(0, record()), version="9")

        assert decide(seen, 28.9) is Move.STAND_BY

    def test_longer_duration_of_the_record_counts(self):
        """Its holder may be configured to renew seldom."""
        seen = see(0, record(duration_s=60))

        assert decide(seen, 59.9) is Move.STAND_BY
        assert decide(seen, 60.0) is Move.TAKE_OVER

    @pytest.mark.parametrize("duration_s", [0, 1, 14])
    def test_duration_below_our_own_is_not_believed(self, duration_s):
        """The holder lives by its own settings, not by what somebody wrote over its record."""
        assert decide(see(0, record(duration_s=duration_s)), 14.9) is Move.STAND_BY

    def test_renew_what_is_ours(self):
        ours = record(holder="baz", acquired="t1")

        assert decide(see(0, ours, claim=US), 0, US) is Move.RENEW
        assert decide(see(0, ours, claim=US), 1000, US) is Move.RENEW

    def test_same_identity_in_a_term_that_is_not_ours_is_another_holder(self):
        """Two replicas that were given one identity must not both lead."""
        theirs = record(holder="baz", acquired="t0")

        assert decide(see(0, theirs, claim=US), 14.9, US) is Move.STAND_BY
        assert decide(see(0, theirs), 14.9) is Move.STAND_BY

    def test_empty_term_owns_nothing(self):
        """A record without acquireTime is nobody's by mistake."""
        assert not NOBODY_YET.owns(record(holder="baz", acquired=""))


class TestTakenFromUnderItsHolder:
    """Somebody deletes or blanks the Lease of a live holder, which learns of it at its next renewal only."""

    @pytest.mark.parametrize("gone", [None, LeaseRecord(), record(holder="")])
    def test_the_wait_starts_anew(self, gone):
        seen = see(100, gone, before=see(0, record(duration_s=20)))

        assert decide(seen, 119.9) is Move.STAND_BY
        assert decide(seen, 120.0) is not Move.STAND_BY

    def test_blanked_and_then_deleted_still_waits(self):
        blanked = see(10, record(holder=""), before=see(0, record()))
        deleted = see(12, None, before=blanked)

        assert decide(deleted, 26.9) is Move.STAND_BY
        assert decide(deleted, 27.0) is Move.CREATE

    def test_own_lease_is_put_back_at_once(self):
        """Its holder is us, and we know that we live."""
        ours = see(0, record(holder="baz", acquired="t1"), claim=US)

        assert decide(see(1, None, before=ours, claim=US), 1, US) is Move.CREATE
        assert decide(see(1, LeaseRecord(), before=ours, claim=US), 1, US) is Move.TAKE_OVER

    def test_first_sight_of_nothing_does_not_wait(self):
        """A first start must not take a lease duration."""
        assert see(0, None, version="") == Sighting(record=None)
