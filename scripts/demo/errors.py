"""What ends a demo early."""

__all__ = ["DemoError"]


class DemoError(Exception):
    """The demo cannot go on; the message says why and what helps."""
