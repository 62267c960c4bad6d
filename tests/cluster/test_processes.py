"""Starting and ending processes: real ones, small."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster import processes
from cluster.processes import ProcessId

ROOT = Path(processes.__file__).resolve().parent.parent
STUBBORN = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(60)"]


@pytest.fixture
def spawned(tmp_path: Path) -> Iterator["Spawner"]:
    spawner = Spawner(tmp_path)
    yield spawner
    for process in spawner.all:
        process.signal(signal.SIGKILL)
        process.wait_gone(5)


class Spawner:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "log"
        self.all: list[ProcessId] = []

    def __call__(self, *arguments: str) -> ProcessId:
        process = processes.spawn(
            list(arguments or ("sleep", "60")),
            log=self.log,
            env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", processes.MARKER: str(self.directory)},
            cwd=self.directory,
        )
        self.all.append(process)
        return process


def test_spawned_process_runs_in_a_session_of_its_own(spawned: Spawner) -> None:
    """So the terminal's Ctrl-C reaches us alone, and we stop it in order."""
    process = spawned()
    assert process.alive()
    assert os.getsid(process.pid) == process.pid


def test_a_reused_pid_is_never_signalled(spawned: Spawner) -> None:
    process = spawned()
    impostor = ProcessId(process.pid, process.start - 1)
    assert not impostor.alive()
    impostor.signal(signal.SIGKILL)
    processes.stop([impostor], timeout_s=0.1)
    assert not process.wait_gone(0.3)


def test_stop_kills_what_does_not_listen(spawned: Spawner) -> None:
    process = spawned(*STUBBORN)
    assert processes.wait_until(lambda: "up" in spawned.log.read_text(), 5)
    processes.stop([process], timeout_s=0.3)
    assert not process.alive()


def test_stop_ends_a_paused_process_by_its_own_means(spawned: Spawner) -> None:
    """A stopped process takes no SIGTERM; without SIGCONT every stop would wait for the bound."""
    process = spawned()
    process.signal(signal.SIGSTOP)
    assert processes.wait_until(process.paused, 5)
    processes.stop([process], timeout_s=30)
    assert not process.alive()


def test_a_process_lives_until_the_last_of_its_threads_has_gone(spawned: Spawner) -> None:
    """Its first thread shows as a zombie while the others still hold its ports: a restart has to wait for those."""
    process = spawned(
        sys.executable,
        "-c",
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)",
    )
    stat = Path(f"/proc/{process.pid}/stat")
    assert processes.wait_until(lambda: ") Z " in stat.read_text(), 10)
    assert process.alive()
    process.signal(signal.SIGKILL)
    assert process.wait_gone(5)


def test_an_ended_child_does_not_count_as_alive(spawned: Spawner) -> None:
    process = spawned("true")
    assert process.wait_gone(5)


def test_spawn_reports_a_program_that_is_not_there(spawned: Spawner) -> None:
    with pytest.raises(FileNotFoundError):
        spawned("/nonexistent/program")


def test_marked_finds_processes_nobody_recorded(spawned: Spawner, tmp_path: Path) -> None:
    process = spawned()
    assert processes.wait_until(lambda: process in processes.marked(tmp_path), 5)
    assert processes.marked(tmp_path / "other") == []


def test_descendants_are_found_over_generations(spawned: Spawner) -> None:
    process = spawned("sh", "-c", "sh -c 'sleep 60 & wait' & wait")
    assert processes.wait_until(lambda: len(processes.descendants([process.pid])) == 2, 5)
    for child in processes.descendants([process.pid]):
        child.signal(signal.SIGKILL)


def test_tied_process_dies_with_its_caller_though_a_short_thread_started_it(tmp_path: Path) -> None:
    """The kernel's death signal follows the forking thread; a worker thread that ends must not take it along."""
    caller = tmp_path / "caller.py"
    caller.write_text(
        textwrap.dedent(
            f"""
            import sys, threading, time
            sys.path.insert(0, {str(ROOT)!r})
            from pathlib import Path
            from cluster import processes
            born = []
            def work():
                born.append(processes.spawn(["sleep", "60"], log=Path("log"), env={{"PATH": "/usr/bin:/bin"}},
                                            cwd=Path("."), tied=True))
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            time.sleep(0.5)
            print(born[0].pid, born[0].start, born[0].alive(), flush=True)
            time.sleep(60)
            """
        )
    )
    with subprocess.Popen([sys.executable, caller], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, start, alive = parent.stdout.readline().split()
        assert alive == "True"
        parent.kill()
    assert ProcessId(int(pid), int(start)).wait_gone(5)


def test_tail_keeps_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(100)) + b"\xff\n")
    assert processes.tail(log, lines=2) == "line 99\n\ufffd"
    assert processes.tail(tmp_path / "none") == ""


def test_run_to_end_returns_status_and_output(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    assert processes.run_to_end(command, cwd=tmp_path, env=os.environ) == (3, "out\nerr\n")


def test_an_interrupted_run_takes_its_children_along(tmp_path: Path) -> None:
    """Go starts compilers; Ctrl-C has to end those too."""
    caller = tmp_path / "caller.py"
    caller.write_text(
        textwrap.dedent(
            f"""
            import os, sys
            sys.path.insert(0, {str(ROOT)!r})
            from pathlib import Path
            from cluster import processes
            processes.run_to_end(["sh", "-c", "echo $$ > pid; sleep 60 & wait"], cwd=Path("."), env=os.environ)
            """
        )
    )
    with subprocess.Popen([sys.executable, caller], cwd=tmp_path, stderr=subprocess.DEVNULL) as parent:
        pid = tmp_path / "pid"
        assert processes.wait_until(lambda: pid.exists() and bool(pid.read_text().strip()), 10)
        shell = processes.identify(int(pid.read_text()))
        assert shell is not None
        assert processes.wait_until(lambda: len(processes.descendants([shell.pid])) == 1, 5)
        (sleeper,) = processes.descendants([shell.pid])
        parent.send_signal(signal.SIGINT)
        parent.wait(20)
    assert shell.wait_gone(5)
    assert sleeper.wait_gone(5)


def test_an_interrupt_while_the_program_starts_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program runs, and whoever started it has no word of it yet."""
    started: list[int] = []

    class Interrupted(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self.pid)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        processes.run_to_end(["sleep", "60"], cwd=tmp_path, env=os.environ)
    (pid,) = started
    assert processes.identify(pid) is None


def test_children_are_collected(spawned: Spawner) -> None:
    """No zombie stays while the caller lives."""
    process = spawned("true")
    assert processes.wait_until(lambda: processes.identify(process.pid) != process, 5)
    # The thread that waited for it ends a moment later.
    assert processes.wait_until(lambda: all(thread.name != "child true" for thread in threading.enumerate()), 5)
