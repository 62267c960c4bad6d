"""Which failures count, which requeue wins, and what a run comes to."""

from typing import Any

import pytest

from runner.execution.conclusion import conclude
from runner.execution.outcome import RunOutcome, Stats, TaskFailure, Verdict, judge
from runner.execution.tally import Tally
from runner.objects import RunId

HOST = "localhost"


def tallied(*events: dict[str, Any]) -> Tally:
    tally = Tally()
    for event in events:
        tally.add(event)
    return tally


def failed(task: str, host: str = HOST, **more: Any) -> dict[str, Any]:
    return {"kind": "runner_on_failed", "task": task, "host": host, "msg": f"{task} broke", **more}


def stats(**counters: int) -> dict[str, Any]:
    return {"kind": "playbook_on_stats", "stats": {name: {HOST: count} for name, count in counters.items()}}


def names(tally: Tally) -> list[str]:
    return [failure.task for failure in tally.failures()]


def test_a_failure_is_told_with_place_and_words() -> None:
    event = failed("create", resolved_action="kubernetes.core.k8s", task_path="main.yml:3")
    item = {**failed("create"), "kind": "runner_item_on_failed", "msg": "one"}
    assert tallied(item, event, stats(failures=1)).failures() == (
        TaskFailure(
            task="create", action="kubernetes.core.k8s", path="main.yml:3", message="create broke", items=("one",)
        ),
    )


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([failed("a"), stats(rescued=1)], []),
        ([failed("a"), failed("in rescue"), stats(rescued=1, failures=1)], ["in rescue"]),
        ([failed("a"), failed("b"), failed("c"), stats(rescued=2, failures=1)], ["c"]),
        ([failed("a"), failed("in always"), stats(failures=2)], ["a", "in always"]),
        ([failed("a", ignore_errors=True), stats(ignored=1, ok=1)], []),
        ([failed("a", ignore_errors=True), failed("b"), stats(ignored=1, failures=1)], ["b"]),
        ([failed("a", host="other"), failed("b"), stats(failures=1)], ["b"]),
        ([{**failed("item"), "kind": "runner_item_on_failed"}, failed("loop"), stats(failures=1)], ["loop"]),
        ([{**failed("u"), "kind": "runner_on_unreachable"}, stats(dark=1)], ["u"]),
        ([{**failed("ignored"), "kind": "runner_on_unreachable"}, stats(ok=1, ignored=1)], []),
        ([failed("a")], []),
    ],
)
def test_what_was_rescued_or_ignored_does_not_count(events: list[dict[str, Any]], expected: list[str]) -> None:
    assert names(tallied(*events)) == expected


def test_items_belong_to_their_own_loop_and_are_few() -> None:
    item = {**failed("a"), "kind": "runner_item_on_failed"}
    start = {"kind": "playbook_on_task_start", "task": "b"}
    ended = tallied(*[item] * 9, failed("a"), start, item, start, failed("b"), stats(failures=2)).failures()
    assert [len(failure.items) for failure in ended] == [3, 0]


def test_failures_are_few_and_the_first_ones() -> None:
    tally = tallied(*(failed(f"t{n}") for n in range(50)), stats(failures=50))
    assert len(names(tally)) == 10


def test_the_last_requeue_wins_and_nonsense_is_remembered() -> None:
    def requeue(period: str) -> dict[str, Any]:
        return {"kind": "runner_on_ok", "requeue_after": period}

    assert tallied(requeue("1h"), requeue("30s")).requeue_after_s == 30.0
    tally = tallied(requeue("1h"), requeue("5"))
    assert (tally.requeue_after_s, tally.bad_requeue) == (3600.0, "5")
    assert tallied({**requeue("2s"), "kind": "runner_item_on_ok"}).requeue_after_s == 2.0
    assert tallied(requeue("-2s")).requeue_after_s is None


def test_completion_is_the_last_events_time() -> None:
    assert tallied({**failed("a"), "created": "t1"}, {**stats(ok=1), "created": "t2"}).completion == "t2"


def concluded(*events: dict[str, Any], **how: Any) -> RunOutcome:
    return conclude(run_id=RunId("r"), tally=tallied(*events), **how)


def word(rc: int | None, **more: Any) -> dict[str, Any]:
    return {"kind": "end", "rc": rc, "tail": "the tail", **more}


def test_success_has_no_detail() -> None:
    outcome = concluded(stats(ok=2), last_word=word(0), seconds=1.5)
    expected = RunOutcome(
        run_id=RunId("r"), verdict=Verdict.SUCCEEDED, return_code=0, stats=Stats(ok={HOST: 2}), seconds=1.5
    )
    assert outcome == expected


@pytest.mark.parametrize(
    ("outcome", "verdict", "detail"),
    [
        (concluded(last_word=word(4)), Verdict.NO_STATS, "the tail"),
        (concluded(failed("a"), stats(failures=1), last_word=word(2)), Verdict.FAILED, ""),
        (concluded(stats(ok=1), last_word=word(1)), Verdict.FAILED, "the tail"),
        (concluded(stats(ok=1), last_word=word(0, error="disk full")), Verdict.NO_STATS, "disk full"),
        (concluded(error="no fork"), Verdict.NO_STATS, "no fork"),
        (concluded(exit_code=1, error="Traceback"), Verdict.NO_STATS, "Traceback"),
        (
            concluded({"kind": "playbook_on_task_start", "task": "wait", "task_path": "m.yml:2"}, exit_code=-9),
            Verdict.KILLED,
            "the run was killed from outside, perhaps for its use of memory (signal SIGKILL), in task wait (m.yml:2)",
        ),
        (
            concluded(last_word=word(-9)),
            Verdict.KILLED,
            "the run was killed from outside, perhaps for its use of memory",
        ),
        (concluded(exit_code=143, timed_out=True), Verdict.TIMED_OUT, "the run took longer than its timeout"),
        (concluded(exit_code=-9, cancelled=True), Verdict.CANCELLED, "the run was stopped"),
    ],
)
def test_whatever_happened_is_told(outcome: RunOutcome, verdict: Verdict, detail: str) -> None:
    assert (outcome.verdict, outcome.detail) == (verdict, detail)


@pytest.mark.parametrize(
    ("return_code", "counters", "expected"),
    [
        (0, {}, Verdict.SUCCEEDED),
        (0, {"ok": 1, "rescued": 1}, Verdict.SUCCEEDED),
        (2, {"failures": 1}, Verdict.FAILED),
        (0, {"failures": 1}, Verdict.FAILED),
        (4, {"dark": 1}, Verdict.UNREACHABLE),
        (None, {"ok": 1}, Verdict.KILLED),
        (-15, {"ok": 1}, Verdict.KILLED),
    ],
)
def test_return_code_and_stats_are_judged_together(
    return_code: int | None, counters: dict[str, int], expected: Verdict
) -> None:
    counted = Stats(**{name: {HOST: count} for name, count in counters.items()})
    assert judge(return_code=return_code, stats=counted, timed_out=False, cancelled=False) is expected


def test_a_play_that_matched_no_host_is_told_apart() -> None:
    assert Stats().no_hosts
    assert not Stats(ok={HOST: 1}).no_hosts
