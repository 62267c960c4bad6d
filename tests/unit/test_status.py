"""The older conditions equal the Go runtime's to the byte; ours tell what they cannot."""

from datetime import UTC, datetime
from typing import Any

import pytest

from runner import status
from runner.execution.outcome import RunOutcome, Stats, TaskFailure, Verdict
from runner.objects import Raw, RunId

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 13, 0, 0, tzinfo=UTC)
STAMP, LATER_STAMP = "2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"


def outcome(verdict: Verdict = Verdict.SUCCEEDED, **values: Any) -> RunOutcome:
    defaults: dict[str, Any] = {
        "return_code": 0,
        "stats": Stats(ok={"localhost": 3}, changed={"localhost": 1}),
        "completion": "2026-01-01T12:00:00.000000+00:00",
    }
    return RunOutcome(run_id=RunId("r"), verdict=verdict, **(defaults | values))


def failure(**values: Any) -> RunOutcome:
    task = TaskFailure(
        task="echo : Create the Job", action="kubernetes.core.k8s", path="roles/echo/tasks/main.yml:12", message="no!"
    )
    stats = Stats(ok={"localhost": 2}, failures={"localhost": 1})
    return outcome(Verdict.FAILED, **({"return_code": 2, "stats": stats, "failures": (task,)} | values))


def by_type(raw: Raw) -> dict[str, Raw]:
    return {entry["type"]: entry for entry in raw["conditions"]}


def succeeded_before(generation: int = 1) -> Raw:
    return status.finished({}, outcome(), generation=generation, now=NOW)


def test_success_is_the_go_runtimes_to_the_byte() -> None:
    """Users and dashboards match on these texts, Running=True after the end and the empty reason included."""
    found = by_type(succeeded_before())
    result = {
        "ok": 3,
        "changed": 1,
        "skipped": 0,
        "failures": 0,
        "completion": "2026-01-01T12:00:00.000000+00:00",
    }
    assert found["Running"] == {
        "type": "Running",
        "status": "True",
        "reason": "Successful",
        "message": "Awaiting next reconciliation",
        "ansibleResult": result,
        "lastTransitionTime": STAMP,
    }
    assert found["Successful"] == {
        "type": "Successful",
        "status": "True",
        "reason": "Successful",
        "message": "Last reconciliation succeeded",
        "lastTransitionTime": STAMP,
    }
    assert found["Failure"] == {
        "type": "Failure",
        "status": "False",
        "reason": "",
        "message": "",
        "lastTransitionTime": STAMP,
    }


def test_failure_is_the_go_runtimes_to_the_byte() -> None:
    started = status.running({}, generation=1, now=NOW)
    found = by_type(status.finished(started, failure(), generation=1, now=LATER))
    assert found["Running"] == {
        "type": "Running",
        "status": "False",
        "reason": "Running",
        "message": "Running reconciliation",
        "lastTransitionTime": LATER_STAMP,
    }
    assert found["Successful"] == {
        "type": "Successful",
        "status": "False",
        "reason": "",
        "message": "",
        "lastTransitionTime": LATER_STAMP,
    }
    assert found["Failure"]["status"] == "True"
    assert found["Failure"]["reason"] == "Failed"
    assert found["Failure"]["message"] == "no!"
    assert found["Failure"]["ansibleResult"]["failures"] == 1


def test_running_keeps_the_words_of_the_last_success() -> None:
    found = by_type(status.running(succeeded_before(), generation=2, now=LATER))
    assert found["Running"] == {
        "type": "Running",
        "status": "True",
        "reason": "Running",
        "message": "Running reconciliation",
        "lastTransitionTime": STAMP,
    }
    assert found["Successful"] == {
        "type": "Successful",
        "status": "False",
        "reason": "Successful",
        "message": "Last reconciliation succeeded",
        "lastTransitionTime": LATER_STAMP,
    }


def test_ready_names_task_file_and_line() -> None:
    """What the older conditions cannot say: where to look."""
    ready = by_type(status.finished({}, failure(), generation=3, now=NOW))["Ready"]
    assert ready == {
        "type": "Ready",
        "status": "False",
        "reason": "TaskFailed",
        "message": "task 'echo : Create the Job' (roles/echo/tasks/main.yml:12): no!",
        "observedGeneration": 3,
        "lastTransitionTime": STAMP,
    }


@pytest.mark.parametrize("end", [outcome(), failure()])
def test_observed_generation_is_that_of_the_run(end: RunOutcome) -> None:
    assert status.finished({}, end, generation=7, now=NOW)["observedGeneration"] == 7


def test_a_ready_that_a_role_wrote_is_left_alone() -> None:
    own = {"type": "Ready", "status": "Unknown", "reason": "JobRunning", "message": "the Job runs"}
    before = {"conditions": [own]}
    for after in (
        status.running(before, generation=1, now=NOW),
        status.finished(before, outcome(), generation=1, now=NOW),
        status.finished(before, failure(), generation=1, now=NOW),
    ):
        assert by_type(after)["Ready"] == own


def test_foreign_keys_and_conditions_pass_through_whole() -> None:
    """The Go runtime drops fields it does not know from other people's conditions."""
    foreign = {"type": "Backup", "status": "True", "observedGeneration": 4, "extra": {"deep": [1]}}
    before = {"conditions": [foreign], "job": {"uid": "u"}}
    after = status.finished(before, outcome(), generation=1, now=NOW)
    assert by_type(after)["Backup"] == foreign
    assert after["job"] == {"uid": "u"}
    assert before == {"conditions": [foreign], "job": {"uid": "u"}}


def test_another_success_says_the_same() -> None:
    """Then nothing is written: a resync of a thousand objects must not be a thousand writes."""
    before = succeeded_before()
    after = status.finished(before, outcome(stats=Stats(ok={"localhost": 9})), generation=1, now=LATER)
    assert status.same(before, after)


@pytest.mark.parametrize(
    "changed",
    [
        status.finished(succeeded_before(), failure(), generation=1, now=LATER),
        status.finished(succeeded_before(), outcome(), generation=2, now=LATER),
        status.running(succeeded_before(), generation=1, now=LATER),
        {**succeeded_before(), "job": {}},
        {},
    ],
)
def test_anything_else_is_a_change(changed: Raw) -> None:
    assert not status.same(succeeded_before(), changed)


def test_order_of_conditions_is_no_change() -> None:
    before = succeeded_before()
    assert status.same(before, {**before, "conditions": list(reversed(before["conditions"]))})


def test_transition_time_moves_with_the_status_only() -> None:
    first = status.finished({}, failure(), generation=1, now=NOW)
    second_failure = failure(failures=(TaskFailure(task="t", action="a", path="", message="something else"),))
    second = by_type(status.finished(first, second_failure, generation=1, now=LATER))
    assert second["Failure"]["message"] == "something else"
    assert second["Failure"]["lastTransitionTime"] == STAMP


@pytest.mark.parametrize(
    ("before", "generation", "expected"),
    [
        ({}, 1, True),
        (succeeded_before(1), 1, False),
        (succeeded_before(1), 2, True),
        (status.finished({}, failure(), generation=1, now=NOW), 1, True),
        (status.without(succeeded_before(1), frozenset({("observedGeneration",)})), 5, False),
    ],
    ids=["never run", "unchanged", "edited", "failed", "generation pruned by the CRD"],
)
def test_running_is_announced_where_someone_waits_for_it(before: Raw, generation: int, expected: bool) -> None:
    assert status.needs_announcing(before, generation) is expected


def test_broken_run_quotes_its_output() -> None:
    broken = outcome(Verdict.NO_STATS, return_code=4, stats=None, detail="ERROR! no such role")
    found = by_type(status.finished({}, broken, generation=1, now=NOW))
    assert found["Failure"]["message"] == "ERROR! no such role"
    assert "ansibleResult" not in found["Failure"]
    assert found["Ready"]["reason"] == "RunBroken"


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.SUCCEEDED])
def test_every_failure_has_words(verdict: Verdict) -> None:
    text = status.describe_failure(outcome(verdict, stats=None))
    assert text
    assert text != verdict.value or verdict is Verdict.FAILED


def test_failure_without_message_says_what_the_go_runtime_says() -> None:
    silent = failure(failures=(TaskFailure(task="t", action="a", path="", message=""),))
    found = by_type(status.finished({}, silent, generation=1, now=NOW))
    assert found["Failure"]["message"] == "unknown playbook failure"


def test_messages_of_several_failures_are_lines() -> None:
    tasks = tuple(TaskFailure(task="t", action="a", path="", message=text) for text in ("one", "", "three"))
    found = by_type(status.finished({}, failure(failures=tasks), generation=1, now=NOW))
    assert found["Failure"]["message"] == "one\nunknown playbook failure\nthree"


def test_ready_says_that_a_run_goes_on() -> None:
    """The older conditions have the words of the last success beside a False."""
    ready = by_type(status.running(succeeded_before(), generation=2, now=LATER))["Ready"]
    assert (ready["status"], ready["reason"], ready["message"]) == ("Unknown", "Reconciling", "Running reconciliation")
    assert ready["observedGeneration"] == 2


def test_conditions_stand_in_the_order_of_their_last_change() -> None:
    """As the Go runtime writes them."""
    assert [entry["type"] for entry in succeeded_before()["conditions"]] == [
        "Running",
        "Successful",
        "Failure",
        "Ready",
    ]
    failed = status.finished(succeeded_before(), failure(), generation=1, now=LATER)
    assert [entry["type"] for entry in failed["conditions"]] == ["Running", "Failure", "Successful", "Ready"]


def test_long_messages_are_cut() -> None:
    long = failure(failures=(TaskFailure(task="t", action="a", path="", message="x" * 100_000),))
    found = by_type(status.finished({}, long, generation=1, now=NOW))
    assert len(found["Failure"]["message"]) == len(found["Ready"]["message"]) == 1024


def test_refusal_is_a_failure_with_its_own_reason() -> None:
    found = by_type(status.refused({}, "spec.ansible_user: reserved", generation=2, now=NOW))
    assert found["Ready"]["reason"] == status.REFUSED
    assert found["Failure"]["message"] == "spec.ansible_user: reserved"
    assert found["Successful"]["status"] == "False"


def test_fields_that_did_not_come_back_are_known_by_path() -> None:
    sent = {"conditions": [{"type": "A", "x": 1}, {"type": "B"}], "observedGeneration": 1, "job": {"uid": "u", "y": 2}}
    back = {"conditions": [{"type": "A"}, {"type": "B"}], "job": {"uid": "u"}}
    gone = status.lost(sent, back)
    assert gone == {("conditions", "*", "x"), ("observedGeneration",), ("job", "y")}
    assert status.without(sent, gone) == back
    assert status.lost(back, back) == frozenset()
