"""What is kept of an event: enough to judge a run, never what `no_log` hides, never much."""

import json
from typing import Any

import pytest

from runner.execution import events

CREATED = "2026-11-21T05:35:28.264203+00:00"


def event(kind: str, **data: Any) -> dict[str, Any]:
    return {"event": kind, "uuid": "u", "created": CREATED, "stdout": "text", "event_data": data}


def test_a_failure_keeps_what_its_reader_needs() -> None:
    projected = events.project(
        event(
            "runner_on_failed",
            task="create",
            role="echo",
            task_action="k8s",
            resolved_action="kubernetes.core.k8s",
            task_path="/roles/echo/tasks/main.yml:3",
            play="localhost",
            host="localhost",
            ignore_errors=False,
            duration=0.25,
            res={"msg": "no such thing", "changed": False, "_ansible_no_log": False, "invocation": {"x": "y"}},
        )
    )
    assert projected == {
        "kind": "runner_on_failed",
        "created": CREATED,
        "task": "echo : create",
        "task_action": "k8s",
        "resolved_action": "kubernetes.core.k8s",
        "task_path": "/roles/echo/tasks/main.yml:3",
        "play": "localhost",
        "host": "localhost",
        "duration": 0.25,
        "msg": "no such thing",
    }


@pytest.mark.parametrize("result", [{"censored": "..."}, {"_ansible_no_log": True, "msg": "secret"}])
def test_no_log_keeps_its_secret(result: dict[str, Any]) -> None:
    projected = events.project(event("runner_on_failed", res=result))
    assert projected is not None
    assert (projected["msg"], projected["no_log"]) == (events.NO_LOG, True)
    assert "secret" not in str(projected)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"msg": ["a", 1]}, '["a", 1]'),
        ({"msg": "", "module_stderr": "Traceback"}, "Traceback"),
        ({"rc": 1, "stderr": "oops"}, "oops"),
        ({"rc": 1}, ""),
        ({}, "the task's result was too large to report"),
    ],
)
def test_a_failure_always_says_what_it_can(result: dict[str, Any], message: str) -> None:
    """ansible-runner empties a result that is too large; then the message is lost, and that is said."""
    projected = events.project(event("runner_on_failed", res=result))
    assert projected is not None
    assert projected.get("msg") == message


def test_requeue_counts_only_from_the_module_itself_and_only_from_success() -> None:
    wanted = {"res": {"period": "5m"}, "resolved_action": events.REQUEUE_AFTER, "task_action": "requeue_after"}
    ok = events.project(event("runner_on_ok", **wanted))
    assert ok is not None
    assert ok["requeue_after"] == "5m"
    for other in (
        event("runner_on_failed", **wanted),
        event("runner_on_ok", **{**wanted, "resolved_action": "my.own.requeue_after"}),
        event("runner_on_ok", **{**wanted, "res": {"period": 5}}),
    ):
        projected = events.project(other)
        assert projected is not None
        assert "requeue_after" not in projected


@pytest.mark.parametrize("kind", ["verbose", "debug", "runner_on_start", "EOF", ""])
def test_events_that_nobody_acts_on_are_dropped(kind: str) -> None:
    assert events.project(event(kind)) is None


def test_warnings_keep_their_text() -> None:
    expected = {"kind": "warning", "created": CREATED, "msg": "text"}
    assert events.project(event("warning")) == expected


def test_stats_are_counters_by_host() -> None:
    projected = events.project(
        event("playbook_on_stats", ok={"localhost": 2}, dark={}, ignored=0, processed={"localhost": 1}, failures={})
    )
    assert projected is not None
    assert projected["stats"] == {"ok": {"localhost": 2}, "dark": {}, "failures": {}}


def test_a_line_is_short_whatever_came() -> None:
    big = "x" * 5_000_000
    hosts = {f"host{n}{'y' * 1000}": 1 for n in range(5000)} | {"localhost": 7}
    for each in (
        event("runner_on_failed", res={"msg": big, "results": [{"failed": True, "msg": big}] * 9}, task=big),
        event("playbook_on_stats", **dict.fromkeys(("ok", "changed", "failures", "dark", "skipped"), hosts)),
    ):
        projected = events.project(each)
        assert projected is not None
        assert len(events.encode(projected)) < events.MAX_LINE
        assert projected.get("stats", {}).get("ok", {}).get("localhost", 7) == 7


def test_shortening_counts_bytes_and_cuts_no_character() -> None:
    assert events.shorten("ab", 2) == "ab"
    assert events.shorten("ä" * 600) == "ä" * 510 + "…"
    assert events.shorten("x\ud800") == "x?"


@pytest.mark.parametrize("line", [b"", b"{", b"[]\n", b'{"kind": 1}\n', b'"kind"\n', b"\xff\n"])
def test_half_a_line_is_no_record(line: bytes) -> None:
    assert events.decode(line) is None


def test_records_survive_the_way() -> None:
    record = {"kind": "runner_on_ok", "msg": "a\nb ä", "duration": 0.5}
    assert events.decode(events.encode(record)) == json.loads(json.dumps(record))
