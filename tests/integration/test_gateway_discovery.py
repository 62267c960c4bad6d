"""Discovery from the gateway's memory, with a real API server: when it is not asked, and that nothing new is missed.

Each client here is a process or a connection of its own, as each task of a role is.
"""

import asyncio
import itertools
import json
import logging
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from gateway_door import Door
from harness import ECHO, Api, Operator, echo, eventually, succeeded
from runner.clock import SystemClock
from runner.gateway import definitions
from runner.metrics.registry import Metrics
from runner.objects import Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = pytest.mark.integration

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
METRIC = "ansible_operator_gateway_discovery_total"
DENIED = "ansible_operator_optional_rights_denied_total"

PYTHON_CLIENT = """
import sys
from kubernetes import config, dynamic
client = dynamic.DynamicClient(config.new_client_from_config(), cache_file=sys.argv[1])
for kind in sys.argv[2:]:
    print([found.kind for found in client.resources.search(kind=kind)])
"""


def definition(group: str) -> Raw:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }


@pytest.fixture
async def group(api: Api, namespace: str) -> AsyncIterator[str]:
    """A group of the test's own; what was defined in it goes with the test."""
    name = f"{namespace}.example.com"
    yield name
    await api.client.request("DELETE", DEFINITIONS, params={"fieldSelector": f"metadata.name=things.{name}"})

    async def gone() -> bool:
        return not await serves(api, name)

    await eventually(gone, within=20, what=f"{name} is served no more")


async def serves(api: Api, group: str) -> bool:
    """Whether the server itself tells of the group."""
    answer = await api.client.request("GET", "/apis")
    return group in {found["name"] for found in answer["groups"]}


async def discovers(door: Door, group: str) -> bool:
    """Whether a client that has just begun is told of the group."""
    headers = {"Authorization": f"Bearer {door.access.token}", "Accept": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{door.access.server}/apis") as answer:
        return group in {found["name"] for found in (await answer.json())["groups"]}


def discovery_requests(plane: "ControlPlane", user: str) -> list[str]:
    """What a user asked that is about no object, from the audit log."""
    events = (json.loads(line) for line in plane.audit_log.read_text(encoding="utf-8").splitlines())
    return [event["requestURI"] for event in events if event["user"]["username"] == user and not event.get("objectRef")]


@asynccontextmanager
async def watching(door: Door, api: Api, metrics: Metrics) -> AsyncIterator[list[asyncio.Task[None]]]:
    """The watches of definitions, with the rights of `api`; they have listed once when the context begins."""
    clock = SystemClock()
    watches = [
        definitions.informer(
            resource,
            api.client,
            door.memory,
            clock=clock,
            rng=random.Random(1),
            observer=metrics.informer(resource.gvk),
            denied=metrics.denied,
        )
        for resource in definitions.DEFINING
    ]
    tasks = [asyncio.create_task(watch.run()) for watch in watches]

    async def looked() -> bool:
        return all(watch.synced.is_set() or watch.problem for watch in watches)

    await eventually(looked, within=20, what="definitions are listed or refused")
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="0", commit="0", clock=SystemClock())


# What is not asked again


@contextmanager
def nothing_asked(plane: "ControlPlane", user: str) -> Iterator[None]:
    before = discovery_requests(plane, user)
    yield
    assert discovery_requests(plane, user) == before


async def test_the_second_client_of_a_kind_asks_the_server_nothing(
    control_plane: "ControlPlane", namespace: str, tmp_path: Path, helm: Path
):
    """By the audit log, for the three clients that roles use."""
    user = f"second-{namespace}"
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 0.1.0\n")
    (chart / "templates" / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-chart}\n")
    async with Api(control_plane.user_kubeconfig(user, ("system:masters",))) as api:
        owner = await api.create(echo("owner", namespace))
        async with Door(api, namespace, owner, tmp_path, control_plane.kubectl) as door:

            async def work(run: int) -> None:
                manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: applied}}\ndata: {{run: 'x{run}'}}\n"
                cache = tmp_path / f"cache-{run}"
                await door.kubectl(f"--cache-dir={cache}", "get", "echos.mmontes.io", "owner")
                await door.kubectl(f"--cache-dir={cache}", "apply", "-f", "-", stdin=manifest)
                await door.run(sys.executable, "-c", PYTHON_CLIENT, str(tmp_path / f"python-{run}"), "Echo", "Job")
                await door.run(helm, "upgrade", "--install", "tiny", str(chart))

            await work(1)
            assert discovery_requests(control_plane, user) != []
            door.access = door.grant()
            with nothing_asked(control_plane, user):
                await work(2)
            assert "memory" in door.discovered


async def test_openapi_keeps_its_etag(door: Door):
    index = await door.ask("GET", "/openapi/v3")
    path = index.json["paths"]["apis/mmontes.io/v1alpha1"]["serverRelativeURL"]
    first = await door.ask("GET", path)
    again = await door.ask("GET", path, headers={"If-None-Match": first.headers["Etag"]})
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert "mmontes.io" in first.body.decode()


# What is new is found


async def test_a_definition_made_elsewhere_is_found_by_the_next_client(
    door: Door, api: Api, group: str, metrics: Metrics
):
    async with watching(door, api, metrics):
        assert not await discovers(door, group)
        assert not await discovers(door, group)
        assert door.discovered == ["server", "memory"]
        await api.create(definition(group))
        await eventually(lambda: discovers(door, group), within=10, what="the group is discovered")
        await api.client.request("DELETE", f"{DEFINITIONS}/things.{group}")

        async def gone() -> bool:
            return not await discovers(door, group)

        await eventually(gone, within=10, what="the group is gone")


async def test_a_definition_made_by_the_run_is_found_without_a_watch(door: Door, group: str):
    assert not await discovers(door, group)
    assert (await door.ask("POST", DEFINITIONS, definition(group))).status == 201
    door.discovered.clear()
    await eventually(lambda: discovers(door, group), within=10, what="the group is discovered")
    assert set(door.discovered) == {"server"}


async def test_a_python_client_that_misses_a_kind_finds_it_without_a_watch(
    door: Door, api: Api, group: str, tmp_path: Path
):
    """Its library asks again when it does not find a kind: by that the gateway knows that memory is not enough."""
    assert not await discovers(door, group)
    await door.run(sys.executable, "-c", PYTHON_CLIENT, str(tmp_path / "first"), "Thing")
    await api.create(definition(group))
    await eventually(lambda: serves(api, group), within=10, what="the group is served")
    assert not await discovers(door, group)  # it is still remembered that there is no such group
    found = await door.run(sys.executable, "-c", PYTHON_CLIENT, str(tmp_path / "second"), "Thing")
    assert found.strip() == "['Thing']"


# Without the right to watch


async def test_without_the_right_to_watch_memory_ages_and_it_is_said_once(
    door: Door, control_plane: "ControlPlane", metrics: Metrics, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    poor = control_plane.user_kubeconfig(f"poor-{door.namespace}")
    async with Api(poor) as api, watching(door, api, metrics) as tasks:
        for _ in range(2):
            assert not await discovers(door, "nowhere.example.com")
        assert not any(task.done() for task in tasks)
    assert door.discovered == ["server", "memory"]
    refusals = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert refusals == ["not allowed to list or watch; asking again every 20 to 30 s"] * 2
    for right in ("customresourcedefinitions", "apiservices"):
        assert metrics.registry.get_sample_value(DENIED, {"right": right}) == 1


async def test_definitions_are_read_as_metadata_only(control_plane: "ControlPlane", door: Door, metrics: Metrics):
    """A hundred definitions with their schemas would be a hundred megabytes."""
    user = f"metadata-{door.namespace}"
    async with Api(control_plane.user_kubeconfig(user, ("system:masters",))) as api:
        page = await api.client.list_page(definitions.DEFINING[0], metadata_only=True)
        assert "echos.mmontes.io" in {item["metadata"]["name"] for item in page.items}
        assert all(set(item) <= {"kind", "apiVersion", "metadata"} for item in page.items)


# The operator


async def test_a_later_run_of_an_operator_makes_no_discovery_request(
    api: Api, namespace: str, control_plane: "ControlPlane", start_operator: Callable[..., Operator]
):
    user = f"operator-{namespace}"
    kubeconfig = control_plane.user_kubeconfig(user, ("system:masters",))
    operator = await start_operator(f"--watch-namespace={namespace}", kubeconfig=kubeconfig).ready()
    names = (f"echo-{number}" for number in itertools.count())

    async def run_without_a_question() -> bool:
        before, name = discovery_requests(control_plane, user), next(names)
        await api.create(echo(name, namespace))
        await api.until(ECHO, namespace, name, succeeded)
        return discovery_requests(control_plane, user) == before

    # Not always the second: other tests define kinds, and after a change nothing is remembered for some seconds.
    await eventually(run_without_a_question, within=60)
    counted = [line for line in operator.metrics().splitlines() if line.startswith(METRIC)]
    memory = next(line for line in counted if 'from="memory"' in line)
    assert float(memory.split()[-1]) > 0
