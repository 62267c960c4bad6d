"""The scheduledecho role row by row: what it does to the CronJob and what it says in the status."""

from pathlib import Path

import pytest

from harness import CRON_JOB, SCHEDULED_ECHO, condition_of, scheduled_echo

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parent.parent.parent
ROLE = ROOT / "roles" / "scheduledecho"
LOOKED = ["kubernetes.core.k8s_info"]


async def _state(api, namespace, name):
    """Reason of Ready, and what the role has recorded of the CronJob but for its uid."""
    after = await api.until(SCHEDULED_ECHO, namespace, name)
    recorded = dict(after.get("status", {}).get("cronJob", {}))
    recorded.pop("uid", None)
    return condition_of(after, "Ready").get("reason"), recorded


async def test_each_row_of_the_table(api, namespace, children, play, variables_of, writes):
    """One object for each row of tasks/decide.yml and each answer of the API server, all in one play."""
    hosts, before = {}, {}

    async def case(key, *, born=None, settings=None, **spec):
        owner = await api.create(scheduled_echo(key, namespace, **spec))
        if born:
            owner["metadata"]["creationTimestamp"] = born
        hosts[key] = variables_of(owner, **(settings or {}))
        return owner

    def earlier(name):
        """A ScheduledEcho of the same name with another uid: deleted since."""
        metadata = {"name": name, "uid": "00000000-0000-4000-8000-000000000000"}
        return {"apiVersion": SCHEDULED_ECHO.api_version, "kind": "ScheduledEcho", "metadata": metadata}

    former = ["echo", "hello"]
    await case("absent")
    owner = await case("echoperators")
    before["echoperators"] = await children.cron_job(owner, "echoperators", command=former)
    owner = await case("rescheduled")
    old = await children.cron_job(owner, "rescheduled", command=former, schedule="1 1 * * *")
    await case("invalid", schedule="61 * * * *")
    owner = await case("invalid-zone", timeZone="No/Where")
    before["invalid-zone"] = await children.cron_job(owner, "invalid-zone", command=former)
    await case("broken", settings={"scheduledecho_resources": {"limits": {"cpu": "-1"}}})
    await case("foreign")
    before["foreign"] = await children.cron_job(None, "foreign", command=former)
    await case("stale")
    before["stale"] = await children.cron_job(earlier("stale"), "stale", command=former, held=True)
    await case("stale-long", born="2026-01-01T00:00:00Z")
    await children.cron_job(earlier("stale-long"), "stale-long", command=former, held=True)

    reports = await play(hosts, role="scheduledecho")

    made, said, patched = "create cronjobs {}", "patch scheduledechos/status {}", "patch cronjobs {}"
    expected = {
        "absent": ([made, said], "", "Scheduled", {"name": "absent"}),
        "echoperators": ([said], "", "Scheduled", {"name": "echoperators"}),
        "rescheduled": ([patched, said], "", "Scheduled", {"name": "rescheduled"}),
        "invalid": ([made, said], "", "InvalidSchedule", {}),
        "invalid-zone": ([patched, said], "", "InvalidSchedule", {}),
        "broken": ([made], "", None, {}),
        "foreign": ([said], "30s", "NameConflict", {}),
        "stale": ([said], "2s", "CronJobPending", {}),
        "stale-long": ([said], "30s", "WaitingForRemoval", {}),
    }
    log = writes()
    actual = {}
    for key, report in reports.items():
        own = [line.replace(key, "{}") for line in log if line.split()[-1] == key]
        actual[key] = (own, report.again, *await _state(api, namespace, key))
    assert actual == expected
    assert [key for key, report in reports.items() if report.failure] == ["broken"]
    assert "must be greater than or equal to 0" in reports["broken"].failure

    after = {key: await api.until(CRON_JOB, namespace, key) for key in before}
    for key, cron_job in before.items():
        # The garbage collector marks the stale one meanwhile.
        assert after[key]["spec"] == cron_job["spec"], f"{key}: the CronJob was touched"
    new = await api.until(CRON_JOB, namespace, "rescheduled")
    assert new["spec"] == {**old["spec"], "schedule": "0 3 * * *"}, "only the schedule was anybody's business"

    fresh = await api.until(CRON_JOB, namespace, "absent")
    assert "ownerReferences" not in fresh["metadata"], "owner references are the gateway's work"
    assert fresh["spec"]["concurrencyPolicy"] == "Forbid"
    pod = fresh["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["command"] == ["printf", "%s\\n", "hello"]
    assert pod["securityContext"]["runAsNonRoot"] is True

    invalid = await api.until(SCHEDULED_ECHO, namespace, "invalid")
    message = condition_of(invalid, "Ready")["message"]
    assert "end of range (61) above maximum (59)" in message, "the API server's own words"
    conflict = condition_of(await api.until(SCHEDULED_ECHO, namespace, "foreign"), "NameConflict")
    assert (conflict["status"], conflict["reason"]) == ("True", "NameTaken")


async def test_hand_edits_and_withdrawn_fields(api, namespace, children, play, variables_of, writes):
    """What the ScheduledEcho decides is put back, what it does not is left, and then the role rests."""
    names = {"edited": {}, "timed": {"suspend": True, "timeZone": "Europe/Madrid"}, "renamed": {}}
    owners = {
        key: await api.create(scheduled_echo(key, namespace, "¡{{ hola }}!", **spec)) for key, spec in names.items()
    }
    first = await play({key: variables_of(owner) for key, owner in owners.items()}, role="scheduledecho")
    assert [report.failure for report in first.values()] == ["", "", ""]
    for key, owner in owners.items():
        await children.adopt(CRON_JOB, owner, key)
    made = {key: await api.until(CRON_JOB, namespace, key) for key in names}
    assert (made["timed"]["spec"]["suspend"], made["timed"]["spec"]["timeZone"]) == (True, "Europe/Madrid")
    recorded = {"name": "timed", "suspend": True, "timeZone": "Europe/Madrid"}
    assert await _state(api, namespace, "timed") == ("Suspended", recorded)

    edit = {
        "metadata": {"labels": {"team": "blue", "app.kubernetes.io/name": "other"}},
        "spec": {"schedule": "9 9 * * *", "suspend": True, "concurrencyPolicy": "Allow", "startingDeadlineSeconds": 77},
    }
    await api.patch(CRON_JOB, namespace, "edited", edit)
    other = made["renamed"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    container = [{**other, "name": "else", "command": ["true"]}]
    template = {"spec": {"template": {"spec": {"containers": container}}}}
    await api.patch(CRON_JOB, namespace, "renamed", {"spec": {"jobTemplate": template}})
    await api.patch(SCHEDULED_ECHO, namespace, "timed", {"spec": {"suspend": None, "timeZone": None}})
    now = {key: variables_of(await api.until(SCHEDULED_ECHO, namespace, key)) for key in names}

    second = await play(now, role="scheduledecho")

    assert [report.failure for report in second.values()] == ["", "", ""]
    after = {key: await api.until(CRON_JOB, namespace, key) for key in names}
    assert after["edited"]["spec"] == {**made["edited"]["spec"], "suspend": True, "startingDeadlineSeconds": 77}
    assert after["edited"]["metadata"]["labels"] == {**made["edited"]["metadata"]["labels"], "team": "blue"}
    assert after["renamed"]["spec"] == made["renamed"]["spec"]
    assert after["timed"]["spec"]["suspend"] is False
    assert "timeZone" not in after["timed"]["spec"]
    assert await _state(api, namespace, "timed") == ("Scheduled", {"name": "timed"})
    assert await _state(api, namespace, "edited") == ("Suspended", {"name": "edited"})
    done = writes()

    now = {key: variables_of(await api.until(SCHEDULED_ECHO, namespace, key)) for key in names}
    third = await play(now, role="scheduledecho")

    assert {key: (report.modules, report.changed) for key, report in third.items()} == dict.fromkeys(names, (LOOKED, 0))
    assert writes() == done


async def test_names_too_long_for_a_cron_job_are_shortened(play, variables_of):
    """A CronJob's name may have 52 characters, since its Jobs' names are eleven longer."""
    names = ["plain", "a" * 52, "a" * 53, "a" * 253, "with.dots"]
    metadata = {"namespace": "default", "uid": "u", "generation": 1}
    objects = [{**scheduled_echo(name, "default"), "metadata": {"name": name, **metadata}} for name in names]

    reports = await play(
        {f"n{index}": variables_of(obj) for index, obj in enumerate(objects)},
        tasks=[{"ansible.builtin.debug": {"var": "scheduledecho_cronjob_name"}}],
        vars_files=[ROLE / "defaults" / "main.yml", ROLE / "vars" / "main.yml"],
    )

    children = {name: reports[f"n{index}"].facts["scheduledecho_cronjob_name"] for index, name in enumerate(names)}
    assert [name for name, child in children.items() if name == child] == ["plain", "a" * 52]
    assert len(set(children.values())) == len(names)
    assert all(len(child) <= 52 and "." not in child for child in children.values())
