"""Many Echoes and ScheduledEchoes: each child once, and a second look changes nothing."""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from harness import CRON_JOB, ECHO, JOB, SCHEDULED_ECHO, Api, Operator, echo, eventually, scheduled_echo, succeeded

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ECHOES = 100
SCHEDULED = 20


def writes_by(plane: "ControlPlane", user: str) -> list[str]:
    """Everything a user wrote but for Leases and Events, from the audit log."""
    found = []
    for line in plane.audit_log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        target = event.get("objectRef") or {}
        by_user = event["user"]["username"] == user and target.get("resource") not in {"leases", "events"}
        if by_user and event["verb"] in {"create", "update", "patch", "delete"}:
            found.append(f"{event['verb']} {target.get('resource')}/{target.get('name')}")
    return found


async def test_every_child_exists_once_and_a_resync_writes_nothing(
    api: Api, namespace: str, control_plane: "ControlPlane", start_operator: Callable[..., Operator]
) -> None:
    arguments = ("--strict", f"--watch-namespace={namespace}")
    first = await start_operator(*arguments).ready()
    for index in range(ECHOES):
        await api.create(echo(f"e-{index}", namespace, f"message {index}"))
    for index in range(SCHEDULED):
        await api.create(scheduled_echo(f"s-{index}", namespace, f"message {index}"))

    async def all_done() -> bool:
        objects = [*await api.list(ECHO, namespace), *await api.list(SCHEDULED_ECHO, namespace)]
        return len(objects) == ECHOES + SCHEDULED and all(succeeded(obj) for obj in objects)

    await eventually(all_done, within=300, every=1.0, what="all reconciled")
    await check_children(api, namespace)
    first.terminate()
    assert await first.exit_code() == 0

    second_look = control_plane.user_kubeconfig("second-look", ("system:masters",))
    second = await start_operator(*arguments, kubeconfig=second_look).ready()

    async def all_looked_at() -> bool:
        return await asyncio.to_thread(second.runs_finished) >= ECHOES + SCHEDULED

    await eventually(all_looked_at, within=200, every=0.5, what="a second look at each")
    second.terminate()
    assert await second.exit_code() == 0
    assert writes_by(control_plane, "second-look") == []
    await check_children(api, namespace)


async def check_children(api: Api, namespace: str) -> None:
    """Each child once, with the right owner and message, and no other child."""
    for parent, child, count in ((ECHO, JOB, ECHOES), (SCHEDULED_ECHO, CRON_JOB, SCHEDULED)):
        owners = {obj["metadata"]["name"]: obj for obj in await api.list(parent, namespace)}
        children = await api.list(child, namespace)
        assert len(children) == count
        for found in children:
            owner = owners.pop(found["metadata"]["name"])
            (reference,) = found["metadata"]["ownerReferences"]
            assert reference["uid"] == owner["metadata"]["uid"]
            spec = found["spec"] if child == JOB else found["spec"]["jobTemplate"]["spec"]
            command = spec["template"]["spec"]["containers"][0]["command"]
            assert command == ["printf", "%s\\n", owner["spec"]["message"]]
        assert owners == {}
