"""A role and another controller that do not agree, through the whole operator; the other controller is the test."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway_door import CONFIG_MAP
from harness import ECHO, Api, Operator, echo, eventually, succeeded
from runner.gateway.loopbreaker import TIMES
from runner.objects import GroupVersionKind, Raw

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

EVENT = GroupVersionKind("", "v1", "Event")
METRIC = 'ansible_operator_contested_writes_total{GVK="mmontes.io/v1alpha1, Kind=Echo"}'
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - kubernetes.core.k8s:
        definition:
          apiVersion: v1
          kind: ConfigMap
          metadata: {name: "{{ item }}", namespace: "{{ ansible_operator_meta.namespace }}"}
          data: {colour: blue, shape: round}
      loop: [insisted, edited]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    watch = "{group: mmontes.io, version: v1alpha1, kind: Echo, playbook: echo.yml, reconcilePeriod: 0s}"
    directory.joinpath("watches.yaml").write_text(f"- {watch}\n", encoding="utf-8")
    directory.joinpath("echo.yml").write_text(PLAYBOOK, encoding="utf-8")
    return directory


async def test_a_role_whose_child_is_put_back_each_time_is_told_of_it_and_nobody_else(
    api: Api, namespace: str, project: Path, start_operator: Callable[..., Operator]
) -> None:
    """Each run is a success, so nothing else would tell. Who edits a child to ever new values is no such case."""
    operator = await start_operator(f"--watch-namespace={namespace}", project=project).ready()
    await api.create(echo("one", namespace))
    await api.until(ECHO, namespace, "one", succeeded)
    assert f"\n{METRIC} 0.0\n" in operator.metrics()
    insisted, edits = 0, itertools.count()

    async def told() -> list[Raw]:
        nonlocal insisted
        for name, colour in (("insisted", "red"), ("edited", f"red-{next(edits)}")):
            now = await api.get(CONFIG_MAP, namespace, name)
            assert now is not None
            if now["data"]["colour"] == "blue":
                insisted += name == "insisted"
                await api.patch(CONFIG_MAP, namespace, name, {"data": {"colour": colour}})
        return [event for event in await api.list(EVENT, namespace) if event["reason"] == "ChildContested"]

    (event,) = await eventually(told, within=120, every=0.05, what="an Event about the child")
    assert insisted >= TIMES
    assert (event["type"], event["involvedObject"]["kind"], event["involvedObject"]["name"]) == (
        "Warning",
        "Echo",
        "one",
    )
    assert event["message"].startswith(f"ConfigMap {namespace}/insisted: data.colour: put back each time")
    counted = next(line for line in operator.metrics().splitlines() if line.startswith(METRIC))
    assert float(counted.split()[-1]) >= 1

    # Its own edit is not kept waiting, and begins anew.
    await api.patch(ECHO, namespace, "one", {"spec": {"message": "other"}})
    await api.until(ECHO, namespace, "one", succeeded, within=30)
    for name in ("insisted", "edited"):
        now = await api.until(CONFIG_MAP, namespace, name)
        assert now["data"]["colour"] == "blue"
