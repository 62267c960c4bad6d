"""The supervisor starts with each run: what it loads, every run waits for, and it must know nothing of the cluster."""

import subprocess
import sys
from pathlib import Path

import pytest

import runner
from runner.execution.job import Job

ROOT = str(Path(runner.__file__).parent.parent)
HEAVY = ("aiohttp", "ansible", "ansible_runner", "asyncio", "kubernetes", "logging", "socket", "yaml")


def test_the_supervisor_starts_light_and_without_the_machinery() -> None:
    script = "import sys, runner.execution.supervisor; print(*sys.modules)"
    command = [sys.executable, "-P", "-c", script]
    loaded = subprocess.run(command, env={"PYTHONPATH": ROOT}, capture_output=True, text=True, check=True).stdout
    modules = loaded.split()
    assert [name for name in modules if name.split(".")[0] in HEAVY] == []
    allowed = {"runner", "runner.objects", "runner.execution"}
    assert {name for name in modules if name.startswith("runner")} - allowed == {
        f"runner.execution.{name}"
        for name in ("directory", "eventfiles", "events", "job", "outbox", "processes", "stream", "supervisor")
    }


def test_a_supervisor_whose_parent_is_gone_does_nothing() -> None:
    command = [sys.executable, "-P", "-m", "runner.execution.supervisor", "0", "1"]
    result = subprocess.run(command, env={"PYTHONPATH": ROOT}, capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (1, b"")


@pytest.mark.parametrize("text", ["plain", "ä\n\u2028\x00", "{{ x }}"])
def test_a_job_survives_the_way_in_one_line(text: str) -> None:
    job = Job(run_id="r", directory="/d", extra_vars=text, kubeconfig=text, environment={"A": text})
    assert job.encode().count(b"\n") == 1
    assert Job.decode(job.encode()) == job
