"""After a node the machine is as it was, however the node ended."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from cluster_traces import (
    Cluster,
    cluster_command,
    cluster_process,
    machine_state,
    mounts_of,
    processes_of,
    require_node,
)

from cluster import images, machine, processes
from cluster.node import Node
from cluster.progress import Progress

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_STUBBORN = f"""
apiVersion: v1
kind: Pod
metadata: {{name: stubborn}}
spec:
  containers:
  - name: stubborn
    image: {images.BUSYBOX}
    command: [sh, -c, "trap '' TERM; setsid sh -c 'sleep 1000' & while :; do sleep 1; done"]
    volumeMounts: [{{name: scratch, mountPath: /scratch}}]
  volumes: [{{name: scratch, emptyDir: {{medium: Memory}}}}]
"""


@pytest.fixture(scope="module")
def before() -> dict[str, Any]:
    """The machine without a node, but with the packages one needs: those stay."""
    require_node()
    Node.prepare(Progress())
    state = machine_state()
    assert (state["mounts"], state["processes"], state["data"], state["record"]) == ([], [], False, None)
    return state


def test_down_with_running_pods_leaves_nothing(tmp_path: Path, before: dict[str, Any]) -> None:
    up = cluster_command(tmp_path, "up", "--json")
    try:
        assert up.returncode == 0, up.stderr
        answer = json.loads(up.stdout)
        assert (answer["node"], answer["testImage"]) == (True, images.BUSYBOX)
        cluster = Cluster(Path(answer["kubectl"]), Path(answer["kubeconfig"]))
        cluster("apply", "-f", "-", stdin=_STUBBORN)
        ready = cluster("wait", "--for=condition=Ready", "pod/stubborn", "--timeout=60s")
        assert "condition met" in ready, cluster("describe", "pods")
        during = machine_state()
        assert all(during[key] != before[key] for key in ("rules", "links", "cgroups", "mounts", "processes"))
        assert during["sysctls"]["net.ipv4.ip_forward"] == "1"
        sleepers = _processes_running(b"sleep\x001000")
        assert len(sleepers) >= 1
    finally:
        down = cluster_command(tmp_path, "down")
    assert down.returncode == 0, down.stderr
    assert "kubelet" in down.stdout
    assert machine_state() == before
    assert processes_of(tmp_path / "default") == []
    assert mounts_of(tmp_path) == []
    assert _processes_running(b"sleep\x001000") == []


@pytest.mark.parametrize("program", ["containerd", "kubelet"])
def test_interrupted_start_leaves_nothing(program: str, tmp_path: Path, before: dict[str, Any]) -> None:
    with cluster_process(tmp_path, "up") as up:
        assert processes.wait_until(lambda: _runs(program, tmp_path), 90)
        up.send_signal(signal.SIGINT)
        _, said = up.communicate(timeout=60)
        assert up.returncode == 130, said
        assert machine_state() == before
        assert processes_of(tmp_path / "default") == []
        assert not (tmp_path / "default").exists()


def test_down_cleans_up_after_a_killed_start(tmp_path: Path, before: dict[str, Any]) -> None:
    with cluster_process(tmp_path, "up") as up:
        assert processes.wait_until(lambda: _runs("kubelet", tmp_path), 90)
        up.kill()
        up.wait()
        assert cluster_command(tmp_path, "down", "--all").returncode == 0
        assert machine_state() == before
        assert processes_of(tmp_path / "default") == []


def test_a_start_cleans_up_after_a_node_that_was_killed(tmp_path: Path, before: dict[str, Any]) -> None:
    """As a power cut would leave it, or a test run that was killed: shims and mounts stay, nobody watches."""
    assert cluster_command(tmp_path, "up", "--name", "first").returncode == 0
    try:
        record = machine.read()
        assert record is not None
        for running in record.running.values():
            running.process.signal(signal.SIGKILL)
            running.process.wait_gone(5)
        assert cluster_command(tmp_path, "status", "--name", "first").returncode == 3
        again = cluster_command(tmp_path, "up", "--name", "second")
        assert again.returncode == 0, again.stderr
        assert cluster_command(tmp_path, "status", "--name", "second").returncode == 0
    finally:
        cluster_command(tmp_path, "down", "--all")
    assert machine_state() == before
    assert processes_of(tmp_path) == []


def _runs(program: str, directory: Path) -> bool:
    return any(f"/{program} " in line for line in processes_of(directory / "default"))


def _processes_running(arguments: bytes) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if arguments in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
