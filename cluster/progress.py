"""Tells a person what a long step is doing: one updating line on a terminal, plain lines elsewhere.

Elsewhere each step gets a line at its start and one at its end, and at least one every `heartbeat_s` between.
Writes to standard error, so that standard output stays for results.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


def seconds(duration_s: float) -> str:
    """`0.4 s`, `12 s`, `3 min 12 s`: as exact as a reader can use."""
    if duration_s < 10:
        return f"{duration_s:.1f} s"
    if duration_s < 60:
        return f"{duration_s:.0f} s"
    minutes, rest = divmod(round(duration_s), 60)
    return f"{minutes} min {rest} s"


@dataclass(slots=True)
class Progress:
    """Where progress goes."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    heartbeat_s: float = 30.0
    """Seconds between two signs of life where the stream is no terminal."""
    quiet: bool = False
    """Say nothing but `warn` lines; for callers that print their own."""

    def say(self, line: str) -> None:
        if not self.quiet:
            print(line, file=self.stream, flush=True)

    def warn(self, line: str) -> None:
        print(line, file=self.stream, flush=True)

    @contextmanager
    def step(self, text: str, *, announce: bool = True) -> Iterator[None]:
        """Show `text` with its elapsed time while the body runs, then one line that says how it ended.

        Args:
            text: What is being done, without a full stop.
            announce: Off for steps of a second or two: off a terminal, only their end is shown.
        """
        if self.quiet:
            yield
            return
        ended = threading.Event()
        started = time.monotonic()
        terminal = self.stream.isatty()
        if not terminal and announce:
            self.say(f"  {text} ...")
        ticker = threading.Thread(
            target=self._tick, args=(text, started, ended, terminal), name="progress", daemon=True
        )
        ticker.start()
        outcome = "interrupted or failed after"
        try:
            yield
            outcome = "done in"
        finally:
            ended.set()
            ticker.join()
            clear = "\r\x1b[K" if terminal else ""
            self.say(f"{clear}  {text}: {outcome} {seconds(time.monotonic() - started)}")

    def _tick(self, text: str, started: float, ended: threading.Event, terminal: bool) -> None:  # noqa: FBT001 - thread target
        while not ended.wait(1.0 if terminal else self.heartbeat_s):
            elapsed = seconds(time.monotonic() - started)
            if terminal:
                self.stream.write(f"\r\x1b[K  {text} ... {elapsed}")
                self.stream.flush()
            else:
                self.say(f"  {text}: still at it after {elapsed}")
