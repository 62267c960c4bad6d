"""What metrics hear of an informer, and the one who listens where nobody does."""

from typing import Protocol

__all__ = ["UNOBSERVED", "InformerObserver"]


class InformerObserver(Protocol):
    """What metrics hear of an informer. Must not raise."""

    def listed(self, objects: int, seconds: float) -> None:
        """All objects were read anew."""

    def held(self, objects: int) -> None:
        """So many objects are held now; told after each change, and more often."""

    def received(self, event: str) -> None:
        """A watch brought an event of this type."""

    def failed(self, trouble: str) -> None:
        """A list or watch failed; `trouble` is from a small set."""

    def panicked(self) -> None:
        """`on_event` or `project` raised."""


class _Unobserved:
    def listed(self, objects: int, seconds: float) -> None:
        pass

    def held(self, objects: int) -> None:
        pass

    def received(self, event: str) -> None:
        pass

    def failed(self, trouble: str) -> None:
        pass

    def panicked(self) -> None:
        pass


UNOBSERVED = _Unobserved()
