"""ScheduledEcho on a real API server and controller manager."""

import pytest

from harness import CRON_JOB, SCHEDULED_ECHO, Api, condition_of, eventually, scheduled_echo, succeeded
from runner.objects import Raw

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("operator"), pytest.mark.timeout(240)]


def command(cron_job: Raw) -> list[str]:
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return list(pod["containers"][0]["command"])


async def test_a_scheduled_echo_becomes_a_cron_job_that_belongs_to_it(api: Api, namespace: str) -> None:
    created = await api.create(scheduled_echo("nightly", namespace, "Hola, 世界!", "5 4 * * *"))
    cron_job = await api.until(CRON_JOB, namespace, "nightly")
    assert cron_job["spec"]["schedule"] == "5 4 * * *"
    assert cron_job["spec"]["concurrencyPolicy"] == "Forbid"
    assert command(cron_job) == ["printf", "%s\\n", "Hola, 世界!"]
    (owner,) = cron_job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("ScheduledEcho", created["metadata"]["uid"], True)
    await api.until(SCHEDULED_ECHO, namespace, "nightly", succeeded)


async def test_changes_of_message_and_schedule_are_carried_over(api: Api, namespace: str) -> None:
    await api.create(scheduled_echo("edited", namespace))
    await api.until(SCHEDULED_ECHO, namespace, "edited", succeeded)
    await api.patch(SCHEDULED_ECHO, namespace, "edited", {"spec": {"message": "new", "schedule": "1 2 * * *"}})

    def carried(cron_job: Raw) -> bool:
        return command(cron_job)[-1] == "new" and cron_job["spec"]["schedule"] == "1 2 * * *"

    await api.until(CRON_JOB, namespace, "edited", carried)


async def test_our_fields_are_put_back_and_others_are_left(api: Api, namespace: str) -> None:
    """Whoever edits the CronJob by hand edits the wrong object; what is not ours stays theirs."""
    await api.create(scheduled_echo("drifts", namespace, schedule="5 4 * * *"))
    await api.until(SCHEDULED_ECHO, namespace, "drifts", succeeded)
    theirs = {"metadata": {"labels": {"team": "a"}}, "spec": {"schedule": "* * * * *", "suspend": True}}
    await api.patch(CRON_JOB, namespace, "drifts", theirs)
    cron_job = await api.until(CRON_JOB, namespace, "drifts", lambda found: found["spec"]["schedule"] == "5 4 * * *")
    assert cron_job["spec"]["suspend"] is True
    assert cron_job["metadata"]["labels"]["team"] == "a"


async def test_an_invalid_schedule_is_told_in_the_servers_words_and_the_old_one_stays(api: Api, namespace: str) -> None:
    await api.create(scheduled_echo("invalid", namespace, schedule="5 4 * * *"))
    await api.until(SCHEDULED_ECHO, namespace, "invalid", succeeded)
    await api.patch(SCHEDULED_ECHO, namespace, "invalid", {"spec": {"schedule": "often"}})
    obj = await api.until(
        SCHEDULED_ECHO,
        namespace,
        "invalid",
        lambda found: condition_of(found, "Ready").get("reason") == "InvalidSchedule",
    )
    assert "often" in condition_of(obj, "Ready")["message"]
    cron_job = await api.get(CRON_JOB, namespace, "invalid")
    assert cron_job is not None
    assert cron_job["spec"]["schedule"] == "5 4 * * *"
    await api.patch(SCHEDULED_ECHO, namespace, "invalid", {"spec": {"schedule": "6 4 * * *"}})
    await api.until(CRON_JOB, namespace, "invalid", lambda found: found["spec"]["schedule"] == "6 4 * * *")


async def test_a_deleted_cron_job_is_made_again(api: Api, namespace: str) -> None:
    await api.create(scheduled_echo("lost", namespace))
    first = await api.until(CRON_JOB, namespace, "lost")
    await api.until(SCHEDULED_ECHO, namespace, "lost", succeeded)
    await api.delete(CRON_JOB, namespace, "lost")
    await api.until(CRON_JOB, namespace, "lost", lambda found: found["metadata"]["uid"] != first["metadata"]["uid"])


async def test_suspend_and_time_zone_follow_the_resource(api: Api, namespace: str) -> None:
    await api.create(scheduled_echo("paused", namespace, suspend=True, timeZone="Europe/Madrid"))
    cron_job = await api.until(CRON_JOB, namespace, "paused")
    assert (cron_job["spec"]["suspend"], cron_job["spec"]["timeZone"]) == (True, "Europe/Madrid")
    await api.patch(SCHEDULED_ECHO, namespace, "paused", {"spec": {"suspend": False}})
    await api.until(CRON_JOB, namespace, "paused", lambda found: found["spec"]["suspend"] is False)


async def test_a_deleted_scheduled_echo_takes_its_cron_job_along(api: Api, namespace: str) -> None:
    await api.create(scheduled_echo("gone", namespace))
    await api.until(CRON_JOB, namespace, "gone")
    await api.delete(SCHEDULED_ECHO, namespace, "gone")

    async def look() -> bool:
        return await api.get(CRON_JOB, namespace, "gone") is None

    await eventually(look, what="no CronJob")
