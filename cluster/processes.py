"""Starts, watches and ends operating system processes.

Promises never to signal a process other than the one it started: a process is known by its pid together with its
start time, so a pid that the system gave to somebody else meanwhile is left alone. Linux only.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cluster import signals

MARKER = "ECHOPERATOR_CLUSTER_DIRECTORY"
"""Environment variable that every process of a cluster carries, its value the cluster's directory."""

_TIED = Path(__file__).resolve().parent / "tied.py"


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, once: `start` is its start time in clock ticks since boot."""

    pid: int
    start: int

    def alive(self) -> bool:
        """Say whether it still runs. A zombie does not, once the last of its threads has gone.

        A killed process whose first thread is through shows as a zombie at once, while the others are still
        closing its files: until then its ports are taken.
        """
        stat = _stat(self.pid)
        return stat is not None and stat.start == self.start and (stat.state not in ("Z", "X") or stat.threads > 1)

    def paused(self) -> bool:
        stat = _stat(self.pid)
        return stat is not None and stat.start == self.start and stat.state == "T"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; does nothing when the process has gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            # Only now compare: the handle stays on the process it was opened for.
            if self.alive():
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait until it has ended; `False`: it still runs after `timeout_s` seconds."""
        return wait_until(lambda: not self.alive(), timeout_s)


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    parent: int
    threads: int
    """Those the kernel still has, an ended first one among them."""
    start: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in brackets and may hold anything, so count from behind it.
    fields = text.rpartition(")")[2].split()
    return _Stat(state=fields[0], parent=int(fields[1]), threads=int(fields[17]), start=int(fields[19]))


def identify(pid: int) -> ProcessId | None:
    """The process that has this pid now.

    Returns:
        `None`: there is none.
    """
    stat = _stat(pid)
    return None if stat is None else ProcessId(pid=pid, start=stat.start)


def wait_until(condition: Callable[[], bool], timeout_s: float, interval_s: float = 0.02) -> bool:
    """Poll until `condition` holds; say whether it did within `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval_s)
    return True


def spawn(arguments: list[str], *, log: Path, env: Mapping[str, str], cwd: Path, tied: bool = False) -> ProcessId:
    """Start a process in a session of its own, its output appended to `log`.

    Args:
        arguments: Program and arguments.
        log: File for standard output and error.
        env: The whole environment.
        cwd: Where it runs.
        tied: Have the kernel kill it when the calling process dies, however that dies.
    """
    if tied:
        arguments = [sys.executable, "-I", "-S", str(_TIED), str(os.getpid()), *arguments]
    born: list[ProcessId | BaseException] = []
    ready = threading.Event()

    def keep() -> None:
        # The kernel's parent death signal follows the thread that forked, not the process. So each child has a
        # thread that lives as long as the child does; it also collects the child's exit status.
        try:
            with log.open("ab") as output:
                child = subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    cwd=cwd,
                    start_new_session=True,
                )
            born.append(_identify_child(child.pid))
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread and raised there
            born.append(error)
            return
        finally:
            ready.set()
        child.wait()

    threading.Thread(target=keep, name=f"child {Path(arguments[0]).name}", daemon=True).start()
    try:
        ready.wait()
    except BaseException:
        # Interrupted: nobody would know of the child, so it must not stay.
        ready.wait()
        stop([process for process in born if isinstance(process, ProcessId)], timeout_s=5.0)
        raise
    result = born[0]
    if isinstance(result, BaseException):
        raise result
    return result


def _identify_child(pid: int) -> ProcessId:
    process = identify(pid)  # it can't have vanished: nobody has waited for it yet
    if process is None:
        raise ProcessLookupError(pid)
    return process


def stop(processes: Iterable[ProcessId], timeout_s: float) -> None:
    """End processes: terminate all, wait, kill what is left after `timeout_s` seconds, wait again."""
    running = [process for process in processes if process.alive()]
    for process in running:
        process.signal(signal.SIGTERM)
        process.signal(signal.SIGCONT)  # a paused one takes the SIGTERM only once it runs again
    deadline = time.monotonic() + timeout_s
    for process in running:
        if not process.wait_gone(max(0.0, deadline - time.monotonic())):
            process.signal(signal.SIGKILL)
            process.wait_gone(5.0)


def marked(directory: Path) -> list[ProcessId]:
    """All processes of the cluster in `directory`, recorded or not, by the mark in their environment."""
    mark = f"{MARKER}={directory}".encode()
    found = []
    for process in everyone():
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
            if mark in environment.split(b"\0"):
                found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def everyone() -> Iterator[ProcessId]:
    """Every process of the machine that this user can see."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            process = identify(int(entry.name))
            if process is not None:
                yield process


def descendants(roots: Iterable[int]) -> list[ProcessId]:
    """All processes below `roots` by parenthood, without the roots themselves."""
    children: dict[int, list[ProcessId]] = {}
    for process in everyone():
        stat = _stat(process.pid)
        if stat is not None:
            children.setdefault(stat.parent, []).append(process)
    found: list[ProcessId] = []
    waiting = list(roots)
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child.pid)
    return found


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log file; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 64 * 1024))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def answer(arguments: Sequence[str | Path], *, env: Mapping[str, str], timeout_s: float = 30.0) -> str | None:
    """What a program prints on standard output.

    Returns:
        `None`: it failed, took too long, or is not installed.
    """
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=timeout_s, env=dict(env))
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def run_to_end(arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Run a program and its children to their end; an interrupt ends all of them before it goes on.

    Returns:
        The exit status, and standard output and error together.
    """
    with _alone(arguments, subprocess.PIPE, cwd=cwd, env=env, grace_s=5.0) as child:
        said, _ = child.communicate()
    return child.returncode, said


def run_logged(
    arguments: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path | None = None, grace_s: float = 5.0
) -> int:
    """As `run_to_end`, with all that they say in a file that can be read meanwhile.

    Args:
        arguments: Program and arguments.
        log: Written anew; its directory is made.
        env: The whole environment.
        cwd: Where it runs; `None`: here.
        grace_s: How long an interrupted program may take to undo what it has half done, in seconds.

    Returns:
        The exit status.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, _alone(arguments, output, cwd=cwd, env=env, grace_s=grace_s) as child:
        return child.wait()


@contextlib.contextmanager
def _alone(
    arguments: Sequence[str], output: IO[bytes] | int, *, cwd: Path | None, env: Mapping[str, str], grace_s: float
) -> Iterator[subprocess.Popen[str]]:
    """A child in a session of its own, so that a terminal's Ctrl-C reaches it through us only."""
    with contextlib.ExitStack() as stack:
        # An interrupt within it would leave a child that nobody knows of.
        with signals.held():
            child = stack.enter_context(
                subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    text=True,
                    env=dict(env),
                    cwd=cwd,
                    start_new_session=True,
                )
            )
            stack.push(lambda failure, *_: _end_session(child, grace_s) if failure else None)
        yield child


def _end_session(child: subprocess.Popen[str], grace_s: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGINT)  # Go removes its work directory on this one
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace_s)
        os.killpg(child.pid, signal.SIGKILL)
