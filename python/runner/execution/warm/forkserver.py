"""The warm parent: `python -m runner.execution.warm.forkserver <control> <parent pid>`.

Loads Ansible once, then forks a supervisor for each run that the operator asks for. Knows nothing of runs: a request is
a descriptor, the rest is between operator and supervisor. Has one thread and waits for three things: requests, the ends
of its forks, the end of the operator. When the operator dies it dies, and its forks with it.
"""

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from runner.execution import processes
from runner.execution.job import Job
from runner.execution.warm import lessons, preload, rehearsal, supervisor, templates, texts
from runner.execution.warm.versions import CannotPreload

__all__ = ["ForkServer", "main"]

_RECORD = 64 * 1024
_REASON = 2000


class ForkServer:
    """Answers requests on a socket that keeps records apart."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._forks: dict[int, int] = {}
        """By descriptor that tells of its end, the pid of a supervisor."""
        self._poller = select.poll()
        self._poller.register(control, select.POLLIN)
        self._lessons = lessons.Lessons({templates.SUBJECT: templates.learn, texts.SUBJECT: texts.learn})
        self._poller.register(self._lessons, select.POLLIN)
        self._accepting = True

    def serve(self) -> None:
        """Fork on request until the operator wants no more and the last fork has ended."""
        while self._accepting or self._forks:
            for descriptor, _ in self._poller.poll():
                if descriptor == self._control.fileno():
                    self._answer()
                elif descriptor == self._lessons.fileno():
                    self._lessons.take()
                else:
                    self._bury(descriptor)

    def say(self, record: Mapping[str, Any]) -> None:
        self._control.sendall(json.dumps(record).encode())

    def _answer(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._control, _RECORD, 1)
        if not data:
            self._accepting = False
            self._poller.unregister(self._control)
            return
        request = json.loads(data)
        if request["kind"] == "ping":
            self.say({"kind": "pong", "number": request["number"], "learned": self._lessons.learned})
        elif request["kind"] == "run":
            self._fork(request["number"], descriptors[0])

    def _fork(self, number: int, channel: int) -> None:
        own = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(channel)
            self.say({"kind": "failed", "number": number, "error": str(error)})
            return
        if pid == 0:
            self._control.close()
            self._lessons.close()
            for descriptor in self._forks:
                os.close(descriptor)
            supervisor.main(channel, own)
        os.close(channel)
        identity = processes.identify(pid)
        ended = os.pidfd_open(pid)
        self._forks[ended] = pid
        self._poller.register(ended, select.POLLIN)
        started = identity.started if identity is not None else 0
        self.say({"kind": "started", "number": number, "pid": pid, "started": started})

    def _bury(self, ended: int) -> None:
        """Reap a supervisor, and kill what it left if it was killed itself: that has become our child."""
        pid = self._forks.pop(ended)
        self._poller.unregister(ended)
        os.close(ended)
        _, status = os.waitpid(pid, 0)
        if status:
            self._kill_orphans()
        self.say({"kind": "ended", "pid": pid, "code": os.waitstatus_to_exitcode(status)})

    def _kill_orphans(self) -> None:
        supervisors = set(self._forks.values())
        while True:
            table = processes.table()
            orphans = [
                process
                for process in table.values()
                if process.parent == os.getpid() and process.pid not in supervisors
            ]
            if not orphans:
                return
            for orphan in orphans:
                if not orphan.zombie:
                    processes.kill_tree(orphan.pid, started=orphan.started)
                processes.reap(orphan.pid)


def main(arguments: list[str]) -> NoReturn:
    """Load, report, serve. Ends with `os._exit`."""
    number, parent = (int(argument) for argument in arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not processes.die_with_parent(parent):
        os._exit(1)
    processes.become_subreaper()
    control = socket.socket(fileno=number)
    control.set_inheritable(False)
    server = ForkServer(control)
    job = Job.decode(sys.stdin.buffer.readline())
    try:
        loaded = _load(job)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the top of this program: whatever it was, runs go plain
        reason = str(error) if isinstance(error, CannotPreload) else f"{type(error).__name__}: {error}"
        server.say({"kind": "refused", "reason": reason[:_REASON]})
        os._exit(0)
    server.say({"kind": "ready", "files": loaded.files, "skipped": dict(loaded.skipped)})
    server.serve()
    os._exit(0)


def _load(job: Job) -> preload.Preloaded:
    """Load what runs like that job need, and play a play of no consequence in its directory."""
    play = rehearsal.Rehearsal(job)
    try:
        play.prepare()
        return preload.load(play.environment, rehearse=play.run)
    finally:
        play.remove()
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main(sys.argv[1:])
