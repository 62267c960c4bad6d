"""The process of one play: a fork of the warm parent's fork that is `ansible-playbook` for a while.

Ends by `os._exit` with Ansible's return code, because a normal end of the interpreter would take longer than many a
play. What the run itself registered for its end is done before.
"""

import atexit
import contextlib
import gc
import json
import os
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from runner.execution import processes
from runner.execution.warm import callback, interpreter, lessons, report, singletons

__all__ = ["Wires", "main", "play"]

_GC = (50_000, 20, 100)
HEADER = struct.Struct("!I")
"""In front of each event: how many bytes follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """What the play writes to."""

    output: int
    """Everything that Ansible displays."""
    events: int
    """Each event of ansible-runner's callback, with a header, before its marker appears in the output."""
    reports: socket.socket


def main(
    command: Sequence[str], *, environment: Mapping[str, str], directory: str, wires: Wires, parent: int
) -> NoReturn:
    """Run `ansible-playbook` to its end. In a fresh fork; never returns, whatever happens."""
    code = 255
    try:
        if not processes.die_with_parent(parent, signal.SIGKILL):
            os._exit(1)
        _take_over(wires)
        singletons.become_run(environment, arguments=command, directory=directory)
        _send_events(wires.events)
        report.open_at(wires.reports)
        lessons.begin(os.getpid())
        code = play(command)
        _end()
    except BaseException:  # noqa: BLE001 - beyond this there is the supervisor's code, which is not ours to run
        _complain()
    finally:
        _flush()
        os._exit(code)


def play(command: Sequence[str]) -> int:
    """What the program `ansible-playbook` does, up to its exit code."""
    from ansible.cli.playbook import PlaybookCLI

    try:
        PlaybookCLI.cli_executor(list(command))
    except SystemExit as end:
        return interpreter.exit_code(end.code)
    return 0


def _take_over(wires: Wires) -> None:
    """Standard streams and signals as a program finds them that ansible-runner starts."""
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(wires.output, 1)
    os.dup2(wires.output, 2)
    atexit._clear()
    # What was made before the fork stays; what a play makes is soon gone. A long play still gets collected.
    gc.freeze()
    gc.set_threshold(*_GC)
    gc.enable()


def _send_events(descriptor: int) -> None:
    """Have ansible-runner's callback hand each event to the supervisor instead of writing it to a file."""
    loaded = callback.module()

    class Sender:
        private_data_dir = ""

        @staticmethod
        def set(_key: str, value: Any) -> None:
            data = json.dumps(value, cls=loaded.AnsibleJSONEncoderLocal).encode()
            _write(descriptor, HEADER.pack(len(data)) + data)

    loaded.event_context.cache = Sender()


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _end() -> None:
    """What the interpreter would do for the run at its end."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


def _complain() -> None:
    with contextlib.suppress(Exception):  # the streams may be what is broken
        traceback.print_exc()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # as above
            stream.flush()
