"""How a command line ends when it is told to: a start unwinds and leaves nothing, a stop is finished all the same."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupted", "end_cleanly", "finish_in_spite", "held"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked us to end; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def finish_in_spite() -> None:
    """Have no signal cut a stop short: it takes seconds, and half of one helps nobody."""

    def note(_number: int, _frame: FrameType | None) -> None:
        print("stopping takes a few seconds; finishing it", file=sys.stderr, flush=True)

    for each in _SIGNALS:
        signal.signal(each, note)


def end_cleanly() -> None:
    """Have the first signal unwind the program as `Interrupted`, and later ones not disturb that."""

    def first(number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        print("\nstopping what was started ...", file=sys.stderr, flush=True)
        raise Interrupted(number)

    for each in _SIGNALS:
        signal.signal(each, first)


@contextmanager
def held() -> Iterator[None]:
    """Have signals wait until the body is through, for what takes a moment and must not be half done.

    Python handles signals in the main thread; others are never disturbed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if came:
            signal.raise_signal(came[0])
