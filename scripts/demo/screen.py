"""How a demo looks on a terminal; plain text everywhere else."""

import sys
import time
from collections.abc import Callable

from scripts.demo.errors import DemoError

__all__ = ["dimmed", "highlighted", "say", "wait"]

_TTY = sys.stdout.isatty()
_BOLD, _DIM, _GREEN, _OFF = ("\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[0m") if _TTY else ("",) * 4


def say(title: str) -> None:
    """Begin a part of the story."""
    print(f"\n{_BOLD}==> {title}{_OFF}", flush=True)


def highlighted(text: str) -> None:
    """Print what the whole thing is about."""
    print(f"{_GREEN}{text}{_OFF}", end="" if text.endswith("\n") else "\n", flush=True)


def dimmed(text: str) -> None:
    """Print what need not be read."""
    print(f"{_DIM}{text}{_OFF}", flush=True)


def wait(what: str, check: Callable[[], bool], excuse: Callable[[], str], *, within_s: float = 120.0) -> None:
    """Wait for something, with progress on a terminal.

    Args:
        what: Names it: "the Pod".
        check: Whether it is there.
        excuse: What the error says in the end, besides that it did not come.
        within_s: Seconds.

    Raises:
        DemoError: it did not come.
    """
    started = time.monotonic()
    while not check():
        waited = time.monotonic() - started
        if waited > within_s:
            raise DemoError(f"{what} did not come within {within_s:g} s; {excuse()}")
        if _TTY:
            print(f"\r{what} … {waited:.0f} s", end="", flush=True)
        time.sleep(0.3)
    start = "\r" if _TTY else ""
    print(f"{start}{what}: after {time.monotonic() - started:.1f} s", flush=True)
