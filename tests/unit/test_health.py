"""Probes: the words of Kubernetes' own components, and names only."""

from dataclasses import dataclass
from http import HTTPStatus

import pytest

from fakes import FakeClock
from runner import health
from runner.health import Probe, Report


def passes():
    return True


def fails():
    return False


@dataclass
class Informer:
    healthy: bool


@dataclass
class Elector:
    leader: str | None


class TestProbe:
    def test_without_checks_passes(self):
        """Operator SDK's probes are that: whoever answers is alive."""
        assert Probe("healthz", {}).report() == Report(status=HTTPStatus.OK, text="ok")

    def test_success_is_short(self):
        """The kubelet keeps none of it."""
        assert Probe("readyz", {"a": passes}).report() == Report(status=HTTPStatus.OK, text="ok")

    def test_verbose_success_names_each_check(self):
        """As kubectl get --raw '/readyz?verbose' shows it."""
        report = Probe("readyz", {"informers": passes, "leader-election": passes}).report(verbose=True)

        assert report == Report(
            status=HTTPStatus.OK, text="[+]informers ok\n[+]leader-election ok\nreadyz check passed\n"
        )

    @pytest.mark.parametrize("verbose", [True, False])
    def test_failure_names_each_check_and_withholds_the_reason(self, verbose):
        """Anybody may ask: an error text could hold an address or a name."""
        report = Probe("readyz", {"informers": fails, "leader-election": passes}).report(verbose=verbose)

        assert report == Report(
            status=HTTPStatus.INTERNAL_SERVER_ERROR,
            text="[-]informers failed: reason withheld\n[+]leader-election ok\nreadyz check failed\n",
        )

    def test_excluded_check_does_not_count(self):
        report = Probe("readyz", {"informers": fails}).report(verbose=True, exclude=["informers", "nothing"])

        assert report == Report(status=HTTPStatus.OK, text="[+]informers excluded: ok\nreadyz check passed\n")

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("good", Report(status=HTTPStatus.OK, text="ok")),
            ("bad", Report(status=HTTPStatus.INTERNAL_SERVER_ERROR, text="bad failed: reason withheld\n")),
            ("none", None),
        ],
    )
    def test_single_check(self, name, expected):
        """/readyz/informers, as Kubernetes has it."""
        assert Probe("readyz", {"good": passes, "bad": fails}).report_one(name) == expected


class TestChecks:
    def test_ping_passes(self):
        assert health.ping()

    @pytest.mark.parametrize(("states", "ready"), [([], True), ([True, True], True), ([True, False], False)])
    def test_ready_only_if_every_informer_is(self, states, ready):
        """One deaf kind is a deaf operator."""
        assert health.informers_healthy([Informer(state) for state in states])() is ready

    def test_informers_added_later_count(self):
        """Dependents are watched once a role has made one."""
        informers = [Informer(healthy=True)]
        check = health.informers_healthy(informers)

        informers.append(Informer(healthy=False))

        assert not check()

    @pytest.mark.parametrize(("leader", "known"), [(None, False), ("", True), ("another", True)])
    def test_standby_is_ready_once_it_has_seen_the_lease(self, leader, known):
        """Or a rollout would wait for a second leader."""
        assert health.leader_known(Elector(leader))() is known

    @pytest.mark.parametrize(("jump", "kept"), [(0, True), (299, True), (301, False), (-301, False)])
    def test_clock_that_was_set_is_noticed(self, jump, kept):
        clock = FakeClock()
        check = health.clock_kept(clock)

        clock.jump_wall(jump)

        assert check() is kept

    async def test_clock_that_only_runs_is_kept(self):
        """Time passing is no jump."""
        clock = FakeClock()
        check = health.clock_kept(clock)

        await clock.advance(1e6)

        assert check()
