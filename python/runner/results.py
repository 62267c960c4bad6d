"""What a reconcile asks of the queue. Return a `Result` or raise; never both."""

from dataclasses import dataclass

__all__ = ["Result"]


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
