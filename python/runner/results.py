"""What a reconcile asks of the queue. Return a `Result` or raise; never both.

A `ReconcileError` is expected and retried with back-off; a `TerminalError` is one that only a change of the object
can mend, so it is not.
"""

from dataclasses import dataclass

__all__ = ["ReconcileError", "Result", "TerminalError"]


class ReconcileError(Exception):
    """A reconcile failed in a way that happens in normal life; already told to the user, retried with back-off."""

    reason: str
    """CamelCase, from a closed set; for logs and metrics."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason = reason


class TerminalError(ReconcileError):
    """As it stands, this object can never be reconciled; nothing is tried until it changes."""


@dataclass(frozen=True, slots=True)
class Result:
    """The queue's next step for a key. `requeue_after_s` is float seconds; `None`: only a change brings it back."""

    requeue_after_s: float | None = None

    @classmethod
    def await_change(cls) -> "Result":
        """Nothing more to do until an event names the object again."""
        return cls(None)

    @classmethod
    def requeue(cls, after_s: float) -> "Result":
        """Look again after this many seconds."""
        return cls(max(0.0, after_s))
