"""The collection operator_sdk.util through real Ansible against a real API server."""

from datetime import UTC, datetime, timedelta

import pytest

from harness import ECHO, echo
from runner.objects import GroupVersionKind, parse_time

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

EVENT = GroupVersionKind("", "v1", "Event")


def event_task(name, namespace, *, message="words", reason="Joined", **more):
    values = {"name": name, "namespace": namespace, "message": message, "reason": reason, **more}
    return {"name": f"Event {name}", "operator_sdk.util.k8s_event": values}


def about(namespace):
    return {"apiVersion": ECHO.api_version, "kind": "Echo", "name": "subject", "namespace": namespace}


async def test_events_as_roles_write_them(api, namespace, play):
    """The older module's own example, and what went wrong with it: no object, a time in the name, `absent`."""
    subject = await api.create(echo("subject", namespace))
    full = {
        "type": "Warning",
        "reportingComponent": "example.com/op",
        "source": {"component": "op"},
        "involvedObject": about(namespace),
        "merge_type": ["strategic-merge"],
    }
    gone = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "namespace": namespace}
    tasks = [
        event_task("full", namespace, **full),
        event_task("full", namespace, **full, message="again"),
        event_task("full", namespace, **full, message="last"),
        event_task("anew", namespace, **full),
        event_task("anew", namespace, reason="Left", involvedObject=about(namespace)),
        event_task("bare", namespace),
        event_task("gone", namespace, involvedObject=gone),
        event_task("removed", namespace),
        event_task("removed", namespace, state="absent"),
        event_task("removed", namespace, state="absent"),
        event_task("stamped", namespace, appendTimestamp=True, involvedObject=about(namespace)),
        event_task("stamped", namespace, appendTimestamp=True, involvedObject=about(namespace)),
        {**event_task("never", namespace), "check_mode": True},
    ]
    reports = await play({"one": {}}, tasks=tasks)

    assert (reports["one"].failure, reports["one"].changed) == ("", 12)
    events = {event["metadata"]["name"]: event for event in await api.list(EVENT, namespace)}
    stamped = [name for name in events if name.startswith("stamped.")]
    assert set(events) == {"full", "anew", "bare", "gone", *stamped}
    assert len(stamped) == 2
    one = events["full"]
    assert (one["count"], one["message"], one["type"]) == (3, "last", "Warning")
    assert (one["reportingComponent"], one["source"]) == ("example.com/op", {"component": "op"})
    assert one["involvedObject"]["uid"] == subject["metadata"]["uid"]
    assert "resourceVersion" in one["involvedObject"]
    assert one["firstTimestamp"] <= one["lastTimestamp"]
    assert all(one[key].endswith("Z") for key in ("firstTimestamp", "lastTimestamp"))
    assert abs(datetime.now(UTC) - parse_time(one["lastTimestamp"])) < timedelta(minutes=5)
    anew = events["anew"]
    assert (anew["reason"], anew["count"], anew.get("type")) == ("Left", 1, None)
    assert events["gone"]["involvedObject"] == gone
    assert events[stamped[0]]["involvedObject"]["uid"] == subject["metadata"]["uid"]


async def test_refused_event_is_a_failed_task_with_the_server_s_words(namespace, play):
    elsewhere = {**about("elsewhere"), "kind": "ConfigMap", "apiVersion": "v1"}
    reports = await play({"one": {}}, tasks=[event_task("e", namespace, involvedObject=elsewhere)])

    assert reports["one"].failure.startswith("Unable to create event: 422")
    assert "does not match event.namespace" in reports["one"].failure


async def test_many_that_count_at_once_lose_none(api, namespace, play):
    """Several resources may count one Event; the older module overwrote the others' counts."""
    hosts = {f"host{number}": {} for number in range(3)}
    reports = await play(hosts, tasks=[event_task("shared", namespace, involvedObject=about(namespace))] * 3)

    assert {report.failure for report in reports.values()} == {""}
    event = await api.get(EVENT, namespace, "shared")
    assert event["count"] == 9
