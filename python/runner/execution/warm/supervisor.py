"""The process above one warm run: what `execution.supervisor` is above a plain one, but for how the play starts.

A fork of the warm parent. ansible-runner prepares the run, keeps its artifacts and makes its events exactly as on the
plain path; only the command that it would start as a new program is a fork instead. Promises are those of
`execution.supervisor`, and one more: it dies with the warm parent.
"""

import json
import os
import select
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from runner.execution import events, processes, supervisor
from runner.execution.directory import RunDirectory
from runner.execution.job import Job
from runner.execution.outbox import Outbox
from runner.execution.warm import child

__all__ = ["WARM", "WarmPlay", "main"]

WARM = "warm"
"""Kind of the record that says which path a task or module took; the operator's end keeps it to itself."""
_CHUNK = 256 * 1024
_DRAIN_S = 5.0


class WarmPlay(supervisor.Play):
    """ansible-runner at work, with the play in a fork of this process."""

    def __init__(self, job: Job, directory: RunDirectory, outbox: Outbox) -> None:
        super().__init__(job, directory, outbox)
        self._partials: dict[str, dict[str, Any]] = {}

    def _execute(self) -> None:
        import ansible_runner.runner as doorway

        self._runner.runner_mode = "subprocess"
        self._runner.config.output_fd = self._runner.config.error_fd = 1
        doorway.run_subprocess = self._run_in_fork
        self._runner.run()

    def _run_in_fork(
        self, command: Sequence[str], *, cwd: str, env: Mapping[str, str], **_: Any
    ) -> subprocess.CompletedProcess[str]:
        """Stand in for `subprocess.run` where ansible-runner calls it."""
        output, events_end, reports = os.pipe(), os.pipe(), socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            wires = child.Wires(output=output[1], events=events_end[1], reports=reports[1])
            child.main(list(command)[1:], environment=env, directory=cwd, wires=wires, parent=parent)
        os.close(output[1])
        os.close(events_end[1])
        reports[1].close()
        code = self._follow(pid, _Intake(self, output[0], events_end[0], reports[0]))
        if code:
            raise subprocess.CalledProcessError(code, list(command))
        return subprocess.CompletedProcess(list(command), code)

    def _follow(self, pid: int, intake: "_Intake") -> int:
        """Take in what the play says until it has ended, and what it left behind is gone."""
        ended = os.pidfd_open(pid)
        try:
            intake.until(ended, self._outbox)
        finally:
            os.close(ended)
        _, status = os.waitpid(pid, 0)
        if processes_left():
            processes.kill_tree(os.getpid(), root=False)
            processes.reap_children()
        intake.drain(self._outbox)
        return os.waitstatus_to_exitcode(status)

    def take_output(self, data: bytes) -> None:
        self._stream.feed(data)

    def take_event(self, data: bytes) -> None:
        event = json.loads(data)
        self._partials[event["uuid"]] = event

    def take_report(self, data: bytes) -> None:
        what, action, reason = json.loads(data)
        record = {"kind": WARM, "what": what, "action": action, "reason": reason}
        self._outbox.put(events.encode(record), essential=False)

    def _known_of(self, event_id: str) -> Mapping[str, Any] | None:
        """All of it: ansible-runner finds no file, and goes on with what it was given."""
        return self._partials.pop(event_id, None)


class _Intake:
    """The three things that a play writes to, read without waiting for any one of them."""

    def __init__(self, play: WarmPlay, output: int, event_pipe: int, reports: socket.socket) -> None:
        self._play = play
        self._output = output
        self._events = event_pipe
        self._reports = reports.detach()
        self._pending = bytearray()
        self._poller = select.poll()
        self._open = {self._output, self._events, self._reports}
        for descriptor in self._open:
            self._poller.register(descriptor, select.POLLIN)

    def until(self, ended: int, outbox: Outbox) -> None:
        """Read until that descriptor says that the play has ended, and all that it wrote before."""
        self._poller.register(ended, select.POLLIN)
        while True:
            ready = self._wait(outbox)
            self._take(ready)
            if ended in ready and not ready & self._open:
                break
        self._poller.unregister(ended)

    def drain(self, outbox: Outbox) -> None:
        """Read to the end, which comes when nobody writes any more; do not wait for one who escaped us."""
        end = time.monotonic() + _DRAIN_S
        while self._open and time.monotonic() < end:
            self._take(self._wait(outbox))
        for descriptor in list(self._open):
            self._close(descriptor)

    def _wait(self, outbox: Outbox) -> set[int]:
        ready = {descriptor for descriptor, _ in self._poller.poll(100 if outbox.waiting else 1000)}
        outbox.flush()
        return ready

    def _take(self, ready: set[int]) -> None:
        # Events before output: a marker says that its event is complete.
        if self._events in ready & self._open:
            self._take_events()
        if self._reports in ready & self._open:
            self._take_report()
        if self._output in ready & self._open:
            self._take_output()

    def _take_output(self) -> None:
        data = os.read(self._output, _CHUNK)
        while self._events in self._open and select.select([self._events], [], [], 0)[0]:
            self._take_events()
        if data:
            self._play.take_output(data)
        else:
            self._close(self._output)

    def _take_report(self) -> None:
        data = os.read(self._reports, _CHUNK)
        if data:
            self._play.take_report(data)
        else:
            self._close(self._reports)

    def _take_events(self) -> None:
        data = os.read(self._events, _CHUNK)
        if not data:
            self._close(self._events)
            return
        self._pending += data
        header = child.HEADER.size
        while len(self._pending) >= header:
            (size,) = child.HEADER.unpack_from(self._pending)
            if len(self._pending) < header + size:
                return
            self._play.take_event(bytes(self._pending[header : header + size]))
            del self._pending[: header + size]

    def _close(self, descriptor: int) -> None:
        self._poller.unregister(descriptor)
        self._open.discard(descriptor)
        os.close(descriptor)


def processes_left() -> bool:
    """Whether anything descends from this process. As a subreaper it is the parent of whatever lost its own."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def main(channel: int, parent: int) -> NoReturn:
    """Be the supervisor of one run. In a fresh fork of the warm parent; never returns."""
    try:
        os.setsid()
        supervisor.supervise(channel, parent=parent, play=WarmPlay)
    finally:
        os._exit(1)
