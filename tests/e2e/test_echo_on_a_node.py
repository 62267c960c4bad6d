"""What the Pod prints, on a real node: the message, byte for byte, whatever it is."""

import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

import hostile
from harness import ECHO, JOB, POD, SCHEDULED_ECHO, Api, Operator, condition_of, echo, eventually, scheduled_echo
from runner.objects import Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def node_operator(node_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    from cluster import images  # noqa: PLC0415

    running = Operator(
        kubeconfig=node_plane.kubeconfig,
        directory=tmp_path_factory.mktemp("operator") / "op",
        arguments=("--strict",),
        environment={"RELATED_IMAGE_ECHO": images.BUSYBOX},
    )
    try:
        yield running.wait_ready()
    finally:
        running.dispose()


def logs(plane: "ControlPlane", what: str) -> bytes:
    command = [str(plane.kubectl), f"--kubeconfig={plane.kubeconfig}", "logs", what]
    return subprocess.run(command, check=True, capture_output=True).stdout


def state(obj: Raw) -> str:
    return str(((obj.get("status") or {}).get("job") or {}).get("state") or "")


@pytest.mark.usefixtures("node_operator")
async def test_every_message_arrives_byte_for_byte(api: Api, node_plane: "ControlPlane") -> None:
    """Nothing between a resource and its Pod reads a message: no template, no shell, no expansion, no option."""
    for name, message in hostile.TEXTS.items():
        await api.create(echo(name, "default", message))
    for name, message in hostile.TEXTS.items():
        obj = await api.until(ECHO, "default", name, lambda obj: state(obj) in {"Complete", "Failed"}, within=150)
        assert state(obj) == "Complete", obj["status"]
        assert condition_of(obj, "Ready")["status"] == "True"
        assert logs(node_plane, f"job/{name}") == f"{message}\n".encode(), name


@pytest.mark.usefixtures("node_operator")
async def test_a_changed_message_is_printed_by_a_new_pod_and_the_old_one_is_gone(
    api: Api, node_plane: "ControlPlane"
) -> None:
    await api.create(echo("changed", "default", "before"))
    await api.until(ECHO, "default", "changed", lambda obj: state(obj) == "Complete")
    await api.patch(ECHO, "default", "changed", {"spec": {"message": "after"}})

    def complete_again(obj: Raw) -> bool:
        return state(obj) == "Complete" and obj["status"]["job"]["generation"] == 2

    await api.until(ECHO, "default", "changed", complete_again, within=90)
    assert logs(node_plane, "job/changed") == b"after\n"
    pods = [pod for pod in await api.list(POD, "default") if pod["metadata"]["labels"].get("job-name") == "changed"]
    assert len(pods) == 1


@pytest.mark.usefixtures("node_operator")
async def test_a_schedule_fires(api: Api, node_plane: "ControlPlane") -> None:
    """Every minute, so within two."""
    await api.create(scheduled_echo("minutely", "default", "Hola, 世界!", "* * * * *"))

    async def fired() -> Raw | None:
        for job in await api.list(JOB, "default"):
            owners = job["metadata"].get("ownerReferences", [])
            if any(owner["name"] == "minutely" for owner in owners) and (job.get("status") or {}).get("succeeded"):
                return job
        return None

    job = await eventually(fired, within=130, every=1.0, what="a Job of the schedule")
    assert logs(node_plane, f"job/{job['metadata']['name']}") == "Hola, 世界!\n".encode()
    await api.delete(SCHEDULED_ECHO, "default", "minutely")
    await api.gone(JOB, "default", job["metadata"]["name"])
