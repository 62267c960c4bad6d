"""How forks spare each other work: what one had to work out, the warm parent works out for those to come.

A fork tells what it worked out from (the text of a template, of a file), never the result: so no run can slip
anything into another. The parent learns only what it is told by two runs, so that what is peculiar to one resource
stays out of its memory. Telling never waits and never fails a task; a lesson that is lost is told by the next run.
"""

import contextlib
import hashlib
import json
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Learn", "Lessons", "begin", "tell"]

Learn = Callable[..., None]
"""Works out what a fork had to; given the values of `tell`. What it raises means that there is nothing to learn."""

_LONGEST = 32 * 1024
_MOST = 4000
_MOST_BYTES = 4 << 20
_MOST_HEARD = 20_000
_RUN = struct.Struct("!Q")
_channel: socket.socket | None = None
_run = 0


def begin(run: int) -> None:
    """In a fork: speak for that run from now on, a number of its own."""
    global _run  # noqa: PLW0603 - one a process, and its forks are part of the run
    _run = run


def tell(subject: str, *values: Any) -> None:
    """In a fork: say what had to be worked out, JSON-ready."""
    if _channel is None or not _run:
        return
    data = json.dumps([subject, *values]).encode()
    if len(data) <= _LONGEST:
        with contextlib.suppress(OSError):
            _channel.send(_RUN.pack(_run) + data)


class Lessons:
    """The parent's end. Forks that are made after this one inherit the other."""

    def __init__(self, subjects: Mapping[str, Learn]) -> None:
        global _channel
        self._receiving, _channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._receiving.setblocking(False)
        _channel.setblocking(False)
        self._subjects = subjects
        self._heard: dict[bytes, int] = {}
        """Digests of what one run has told, oldest first, and which run that was."""
        self._done: set[bytes] = set()
        """Digests of what was learned, or turned out to be nothing to learn."""
        self._bytes = 0
        self.learned = 0
        """How many lessons runs need not work out any more."""

    def fileno(self) -> int:
        return self._receiving.fileno()

    def close(self) -> None:
        """In a fork: hear nothing."""
        self._receiving.close()

    def take(self) -> None:
        """Hear one lesson, and learn it if another run has told it."""
        try:
            record = self._receiving.recv(_RUN.size + _LONGEST)
        except BlockingIOError:
            return
        (run,), data = _RUN.unpack_from(record), record[_RUN.size :]
        digest = hashlib.blake2b(data, digest_size=16).digest()
        if digest in self._done or len(self._done) >= _MOST or self._bytes + len(data) > _MOST_BYTES:
            return
        if self._heard.setdefault(digest, run) == run:
            if len(self._heard) > _MOST_HEARD:
                del self._heard[next(iter(self._heard))]
            return
        del self._heard[digest]
        self._done.add(digest)
        self._bytes += len(data)
        with contextlib.suppress(Exception):
            subject, *values = json.loads(data)
            self._subjects[subject](*values)
            self.learned += 1
