"""A kind cluster, real to the end: it runs Jobs, and the machine is as it was, however the cluster ended."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_traces import Cluster, cluster_command, cluster_process, machine_state, require_own_engine

from cluster import images, processes
from cluster.kind import engine, needs
from cluster.progress import Progress

pytestmark = [pytest.mark.e2e, pytest.mark.kind, pytest.mark.timeout(1800)]

_KIND = "cluster.kind"
_LATER = "localhost/echoperator/loaded-later:test"


@pytest.fixture(scope="module")
def before() -> Iterator[dict[str, Any]]:
    """The machine without a cluster, but with the packages and the node image that one needs: those stay."""
    require_own_engine()
    needs.install((*needs.ENGINE, *needs.IMAGE), Progress(), engine=True)
    built = cluster_command(Path(), "node-image", module=_KIND, timeout_s=1500)
    assert built.returncode == 0, built.stderr
    yield machine_state()
    assert not engine.left_anything()


def test_a_kind_cluster_runs_a_job_of_a_loaded_image_and_leaves_nothing(tmp_path: Path, before: dict[str, Any]) -> None:
    up = cluster_command(tmp_path, "up", "--json", module=_KIND)
    try:
        assert up.returncode == 0, up.stderr
        answer = json.loads(up.stdout)
        cluster = Cluster(Path(answer["kubectl"]), Path(answer["kubeconfig"]))
        assert cluster.run_job("hello", "printf", "%s\\n", "Hola, 世界!", image=answer["testImage"]) == "Hola, 世界!\n"
        archive = images.build_busybox(tmp_path / "later.tar", name=_LATER)
        loaded = cluster_command(tmp_path, "load", str(archive), module=_KIND)
        assert loaded.returncode == 0, loaded.stderr
        assert cluster.run_job("later", "echo", "here", image=_LATER) == "here\n"
        during = machine_state()
        assert all(during[key] != before[key] for key in ("links", "processes", "engine"))
        assert all(during[key] == before[key] for key in ("rules", "mounts"))
    finally:
        down = cluster_command(tmp_path, "down", module=_KIND)
    assert down.returncode == 0, down.stderr
    assert 'Deleted kind cluster "echoperator".' in down.stdout
    assert machine_state() == before
    assert list(tmp_path.glob("_kind/*")) == []


@pytest.mark.parametrize("moment", [b"dockerd", b"kubeadm\0init"], ids=["engine", "node"])
def test_an_interrupted_start_leaves_nothing(moment: bytes, tmp_path: Path, before: dict[str, Any]) -> None:
    with cluster_process(tmp_path, "up", module=_KIND) as up:
        assert processes.wait_until(lambda: _runs(moment), 90)
        up.send_signal(signal.SIGINT)
        _, said = up.communicate(timeout=60)
        assert up.returncode == 130, said
        assert machine_state() == before


def test_down_cleans_up_after_a_start_that_was_killed(tmp_path: Path, before: dict[str, Any]) -> None:
    with cluster_process(tmp_path, "up", module=_KIND) as up:
        assert processes.wait_until(lambda: _runs(b"kubeadm\0init"), 90)
        up.kill()
        up.wait()
        assert cluster_command(tmp_path, "down", module=_KIND).returncode == 0
        assert machine_state() == before


def _runs(arguments: bytes) -> bool:
    for process in processes.everyone():
        try:
            if arguments in Path(f"/proc/{process.pid}/cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False
