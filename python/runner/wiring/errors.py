"""What keeps the parts from being put together."""

__all__ = ["WiringError"]


class WiringError(Exception):
    """The parts cannot be put together; the message names the setting and the remedy."""
