"""What can go wrong, as exceptions with one base. Their text is for a person."""

from pathlib import Path

from cluster.errors import with_output


class ImageError(Exception):
    """The base of all errors of this package that a caller is meant to catch."""


class StepFailedError(ImageError):
    """A program that a build runs failed: `step` is what it was for, `log` has all it said."""

    def __init__(self, step: str, log: Path) -> None:
        super().__init__(step, log)
        self.step = step
        self.log = log

    def __str__(self) -> str:
        said = self.log.read_text(encoding="utf-8", errors="replace")
        return with_output(f"{self.step} failed; {self.log} ends with:", said)


class NoEngineError(ImageError):
    """Nothing here can build an image."""


class NoBaseError(ImageError):
    """The base image can neither be pulled nor made."""


class NotOnRuntimeError(ImageError):
    """A project's Dockerfile is missing, or has the runtime's image fixed in it."""


class NotAnImageError(ImageError):
    """A file is no archive of one image."""


class DiffersError(ImageError):
    """Two builds of one state of the sources are not equal."""
