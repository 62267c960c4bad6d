"""Tells the run's supervisor which path each task took, from whatever process of the play.

A record each, so that the play's processes never mix their words. Never waits and never fails a task: a report that
cannot be sent is lost.
"""

import contextlib
import json
import socket

__all__ = ["module", "open_at", "task"]

_MOST = 1024
_channel: socket.socket | None = None


def open_at(channel: socket.socket) -> None:
    """Send reports there from now on."""
    global _channel  # noqa: PLW0603 - one a process, and its forks share it
    channel.setblocking(False)
    _channel = channel


def module(*, action: str, reason: str) -> None:
    """A module is about to run: in this process, or for that reason in one of its own."""
    _send("module", action, reason)


def task(*, action: str, reason: str) -> None:
    """A task is about to run: in the play's process, or for that reason in a worker."""
    _send("task", action, reason)


def _send(what: str, action: str, reason: str) -> None:
    if _channel is None:
        return
    with contextlib.suppress(OSError):
        _channel.send(json.dumps([what, action[:200], reason]).encode()[:_MOST])
