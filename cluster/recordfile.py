"""A file that says what a machine has of a thing there is one of, and the lock on it. What is in it is others' part."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["RecordFile"]


class RecordFile[T]:
    """The record below one directory, which lies below `/run`."""

    def __init__(self, directory: Path, *, encode: Callable[[T], str], decode: Callable[[str], T]) -> None:
        self._directory = directory
        self._file = directory / "record.json"
        self._encode = encode
        self._decode = decode

    def read(self) -> T | None:
        """The record.

        Returns:
            `None`: the machine has none, and nothing has to be cleaned up.
        """
        try:
            return self._decode(self._file.read_text())
        except (FileNotFoundError, PermissionError):  # without root there can be none of ours
            return None

    def write(self, record: T) -> None:
        """Replace the record at once: whoever reads it finds the old one or the new one."""
        temporary = self._file.with_name(f".record.{os.getpid()}.json")
        temporary.write_text(self._encode(record))
        temporary.replace(self._file)

    def forget(self) -> None:
        """Remove the record; the machine is as it was."""
        self._file.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the machine's lock: one start or stop at a time."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
