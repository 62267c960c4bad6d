"""The operator's end of one warm parent: start it, have it fork, hear from it, end it.

Promises: a warm parent ends with the operator's main thread; `kill` works from any thread and takes its forks along;
whoever waits for a fork or an answer is told when the parent is lost. Does not decide when to start another (`keeper`).
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import runner
from runner.execution import processes
from runner.execution.directory import remove_tree
from runner.execution.job import Job
from runner.execution.warm import settings

__all__ = ["Fork", "ParentLost", "Refused", "WarmParent"]

_RECORD = 256 * 1024
_REAP_S = 1.0
_PAUSE_S = 0.002


class ParentLost(Exception):  # noqa: N818 - what it names is the error
    """The warm parent ended, or does not answer."""


class Refused(Exception):  # noqa: N818 - as above
    """The warm parent says that this project is nothing for it; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a warm parent said when it was ready."""

    files: tuple[str, ...]
    skipped: Mapping[str, str]


class Fork:
    """One supervisor below a warm parent; has what `Supervised` uses of an `asyncio.subprocess.Process`."""

    stderr = None

    def __init__(self, pid: int, ended: "asyncio.Future[int | None]") -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    async def wait(self) -> int:
        """The exit code. Where the warm parent cannot tell it any more, -SIGKILL once the process is gone."""
        if self.returncode is None:
            code = await asyncio.shield(self._ended)
            if code is None:
                # Its parent is lost, so it is our child by now, and on its way out.
                code = await self._reap()
            self.returncode = code
        return self.returncode

    async def _reap(self) -> int:
        while True:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 - does not wait
            except ChildProcessError:
                if processes.identify(self.pid) is None:
                    return -signal.SIGKILL
            else:
                if pid:
                    return os.waitstatus_to_exitcode(status) or -signal.SIGKILL
            await asyncio.sleep(_PAUSE_S)

    def terminate(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGTERM)


class WarmParent:
    """One fork server, as the operator sees it."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket, job: Job) -> None:
        self._process = process
        self._place = Path(job.directory)
        self._control = control
        self._numbers = 0
        self._answers: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._ended: dict[int, asyncio.Future[int | None]] = {}
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[Mapping[str, Any]] = loop.create_future()
        self.settings = settings.settings_of(job.environment)
        self.lost = asyncio.Event()
        """Set once nothing more is to be expected."""
        self.pid = process.pid
        self.runs = 0
        """How many runs it has forked."""
        identity = processes.identify(process.pid)
        self._started = identity.started if identity is not None else 0
        loop.add_reader(control, self._hear)

    @classmethod
    async def start(cls, job: Job, *, lock_fd: int) -> Self:
        """Start one, from the main thread, to whose life the kernel then ties it. It is not ready yet.

        Args:
            job: like those it will run; its directory is used once, and removed.
            lock_fd: held by its forks as by any supervisor.

        Raises:
            OSError: no process, memory or descriptor to be had.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the warm parent dies with the thread that starts it: start it from the main thread")
        processes.become_subreaper()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        package = str(Path(runner.__file__).parent.parent)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "runner.execution.warm.forkserver"),
                *(str(theirs.fileno()), str(os.getpid())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), lock_fd),
                # In our session, so that no run that cleans up takes it for a leftover; out of a terminal's reach.
                process_group=0,
                cwd="/",
                env=settings.startup_environment(job.environment, package=package),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        parent = cls(process, ours, job)
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(job.encode())
            await process.stdin.drain()
        process.stdin.close()
        return parent

    async def ready(self, within_s: float) -> Loaded:
        """Wait until it can fork.

        Raises:
            Refused: it will not.
            ParentLost: it ended, or took too long.
        """
        record = await self._within(self._ready, within_s)
        if record["kind"] == "refused":
            raise Refused(str(record["reason"]))
        return Loaded(files=tuple(record["files"]), skipped=record["skipped"])

    async def fork(self, channel: socket.socket, *, within_s: float) -> Fork:
        """Have it fork a supervisor that talks over `channel`, which stays the caller's to close.

        Raises:
            ParentLost: there is no fork, and none will come of this.
        """
        self.runs += 1
        record = await self._ask({"kind": "run"}, within_s, channel)
        if record["kind"] == "failed":
            raise ParentLost(f"the warm parent cannot fork: {record['error']}")
        return Fork(int(record["pid"]), record["end"])

    async def ping(self, within_s: float) -> int:
        """Ask whether it is well.

        Returns:
            How much it has learned from runs (`lessons`).

        Raises:
            ParentLost: it does not answer.
        """
        answer = await self._ask({"kind": "ping"}, within_s)
        return int(answer["learned"])

    def retire(self) -> None:
        """Ask for no more runs: it ends by itself once its last fork has."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        """SIGKILL it and everything below it. For any thread."""
        processes.kill_tree(self.pid, started=self._started)

    async def close(self) -> None:
        """Kill it, and see that neither it nor a fork is left a zombie, nor what it loaded from on disk."""
        self.kill()
        await self._process.wait()
        self._lose()
        await asyncio.to_thread(remove_tree, self._place)
        end = asyncio.get_running_loop().time() + _REAP_S
        while asyncio.get_running_loop().time() < end:
            for pid in list(self._ended):
                processes.reap(pid)
            if not any(processes.identify(pid) for pid in self._ended):
                return
            await asyncio.sleep(_PAUSE_S)

    def resident_bytes(self) -> int:
        """Its memory; 0 if it is gone."""
        try:
            text = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii")
        except OSError:
            return 0
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async def _ask(
        self, question: dict[str, Any], within_s: float, channel: socket.socket | None = None
    ) -> Mapping[str, Any]:
        if self.lost.is_set():
            raise ParentLost("the warm parent has ended")
        self._numbers += 1
        number = self._numbers
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        data = json.dumps({**question, "number": number}).encode()
        try:
            socket.send_fds(self._control, [data], [channel.fileno()] if channel is not None else [])
        except OSError as error:
            del self._answers[number]
            raise ParentLost(f"the warm parent does not listen: {error}") from error
        try:
            return await self._within(answer, within_s)
        finally:
            self._answers.pop(number, None)

    async def _within(self, answer: "asyncio.Future[Mapping[str, Any]]", within_s: float) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(answer)
        except TimeoutError:
            raise ParentLost(f"the warm parent did not answer within {within_s:g} s") from None

    def _end_of(self, pid: int) -> "asyncio.Future[int | None]":
        return self._ended.setdefault(pid, asyncio.get_running_loop().create_future())

    def _hear(self) -> None:
        while True:
            try:
                data = self._control.recv(_RECORD)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lose()
                return
            self._take(json.loads(data))

    def _take(self, record: Mapping[str, Any]) -> None:
        match record["kind"]:
            case "ready" | "refused":
                _resolve(self._ready, record)
            case "ended":
                _resolve(self._end_of(int(record["pid"])), int(record["code"]))
                del self._ended[int(record["pid"])]
            case "started":
                # Its end may be the next thing we hear, before whoever asked for it wakes up.
                self._answer({**record, "end": self._end_of(int(record["pid"]))})
            case _:
                self._answer(record)

    def _answer(self, record: Mapping[str, Any]) -> None:
        if (answer := self._answers.get(record["number"])) is not None:
            _resolve(answer, record)

    def _lose(self) -> None:
        """Nothing more will come: tell all who wait."""
        if self.lost.is_set():
            return
        self.lost.set()
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        failure = ParentLost("the warm parent ended")
        for future in (self._ready, *self._answers.values()):
            if not future.done():
                future.set_exception(failure)
                future.exception()  # nobody may be waiting
        for ended in self._ended.values():
            _resolve(ended, None)


def _resolve[T](future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)
