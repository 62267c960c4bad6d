"""What the one line says that the log has of every run."""

from dataclasses import replace

from runner.execution.outcome import RunOutcome, Stats, Verdict
from runner.objects import GroupVersionKind, Meta, ObjectRef, RunId
from runner.runlog import summary

ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")
REF = ObjectRef("a", "x")
META = Meta(ref=REF, labels={}, annotations={}, generation=3)
DONE = RunOutcome(
    run_id=RunId("r1"),
    verdict=Verdict.SUCCEEDED,
    return_code=0,
    stats=Stats(ok={"localhost": 4}, changed={"localhost": 2}),
    requeue_after_s=5.0,
    seconds=1.23456,
)


def test_a_run_is_summed_up_in_one_line() -> None:
    assert summary(ECHO, META, DONE) == {
        "fields": {
            "kind": "Echo",
            "ref": REF,
            "generation": 3,
            "run": "r1",
            "verdict": DONE.verdict.value,
            "rc": 0,
            "seconds": 1.235,
            "changed": 2,
            "requeue_after_s": 5.0,
        }
    }


def test_a_failed_run_says_why() -> None:
    broken = replace(DONE, verdict=Verdict.NO_STATS, stats=None, detail="no such role")
    values = summary(ECHO, META, broken)["fields"]
    assert (values["changed"], values["failure"]) == (0, "no such role")


def test_a_run_that_did_nothing_is_told_apart_from_one_with_nothing_to_do() -> None:
    """`hosts:` that match nothing are a success for Ansible, and a mistake nearly always."""
    values = summary(ECHO, META, replace(DONE, stats=Stats()))["fields"]
    assert values["warning"] == "no host matched, so nothing was run"
