"""What a program of its own would have had to itself, for code that runs in this process instead."""

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["exit_code", "put_back"]


def exit_code(code: object) -> int:
    """The process's exit code for that of a `SystemExit`."""
    if code is None:
        return 0
    if isinstance(code, int):
        return int(code) & 0xFF
    print(code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1


@contextlib.contextmanager
def put_back() -> Iterator[None]:
    """Afterwards environment, working directory and umask are what they were."""
    environment = _environment()
    umask = os.umask(0o077)
    os.umask(umask)
    directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield
    finally:
        if _environment() != environment:
            os.environb.clear()
            os.environb.update(environment)
        os.umask(umask)
        os.fchdir(directory)
        os.close(directory)


def _environment() -> dict[bytes, bytes]:
    """A copy of what stands behind `os.environ`, which decodes each name and value each time it is asked."""
    return dict(os.environb._data)  # type: ignore[attr-defined]
