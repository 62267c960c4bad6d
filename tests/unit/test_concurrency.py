"""How many at once: what somebody asked for is never cut by a default."""

import pytest

from runner.content import Content
from runner.objects import GroupVersionKind
from runner.settings import Settings, resolve
from runner.watches import Watch
from runner.wiring.concurrency import limit, workers

MACHINE = 64


def watch(kind: str = "Echo", **values: int) -> Watch:
    return Watch(gvk=GroupVersionKind("mmontes.io", "v1alpha1", kind), content=Content(), **values)


def settings(**values: str) -> Settings:
    return resolve(values, {})


def over_all(watches: list[Watch], cpus: float, *, variables: dict[str, str] | None = None, **values: str) -> int:
    given = {"max_concurrent_reconciles": str(MACHINE)} | values
    return limit(watches, settings(**given), variables or {}, cpus=cpus, machine_cpus=MACHINE)


def test_workers_of_a_kind_are_the_watch_s_word_then_its_variable_then_the_flag():
    """The closer to the kind, the better somebody knew what he asked for."""
    flag = settings(max_concurrent_reconciles="5")
    variable = {"MAX_CONCURRENT_RECONCILES_ECHO_MMONTES_IO": "7"}
    assert workers(watch(max_concurrent_reconciles=9), flag, variable) == 9
    assert workers(watch(), flag, variable) == 7
    assert workers(watch(), flag, {}) == 5


@pytest.mark.parametrize(("cpus", "expected"), [(0.1, 2), (0.5, 2), (1.0, 2), (1.5, 3), (2.0, 4), (64.0, 128)])
def test_limit_is_two_a_cpu_and_no_less_than_two(cpus, expected):
    """Whatever the machine has: half a CPU of a node with 64 is none of 64."""
    assert over_all([watch(), watch("Other")], cpus) == expected


def test_limit_that_is_set_holds():
    assert over_all([watch(max_concurrent_reconciles=9)], 64.0, max_concurrent_runs="3") == 3


def test_limit_does_not_cut_what_was_asked_for_one_kind():
    """Ten runs of a role that only waits were asked for, and went on at once under the Go runtime as well."""
    assert over_all([watch("Other"), watch(max_concurrent_reconciles=10)], 0.5) == 10
    assert over_all([watch("Other"), watch()], 0.5, variables={"WORKER_ECHO_MMONTES_IO": "10"}) == 10
    assert over_all([watch()], 0.5, max_concurrent_reconciles="10") == 10
