"""Echo on a real API server and controller manager. No kubelet runs, so a test decides when a Job's Pod ends."""

import pytest

from harness import ECHO, JOB, POD, Api, Operator, condition_of, echo, eventually, succeeded
from runner.objects import GroupVersionKind, Raw

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("operator"), pytest.mark.timeout(240)]

EVENT = GroupVersionKind("", "v1", "Event")


def job_state(obj: Raw) -> str:
    return str(((obj.get("status") or {}).get("job") or {}).get("state") or "")


async def finish(api: Api, namespace: str, job: str, phase: str = "Succeeded") -> None:
    """End the Job's Pod as a kubelet would."""

    async def look() -> Raw | None:
        pods = [p for p in await api.list(POD, namespace) if p["metadata"]["labels"].get("job-name") == job]
        return pods[0] if pods else None

    pod = await eventually(look, what=f"a Pod of Job {job}")
    await api.patch(POD, namespace, pod["metadata"]["name"], {"status": {"phase": phase}}, "status")


async def test_an_echo_becomes_a_job_that_belongs_to_it(api: Api, namespace: str) -> None:
    created = await api.create(echo("hello", namespace, "Hola, 世界!"))
    job = await api.until(JOB, namespace, "hello")
    assert job["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "mmontes.io/v1alpha1",
            "kind": "Echo",
            "name": "hello",
            "uid": created["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["printf", "%s\\n", "Hola, 世界!"]
    obj = await api.until(ECHO, namespace, "hello", succeeded)
    assert obj["status"]["job"]["uid"] == job["metadata"]["uid"]
    assert condition_of(obj, "Running")["message"] == "Awaiting next reconciliation"


async def test_a_finished_job_is_recorded_and_not_run_again_when_it_goes(api: Api, namespace: str) -> None:
    """A Job's removal by TTL or by hand must not print the message twice."""
    await api.create(echo("once", namespace))
    await api.until(JOB, namespace, "once")
    await finish(api, namespace, "once")
    obj = await api.until(ECHO, namespace, "once", lambda obj: job_state(obj) == "Complete")
    assert condition_of(obj, "Ready")["status"] == "True"
    await api.delete(JOB, namespace, "once")
    await api.gone(JOB, namespace, "once")
    await api.patch(ECHO, namespace, "once", {"metadata": {"annotations": {"touched": "yes"}}})
    # A second object that is made after it shows that the operator had its chance.
    await api.create(echo("after", namespace))
    await api.until(ECHO, namespace, "after", succeeded)
    assert await api.get(JOB, namespace, "once") is None


async def test_an_unfinished_job_that_goes_is_made_again(api: Api, namespace: str) -> None:
    await api.create(echo("again", namespace))
    first = await api.until(JOB, namespace, "again")
    await api.until(ECHO, namespace, "again", succeeded)
    await api.delete(JOB, namespace, "again")
    second = await api.until(JOB, namespace, "again", lambda job: job["metadata"]["uid"] != first["metadata"]["uid"])
    assert second["spec"]["template"]["spec"]["containers"][0]["command"][-1] == "hello"


async def test_a_changed_message_replaces_the_job(api: Api, namespace: str) -> None:
    await api.create(echo("changes", namespace, "before"))
    first = await api.until(JOB, namespace, "changes")
    await api.until(ECHO, namespace, "changes", succeeded)
    await api.patch(ECHO, namespace, "changes", {"spec": {"message": "after"}})
    second = await api.until(JOB, namespace, "changes", lambda job: job["metadata"]["uid"] != first["metadata"]["uid"])
    assert second["spec"]["template"]["spec"]["containers"][0]["command"][-1] == "after"
    await api.until(ECHO, namespace, "changes", succeeded)
    # The old Pod went with its Job: deleting a Job through batch/v1 orphans Pods unless asked not to.
    pods = [p["metadata"]["ownerReferences"][0]["uid"] for p in await api.list(POD, namespace)]
    assert pods == [second["metadata"]["uid"]]


async def test_a_deleted_echo_takes_its_job_along(api: Api, namespace: str) -> None:
    await api.create(echo("gone", namespace))
    await api.until(JOB, namespace, "gone")
    await api.until(ECHO, namespace, "gone", succeeded)
    await api.delete(ECHO, namespace, "gone")
    await api.gone(JOB, namespace, "gone")
    await api.gone(ECHO, namespace, "gone")


def foreign_job(name: str, namespace: str) -> Raw:
    container = {"name": "c", "image": "foreign", "command": ["true"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }


async def test_a_foreign_job_is_left_alone_and_ours_comes_when_it_is_gone(api: Api, namespace: str) -> None:
    foreign = await api.create(foreign_job("taken", namespace))
    await api.create(echo("taken", namespace))
    obj = await api.until(
        ECHO, namespace, "taken", lambda obj: condition_of(obj, "NameConflict").get("status") == "True"
    )
    assert condition_of(obj, "Ready")["reason"] == "NameConflict"
    job = await api.get(JOB, namespace, "taken")
    assert job is not None
    assert (job["metadata"]["uid"], job["spec"]) == (foreign["metadata"]["uid"], job["spec"])
    assert "ownerReferences" not in job["metadata"]

    async def warned() -> bool:
        return any(e["reason"] == "NameConflict" and e["type"] == "Warning" for e in await api.list(EVENT, namespace))

    await eventually(warned, what="a Warning Event")
    await api.client.request(
        "DELETE", f"/apis/batch/v1/namespaces/{namespace}/jobs/taken", body={"propagationPolicy": "Background"}
    )
    ours = await api.until(
        JOB, namespace, "taken", lambda job: job["metadata"]["uid"] != foreign["metadata"]["uid"], within=60
    )
    assert ours["metadata"]["ownerReferences"][0]["name"] == "taken"
    await api.until(ECHO, namespace, "taken", lambda obj: condition_of(obj, "NameConflict").get("status") == "False")


async def test_an_echo_without_spec_prints_an_empty_line(api: Api, namespace: str) -> None:
    """The CRD has always accepted it."""
    await api.create(echo("empty", namespace, None))
    job = await api.until(JOB, namespace, "empty")
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["printf", "%s\\n", ""]


async def test_a_name_that_no_child_can_have_is_shortened(api: Api, namespace: str) -> None:
    name = "dotted.name." + "x" * 100
    await api.create(echo(name, namespace))
    obj = await api.until(ECHO, namespace, name, succeeded)
    child = obj["status"]["job"]["name"]
    assert len(child) <= 63
    assert "." not in child
    assert await api.get(JOB, namespace, child) is not None


async def test_recreated_twenty_times_it_has_its_own_job_each_time(api: Api, namespace: str) -> None:
    """A namesake's Job that is still being collected must not pass for ours."""
    jobs: set[str] = set()
    for _ in range(20):
        created = await api.create(echo("phoenix", namespace))
        uid = created["metadata"]["uid"]

        def ours(job: Raw, uid: str = uid) -> bool:
            return any(owner["uid"] == uid for owner in job["metadata"].get("ownerReferences", []))

        job = await api.until(JOB, namespace, "phoenix", ours, within=60)
        jobs.add(job["metadata"]["uid"])
        await api.delete(ECHO, namespace, "phoenix")
        await api.gone(ECHO, namespace, "phoenix")
    assert len(jobs) == 20


async def test_readiness_and_metrics_are_served(operator: Operator) -> None:
    assert operator.probe("/healthz") == 200
    assert operator.probe("/readyz") == 200
    text = operator.metrics()
    assert 'ansible_operator_reconcile_result{GVK="mmontes.io/v1alpha1, Kind=Echo",result="succeeded"}' in text
    assert "controller_runtime_reconcile_total" in text
