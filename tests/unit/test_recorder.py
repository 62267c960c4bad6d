"""Events tell a person what changed; they never get in the way of work."""

from typing import Any

import pytest

from fakes import FakeClock
from runner.execution.outcome import RunOutcome, TaskFailure, Verdict
from runner.kube.errors import ApiError, Unreachable
from runner.objects import GroupVersionKind, Meta, ObjectRef, Raw, RunId, Uid
from runner.recorder import Notice, Recorder, notices_of

ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")


def ready(status: str, reason: str, message: str = "m") -> Raw:
    return {"conditions": [{"type": "Ready", "status": status, "reason": reason, "message": message}]}


def failed(message: str) -> Raw:
    return {"conditions": [{"type": "Failure", "status": "True", "reason": "Failed", "message": message}]}


FAILED = RunOutcome(
    run_id=RunId("r"),
    verdict=Verdict.FAILED,
    return_code=2,
    stats=None,
    failures=(TaskFailure(task="t", action="a", path="f.yml:3", message="no"),),
)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, ()),
        ({}, ready("True", "Reconciled"), (Notice(type="Normal", reason="Reconciled", message="m"),)),
        (ready("True", "Reconciled"), ready("True", "Reconciled"), ()),
        (
            ready("True", "JobComplete"),
            ready("False", "NameConflict"),
            (Notice(type="Warning", reason="NameConflict", message="m"),),
        ),
        (
            ready("False", "NameConflict"),
            ready("Unknown", "JobRunning"),
            (Notice(type="Normal", reason="JobRunning", message="m"),),
        ),
    ],
    ids=["nothing", "first success", "unchanged", "turned bad", "busy is no warning"],
)
def test_transitions_of_ready_are_told(before: Raw, after: Raw, expected: tuple[Notice, ...]) -> None:
    assert notices_of(before, after) == expected


def test_a_new_failure_is_told_with_task_file_and_line() -> None:
    assert notices_of({}, failed("no"), FAILED) == (
        Notice(type="Warning", reason="TaskFailed", message="task 't' (f.yml:3): no"),
    )


def test_the_same_failure_again_is_not_told_again() -> None:
    """A poisoned object retries for days; one Event is news, a thousand hide the others."""
    assert notices_of(failed("no"), failed("no"), FAILED) == ()
    assert len(notices_of(failed("other"), failed("no"), FAILED)) == 1


def test_a_failure_that_ready_tells_is_told_once() -> None:
    after = {"conditions": [*ready("False", "TaskFailed")["conditions"], *failed("no")["conditions"]]}
    assert [notice.reason for notice in notices_of({}, after, FAILED)] == ["TaskFailed"]


class Client:
    """Takes Events; refuses with what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.created: list[tuple[str, Raw]] = []
        self._error = error

    async def create(self, resource: Any, body: Raw, *, namespace: str) -> Raw:
        assert resource.plural == "events"
        self.created.append((namespace, body))
        if self._error is not None:
            raise self._error
        return body


META = Meta(ref=ObjectRef("a", "x"), uid=Uid("u"), resource_version="7", labels={}, annotations={})
NOTICE = Notice(type="Warning", reason="TaskFailed", message="é" * 2000)


def recorder(client: Client, denied: list[int] | None = None) -> Recorder:
    return Recorder(
        client,  # type: ignore[arg-type]  # the one method it uses
        component="ansible-operator",
        instance="pod-1",
        clock=FakeClock(),
        count_denied=lambda: (denied if denied is not None else []).append(1),
    )


async def test_event_is_about_that_very_object() -> None:
    client = Client()
    await recorder(client).record(ECHO, META, (NOTICE,))
    ((namespace, event),) = client.created
    assert namespace == "a"
    assert event["involvedObject"] == {
        "apiVersion": "mmontes.io/v1alpha1",
        "kind": "Echo",
        "name": "x",
        "namespace": "a",
        "uid": "u",
        "resourceVersion": "7",
    }
    assert event["metadata"]["name"].startswith("x.")
    assert (event["type"], event["reason"], event["count"]) == ("Warning", "TaskFailed", 1)
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T00:00:00Z"


async def test_message_fits_the_servers_limit_in_bytes() -> None:
    client = Client()
    await recorder(client).record(ECHO, META, (NOTICE,))
    assert len(client.created[0][1]["message"].encode()) <= 1024


async def test_name_fits_although_the_objects_name_is_at_its_limit() -> None:
    client = Client()
    meta = Meta(ref=ObjectRef("a", "x" * 253), uid=Uid("u"), labels={}, annotations={})
    await recorder(client).record(ECHO, meta, (NOTICE,))
    assert len(client.created[0][1]["metadata"]["name"]) <= 253


async def test_a_cluster_scoped_object_has_its_events_in_default() -> None:
    client = Client()
    await recorder(client).record(ECHO, Meta(ref=ObjectRef("", "x"), labels={}, annotations={}), (NOTICE,))
    assert client.created[0][0] == "default"


async def test_missing_right_is_one_log_line_and_a_count(caplog: pytest.LogCaptureFixture) -> None:
    """The scaffold's RBAC gives no right to Events elsewhere; that must not fail a run."""
    denied: list[int] = []
    writer = recorder(Client(ApiError(403, reason="Forbidden", message="no")), denied)
    await writer.record(ECHO, META, (NOTICE, NOTICE))
    await writer.record(ECHO, META, (NOTICE,))
    assert len(denied) == 3
    assert [r.message for r in caplog.records] == ["events cannot be written; this is said once"]


async def test_an_api_server_that_is_away_is_no_failure() -> None:
    client = Client(Unreachable("away"))
    await recorder(client).record(ECHO, META, (NOTICE,))
    assert len(client.created) == 1
