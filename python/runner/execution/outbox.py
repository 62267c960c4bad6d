"""The supervisor's end of the channel: whole lines, in order, and never a wait without end.

A reader that stalls costs at most `stall_s` in a row; then lines that only feed logs are dropped until it reads again,
and lines that decide the verdict are held back for it. A reader that is gone costs nothing.
"""

import os
import select
import time

__all__ = ["Outbox"]

_ENOUGH = 256 * 1024
_MOST = 8 << 20


class Outbox:
    """Writes to a descriptor that it makes non-blocking. For one thread."""

    def __init__(self, descriptor: int, *, stall_s: float = 10.0) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._stall_s = stall_s
        self._pending = bytearray()
        self._stalled = False
        self._gone = False
        self.dropped = 0

    @property
    def waiting(self) -> bool:
        """Whether something is yet to be written; then call `flush` when the descriptor takes more."""
        return bool(self._pending) and not self._gone

    def put(self, line: bytes, *, essential: bool) -> None:
        self.flush()
        if len(self._pending) > _ENOUGH and not self._stalled:
            self._stalled = not self._wait(_ENOUGH)
        room = _MOST if essential else _ENOUGH
        if self._gone or len(self._pending) > room:
            self.dropped += 1
            return
        self._pending += line
        self.flush()

    def flush(self) -> None:
        """Write what fits now."""
        while self.waiting:
            try:
                written = os.write(self._descriptor, self._pending)
            except BlockingIOError:
                return
            except OSError:
                self._gone = True
                return
            self._stalled = False
            del self._pending[:written]

    def drain(self) -> bool:
        """Wait until all is written; false if the reader stopped reading."""
        return self._wait(0)

    def _wait(self, target: int) -> bool:
        poller = select.poll()
        poller.register(self._descriptor, select.POLLOUT)
        end = time.monotonic() + self._stall_s
        while self.waiting and len(self._pending) > target:
            left = end - time.monotonic()
            if left <= 0:
                return False
            before = len(self._pending)
            poller.poll(left * 1000)
            self.flush()
            if len(self._pending) < before:
                end = time.monotonic() + self._stall_s
        return not self._gone
