"""The operator's end of one supervisor: start it, read what it says, end it so that nothing stays behind.

Promises: when `end` has returned or raised, no process of the run lives or is left a zombie, and its directory is gone,
even if the supervisor itself was killed with SIGKILL. `kill` may be called from any thread.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any, Self

import runner
from runner.execution import events, processes
from runner.execution.directory import remove_tree
from runner.execution.job import Job

__all__ = ["Supervised"]

_TERMINATE_S = 1.0
"""Seconds that a supervisor has to clean up after SIGTERM."""
_FAREWELL_S = 5.0
"""Seconds that it may live on after its last word."""
_BURY_S = 1.0
_PASSED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")


class Supervised:
    """One run's supervisor, as its parent sees it."""

    def __init__(
        self,
        job: Job,
        process: asyncio.subprocess.Process,
        channel: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._job = job
        self._process = process
        self._reader, self._writer = channel
        identity = processes.identify(process.pid)
        self._started = identity.started if identity is not None else 0
        self.pid = process.pid
        self.killed = False
        """Whether `kill` was called."""
        self.last_word: Mapping[str, Any] | None = None
        """The final record; `None` if the supervisor did not live to write it."""

    @classmethod
    async def start(cls, job: Job, *, lock_fd: int) -> Self:
        """Start a supervisor from the main thread, to whose life the kernel then ties it.

        Raises:
            OSError: no process, memory or descriptor to be had.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a run dies with the thread that starts it: start runs from the main thread")
        processes.become_subreaper()
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "runner.execution.supervisor"),
                *(str(theirs.fileno()), str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(), lock_fd),
                start_new_session=True,
                cwd="/",
                env=_own_environment(),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        # A socket that is connected already: this does not wait, so nothing can come between.
        return cls(job, process, await asyncio.open_connection(sock=ours, limit=events.MAX_LINE))

    async def follow(self) -> AsyncIterator[Mapping[str, Any]]:
        """Hand over the job, then yield events until the last word or the supervisor's end."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(self._job.encode())
            await self._writer.drain()
        while line := await self._read_line():
            record = events.decode(line)
            if record is not None and record["kind"] == "end":
                self.last_word = record
                return
            if record is not None:
                yield record

    async def _read_line(self) -> bytes:
        try:
            return await self._reader.readline()
        except ConnectionError:
            return b""

    def kill(self) -> None:
        """SIGKILL the whole tree now. For any thread; whoever follows the run sees it end."""
        self.killed = True
        processes.kill_tree(self.pid, started=self._started)

    async def end(self, *, spare: Collection[int]) -> int:
        """See the run off: let it leave if it has had its last word, else kill it.

        Args:
            spare: process ids of supervisors whose runs go on; our own may be among them.

        Returns:
            The supervisor's exit code, negative for a signal.
        """
        process = self._process
        try:
            if self.last_word is None:
                _terminate(process)
            await _wait(process, _TERMINATE_S if self.last_word is None else _FAREWELL_S)
        finally:
            # Also when cancelled a second time while waiting: from here to the kill nothing waits.
            if process.returncode is None:
                processes.kill_tree(self.pid, started=self._started)
            self._writer.close()
            if process.returncode != 0:
                await self._bury(spare)
        return process.returncode if process.returncode is not None else -signal.SIGKILL

    async def _bury(self, spare: Collection[int]) -> None:
        """Do what the supervisor would have done: kill and reap what it left, remove its directory."""
        await _wait(self._process, _BURY_S)
        end = asyncio.get_running_loop().time() + _BURY_S
        others = set(spare) - {self.pid}
        while left := processes.strays(spare=others, since=self._started):
            for process in left:
                if not process.zombie:
                    processes.kill_tree(process.pid, started=process.started)
                processes.reap(process.pid)
            if asyncio.get_running_loop().time() > end:
                break
            await asyncio.sleep(0.005)
        await asyncio.to_thread(remove_tree, Path(self._job.directory))

    async def complaint(self) -> str:
        """Why it could not even start, for one that ended without a last word: what it wrote to its standard error.

        Empty where a signal ended it: that says nothing of the run.
        """
        if (self._process.returncode or 0) <= 0:
            return ""
        stream = self._process.stderr
        assert stream is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TERMINATE_S):
                return (await stream.read(16 * 1024)).decode(errors="replace").strip()
        return ""


def _own_environment() -> dict[str, str]:
    """What the supervisor's own Python needs. The play's environment comes with the job."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed_on, "PYTHONPATH": str(Path(runner.__file__).parent.parent)}


def _terminate(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()


async def _wait(process: asyncio.subprocess.Process, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await process.wait()
