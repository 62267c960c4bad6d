"""What others may learn of the warm path: which runs and tasks took it, which did not, and why."""

from typing import Protocol

__all__ = ["Nobody", "WarmObserver"]


class WarmObserver(Protocol):
    """Is told as it happens. Must not wait. Reasons come from closed sets (`reasons`)."""

    def warm_run(self) -> None:
        """A run is about to start in a fork."""

    def plain_run(self, reason: str) -> None:
        """A run is about to start as a new program."""

    def task(self, what: str, action: str, reason: str) -> None:
        """Of a warm run.

        Args:
            what: `task` (in the play's process or a worker) or `module` (in that process or one of its own).
            action: as the task names it; from content, so no label of a metric.
            reason: why a process of its own; empty: none was needed.
        """

    def restarted(self, reason: str) -> None:
        """A warm parent is being replaced."""

    def ready(self, seconds: float) -> None:
        """A warm parent has loaded."""


class Nobody:
    """Learns nothing."""

    def warm_run(self) -> None: ...
    def plain_run(self, reason: str) -> None: ...
    def task(self, what: str, action: str, reason: str) -> None: ...
    def restarted(self, reason: str) -> None: ...
    def ready(self, seconds: float) -> None: ...
