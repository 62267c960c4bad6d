"""Process trees, read from /proc: who descends from whom, and killing all of them.

A play's processes leave their process group and session at will (Ansible's workers call setsid themselves), so only
parenthood finds them, and only a subreaper keeps it: what loses its parent below us becomes our child, not init's.
Linux only. Does not touch processes of another user that we may not signal; `kill_tree` gives up on those.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

__all__ = [
    "Process",
    "become_subreaper",
    "descendants",
    "die_with_parent",
    "identify",
    "kill_tree",
    "reap",
    "reap_children",
    "strays",
    "table",
]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAUSE_S = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process as /proc shows it."""

    pid: int
    parent: int
    session: int
    zombie: bool
    """Ended, and its last thread too: a zombie whose other threads work on is one only by name."""
    started: int
    """Clock ticks since boot. With the pid it names one process for ever, although pids come back."""


def identify(pid: int) -> Process | None:
    """The process of that id now, or `None`."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - a hot path, pathlib costs twice as much
            text = file.read()
    except OSError:
        return None
    # The name in parentheses may hold anything, parentheses and spaces too.
    state, parent, _group, session, *rest = text[text.rindex(b")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(parent),
        session=int(session),
        zombie=state in {b"Z", b"X"} and int(rest[13]) <= 1,
        started=int(rest[15]),
    )


def table() -> dict[int, Process]:
    """All processes that we can see."""
    found = (identify(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - as above
    return {process.pid: process for process in found if process is not None}


def descendants(pid: int, processes: Mapping[int, Process] | None = None) -> list[Process]:
    """Everything below that process, nearest first; zombies too."""
    processes = table() if processes is None else processes
    children: dict[int, list[Process]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    generation = children.get(pid, [])
    while generation:
        found += generation
        generation = [child for parent in generation for child in children.get(parent.pid, [])]
    return found


def kill_tree(pid: int, *, started: int | None = None, root: bool = True, within_s: float = 1.0) -> int:
    """SIGKILL what descends from a process until nothing does, then the process itself.

    The root goes last: as long as it lives as a subreaper, a child that forks while we look stays below it.
    Needs no event loop and no lock, so any thread may call it.

    Args:
        pid: the root.
        started: kill nothing unless the process of that pid began then.
        root: whether to kill the process itself.
        within_s: seconds after which processes that do not go (another user's, or stuck in the kernel) are left.

    Returns:
        How many processes were sent the signal.
    """
    killed: set[tuple[int, int]] = set()
    end = time.monotonic() + within_s
    while True:
        processes = table()
        if started is not None and (pid not in processes or processes[pid].started != started):
            return len(killed)
        living = [process for process in descendants(pid, processes) if not process.zombie]
        killed |= {(process.pid, process.started) for process in living if _kill(process.pid)}
        if not living or time.monotonic() > end:
            break
        time.sleep(_PAUSE_S)
    if root and _kill(pid):
        killed.add((pid, started or 0))
    return len(killed)


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:  # gone, or another user's
        return False
    return True


def strays(*, spare: Collection[int], since: int) -> list[Process]:
    """Our own children that are left over from a supervisor that was killed before it could clean up.

    They sit in sessions that are neither ours nor those of `spare` (leaders that live on), and began no earlier than
    `since`, so a helper that this program started otherwise is left alone.
    """
    own = os.getsid(0)
    return [
        process
        for process in table().values()
        if process.parent == os.getpid()
        and process.pid not in spare
        and process.session != own
        and process.session not in spare
        and process.started >= since
    ]


def reap_children(*, within_s: float = 0.5) -> None:
    """Wait for every child of a process that has no use for their exit codes, so that none is left a zombie."""
    end = time.monotonic() + within_s
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < end:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(_PAUSE_S)


def reap(pid: int) -> None:
    """Take the exit code of one child, if it has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def become_subreaper() -> None:
    """Adopt descendants whose parent dies. Holds for this process, not for its children.

    Raises:
        OSError: the kernel refused.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(expected_parent: int, number: signal.Signals = signal.SIGTERM) -> bool:
    """Ask for a signal when the parent's thread that started us ends: SIGKILL for those with nothing to clean up.

    Returns:
        Whether the parent still is the expected one; if not, it died before we could ask.

    Raises:
        OSError: the kernel refused.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    return os.getppid() == expected_parent


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
