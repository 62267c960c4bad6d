"""Killing a run means killing all that descends from it, and nothing else."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.execution import processes

PYTHONPATH = str(Path(processes.__file__).parent.parent.parent)
# A root that adopts, with a child in a session of its own and a daemon that forked twice.
TREE = """
import os, subprocess, sys, time
from runner.execution import processes
processes.become_subreaper()
subprocess.Popen(["sleep", "300"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "301"])
    os._exit(0)
os.wait()
print("ready", flush=True)
time.sleep(300)
"""


def start(script: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def finish(process: subprocess.Popen[bytes]) -> None:
    processes.kill_tree(process.pid)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_process_knows_itself() -> None:
    own = processes.identify(os.getpid())
    assert own is not None
    assert (own.pid, own.parent, own.session, own.zombie) == (os.getpid(), os.getppid(), os.getsid(0), False)
    assert processes.identify(2**22 + 1) is None


def test_descendants_are_found_across_sessions_and_parentage() -> None:
    process = start(TREE)
    found = processes.descendants(process.pid)
    assert len(found) == 2
    assert all(child.session != process.pid for child in found)
    finish(process)


def test_the_whole_tree_dies_at_once() -> None:
    process = start(TREE)
    pids = [child.pid for child in processes.descendants(process.pid)]
    began = time.monotonic()
    assert processes.kill_tree(process.pid) == 3
    assert process.wait() == -signal.SIGKILL
    assert time.monotonic() - began < 1
    left = [found for pid in pids if (found := processes.identify(pid)) is not None and not found.zombie]
    assert left == []
    finish(process)


def test_a_child_whose_first_thread_has_ended_is_killed_all_the_same() -> None:
    """It shows as a zombie, and its other threads work on."""
    process = start(
        "import ctypes, os, threading, time\n"
        "from pathlib import Path\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    threading.Thread(target=time.sleep, args=(300,)).start()\n"
        "    ctypes.CDLL(None).pthread_exit(None)\n"
        "while ') Z ' not in Path(f'/proc/{child}/stat').read_text():\n"
        "    os.sched_yield()\n"
        "print('ready', flush=True)\n"
        "os.waitpid(child, 0)\n"
        "time.sleep(300)\n"
    )
    assert processes.kill_tree(process.pid, root=False) == 1
    finish(process)


def test_the_root_is_spared_when_asked() -> None:
    process = start(TREE)
    assert processes.kill_tree(process.pid, root=False) == 2
    assert process.poll() is None
    finish(process)


def test_a_pid_that_came_back_is_not_killed() -> None:
    process = start(TREE)
    identity = processes.identify(process.pid)
    assert identity is not None
    assert processes.kill_tree(process.pid, started=identity.started + 1) == 0
    assert process.poll() is None
    finish(process)


def test_strays_are_children_from_other_sessions_only() -> None:
    helper = subprocess.Popen(["sleep", "300"])
    stranger = subprocess.Popen(["sleep", "300"], start_new_session=True)
    identity = processes.identify(stranger.pid)
    assert identity is not None
    try:
        found = [stray.pid for stray in processes.strays(spare=(), since=identity.started)]
        assert found == [stranger.pid]
        assert processes.strays(spare=[stranger.pid], since=identity.started) == []
        assert processes.strays(spare=(), since=identity.started + 1) == []
    finally:
        for process in (helper, stranger):
            process.kill()
            process.wait()


def test_death_of_the_parent_is_noticed_even_if_it_came_first() -> None:
    script = (
        "from runner.execution import processes; import os; "
        "print(processes.die_with_parent(os.getppid()), processes.die_with_parent(1 << 22))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": PYTHONPATH}, capture_output=True, check=True, text=True
    )
    assert result.stdout == "True False\n"


def test_those_with_nothing_to_clean_up_are_killed_with_their_parent() -> None:
    """A play gets no time to go on beside the supervisor that cleans up after it."""
    script = """if True:
        import os, signal, time
        from runner.execution import processes
        processes.become_subreaper()
        ready, tell = os.pipe()
        if os.fork() == 0:
            parent = os.getpid()
            if os.fork() == 0:
                processes.die_with_parent(parent, signal.SIGKILL)
                os.write(tell, b"1")
                time.sleep(20)
                os._exit(1)
            os.read(ready, 1)
            os._exit(0)
        print(sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2)))
    """
    result = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": PYTHONPATH}, capture_output=True, check=True, text=True
    )
    assert result.stdout == "[-9, 0]\n"


@pytest.mark.parametrize("name", ["a b) c", "(("])
def test_a_process_name_cannot_forge_its_line(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([program, "300"], executable=str(program))
    try:
        found = processes.identify(process.pid)
        assert found is not None
        assert found.parent == os.getpid()
    finally:
        process.kill()
        process.wait()
