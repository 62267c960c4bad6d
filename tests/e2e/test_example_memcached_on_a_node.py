"""examples/memcached where its Pods run: they become ready, and a command and a log go through the gateway."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from harness import DEPLOYMENT, Api, Operator, succeeded
from projects import MEMCACHED, PROBE, Cluster, memcached_operator, resource
from runner.objects import Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SPACE = "caches"
STAND_IN = ["sh", "-c", "echo listening; exec httpd -f -p 11211"]
"""The test image has no memcached, and something that listens on its port."""


@pytest.fixture(scope="module", autouse=True)
def operator(node_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    from cluster import images  # noqa: PLC0415 - only where a node is needed

    cluster = Cluster(node_plane)
    environment = {"RELATED_IMAGE_MEMCACHED": images.BUSYBOX}
    with memcached_operator(node_plane, tmp_path_factory.mktemp("memcached"), environment) as running:
        cluster.namespace(SPACE)
        yield running
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def ready(size: int) -> Callable[[Raw], bool]:
    return lambda deployment: (deployment.get("status") or {}).get("readyReplicas", 0) == size


def status(obj: Raw) -> Raw:
    return dict(obj.get("status") or {})


async def test_as_many_pods_become_ready_as_are_asked_for(api: Api) -> None:
    await api.create(resource(MEMCACHED, "many", SPACE, size=2, command=STAND_IN))
    await api.until(DEPLOYMENT, SPACE, "many", ready(2))
    await api.patch(MEMCACHED, SPACE, "many", {"spec": {"size": 1}})
    await api.until(DEPLOYMENT, SPACE, "many", ready(1))


async def test_output_of_a_command_and_log_of_a_pod_come_into_the_status(api: Api) -> None:
    """The Probe is there before the Pod, and is run again until there is one."""
    command = "sh -c 'echo out; echo err >&2; exit 3'"
    await api.create(resource(PROBE, "early", SPACE, cache="slow", command=command, tries=1000))
    await api.until(PROBE, SPACE, "early", lambda probe: status(probe).get("tries", 0) >= 1)
    await api.create(resource(MEMCACHED, "slow", SPACE, command=STAND_IN))
    probe = await api.until(PROBE, SPACE, "early", lambda probe: "exitCode" in status(probe))
    found = status(probe)
    assert (found["exitCode"], found["stdout"], found["stderr"]) == (3, "out\n", "err\n")
    assert found["log"] == "listening\n"
    assert found["pod"].startswith("slow-")
    await api.until(PROBE, SPACE, "early", succeeded)
