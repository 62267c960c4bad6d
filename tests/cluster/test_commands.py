"""The command line where nothing has to run for it."""

import io
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster import commands, network
from cluster.progress import Progress, seconds
from cluster.supervision import ComponentStatus

ROOT = Path(commands.__file__).resolve().parent.parent


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cluster", *arguments],
        cwd=ROOT,
        env={**os.environ, "ECHOPERATOR_CLUSTER_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_status_of_a_cluster_that_is_not_up_is_three(tmp_path: Path) -> None:
    done = run(tmp_path, "status")
    assert (done.returncode, done.stdout) == (3, 'Cluster "default" is not up.\n')


def test_status_as_json_says_so_too(tmp_path: Path) -> None:
    done = run(tmp_path, "status", "--json")
    assert done.returncode == 3
    answer = json.loads(done.stdout)
    assert (answer["up"], answer["healthy"], answer["components"]) == (False, False, [])


@pytest.mark.parametrize("arguments", [("down",), ("down", "--all"), ("down", "--name", "other")])
def test_down_when_nothing_runs_succeeds(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 0
    assert "was running" in done.stdout


@pytest.mark.parametrize(
    "arguments", [(), ("sideways",), ("up", "--name", "../elsewhere"), ("down", "--name=x", "--all")]
)
def test_wrong_arguments_are_two(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert run(tmp_path, *arguments).returncode == 2


def test_load_without_a_node_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "load", "--name", "other", "image.tar")
    assert done.returncode == 1
    assert 'cluster "other" has no node' in done.stderr


def test_help_documents_environment_and_exit_status(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    for word in ("ECHOPERATOR_CLUSTER_DIR", "KUBEBUILDER_ASSETS", "YES=1", "exit status", "130"):
        assert word in done.stdout


def test_which_prints_a_usable_path_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makefiles substitute its output."""
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\necho Client Version: v1.34.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert run(tmp_path, "which", "kubectl").stdout == f"{program}\n"
    assert run(tmp_path, "which", "docker").returncode == 2


def test_a_directory_with_somebody_s_files_is_neither_used_nor_removed(tmp_path: Path) -> None:
    """ECHOPERATOR_CLUSTER_DIR may point anywhere, a home directory too."""
    precious = tmp_path / "documents" / "thesis"
    precious.parent.mkdir()
    precious.write_text("years of work")
    up = run(tmp_path, "up", "--control-plane-only", "--name", "documents")
    assert up.returncode == 1
    assert "not a cluster's" in up.stderr
    for arguments in (("--all",), ("--name", "documents")):
        assert run(tmp_path, "down", *arguments).returncode == 0
    assert precious.read_text() == "years of work"


@pytest.mark.parametrize("name", ["a", "default", "a-1", "0"])
def test_valid_names(name: str) -> None:
    assert commands.valid_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", "a-", "A", "a" * 41, "a\n"])
def test_names_that_could_leave_the_directory_are_refused(name: str) -> None:
    """`down` removes the directory of that name."""
    assert not commands.valid_name(name)


def component(name: str, *, healthy: bool = True, paused: bool = False, pid: int = 12) -> ComponentStatus:
    return ComponentStatus(
        name=name, pid=pid, port=0, since="2026-01-01T00:00:00+00:00", running=pid > 0, paused=paused, healthy=healthy
    )


def test_table_aligns_and_shouts_what_is_not_healthy() -> None:
    found = [component("etcd"), component("kubelet", healthy=False, pid=0), component("x", healthy=False, paused=True)]
    assert commands.table(found).splitlines() == [
        "COMPONENT  PID  PORT  SINCE                      HEALTHY",
        "etcd       12   -     2026-01-01T00:00:00+00:00  yes",
        "kubelet    -    -     2026-01-01T00:00:00+00:00  NO",
        "x          12   -     2026-01-01T00:00:00+00:00  paused",
    ]


@pytest.mark.parametrize(
    ("duration_s", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (61, "1 min 1 s"), (352.2, "5 min 52 s")]
)
def test_durations_are_as_exact_as_a_reader_can_use(duration_s: float, text: str) -> None:
    assert seconds(duration_s) == text


def test_a_long_step_gives_signs_of_life_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Progress(stream=stream, heartbeat_s=0.02).step("building x"):
        deadline = time.monotonic() + 5
        while "still at it" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "  building x ..."
    assert lines[1].startswith("  building x: still at it after ")
    assert lines[-1].startswith("  building x: done in ")


def test_a_failed_step_does_not_claim_to_be_done() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="x"), Progress(stream=stream).step("building x"):
        raise ValueError("x")
    assert "done" not in stream.getvalue()


def test_free_ports_are_distinct_and_free() -> None:
    ports = network.free_ports(20)
    assert len(set(ports)) == 20
    assert network.taken(ports) == []


def test_a_port_somebody_listens_on_is_taken() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert network.taken([port]) == [port]
