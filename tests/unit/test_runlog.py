"""The log of a run: its events in their order, one line each, and nothing of what they carry."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from runner import logs
from runner.content import Content
from runner.execution.run import RunSpec
from runner.objects import GroupVersionKind, ObjectRef, RunId
from runner.runlog import RunLog

SPEC = RunSpec(
    run_id=RunId("r"),
    gvk=GroupVersionKind("g", "v1", "Echo"),
    ref=ObjectRef("a", "x"),
    content=Content(),
    extra_vars={"password": "s3cret"},
    kubeconfig="s3cret",
)
RUN: list[dict[str, Any]] = [
    {"kind": "playbook_on_start"},
    {"kind": "playbook_on_task_start", "task": "one"},
    {"kind": "runner_on_ok", "task": "one", "task_path": "m.yml:1", "changed": True, "duration": 0.5, "msg": "s3cret"},
    {"kind": "runner_on_skipped", "task": "two"},
    {"kind": "runner_on_failed", "task": "three", "msg": "not\nyet", "ignore_errors": True},
    {"kind": "runner_on_failed", "task": "four", "msg": "no\nluck"},
    {"kind": "playbook_on_stats"},
]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(level="info", json_lines=True, stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ("nothing", []),
        ("tasks", ["one", "three", "four"]),
        ("everything", [None, "one", "one", "two", "three", "four", None]),
    ],
)
def test_lines_are_the_events_asked_for_in_their_order(
    stream: io.StringIO, events: str, expected: list[str | None]
) -> None:
    """The Go runtime hands each to a goroutine of its own, and they overtake each other."""
    log = RunLog(events)
    for event in RUN:
        log(SPEC, event)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line.get("task") for line in lines] == expected
    assert all((line["run"], line["ref"], line["kind"]) == ("r", "a/x", "Echo") for line in lines)
    assert "s3cret" not in stream.getvalue()


def test_a_failure_is_a_warning_with_its_words_unless_it_is_ignored(stream: io.StringIO) -> None:
    log = RunLog("tasks")
    for event in RUN:
        log(SPEC, event)
    lines = {line["task"]: line for line in map(json.loads, stream.getvalue().splitlines())}
    assert (lines["one"]["level"], lines["one"]["task_path"], lines["one"]["changed"]) == ("info", "m.yml:1", True)
    assert (lines["three"]["level"], lines["three"].get("error")) == ("info", None)
    assert (lines["four"]["level"], lines["four"]["error"]) == ("warn", "no\nluck")
