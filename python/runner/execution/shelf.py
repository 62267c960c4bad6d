"""How much all kept runs together may take on disk: the oldest go first, whosever they are.

Promises: below the limit after each run, whatever number of objects there is. Knows what was there before the operator
started. How many are kept of one object is `directory.RunDirectory.keep`'s business.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from runner.execution.directory import RunArea, remove_tree
from runner.execution.outcome import RunOutcome
from runner.execution.run import Execute, RunSpec

__all__ = ["Shelf", "Shelved"]

_TRIMMED_TO = 0.9
"""Of the limit: so that not each run has to look at all that are kept."""
_FIRST_LOOK = 100
"""With so many entries it is looked which have gone, and again whenever there are twice as many as were left."""


class Shelf:
    """Kept runs, oldest first, with their sizes. For one thread at a time."""

    def __init__(self, runs: Iterable[Path], *, limit_bytes: int) -> None:
        """Args:
        runs: directories of runs that are kept already.
        limit_bytes: of all together.
        """
        self._limit = limit_bytes
        self._entries: deque[tuple[str, int]] = deque()
        self._total = 0
        self._look_at = _FIRST_LOOK
        for path in sorted(runs, key=_age):
            self._add(path)
        self._trim()

    def __len__(self) -> int:
        """Runs it knows of; up to half of them may have gone."""
        return len(self._entries)

    def put(self, run: Path) -> None:
        """Count a run in, if anything was kept of it, and make room where that is too much."""
        if run.is_dir():
            self._add(run)
            self._trim()

    def _add(self, path: Path) -> None:
        size = _size(path)
        self._entries.append((str(path), size))
        self._total += size

    def _trim(self) -> None:
        if self._total > self._limit or len(self._entries) >= self._look_at:
            self._forget_gone()
        if self._total <= self._limit:
            return
        while self._entries and self._total > self._limit * _TRIMMED_TO:
            path, size = self._entries.popleft()
            remove_tree(Path(path))
            self._total -= size

    def _forget_gone(self) -> None:
        """Some have gone with their objects, or made room for newer ones of theirs."""
        self._entries = deque(entry for entry in self._entries if Path(entry[0]).is_dir())
        self._total = sum(size for _, size in self._entries)
        self._look_at = max(_FIRST_LOOK, 2 * len(self._entries))


class Shelved:
    """An `Execute` whose kept runs stand on a shelf."""

    def __init__(self, execute: Execute, area: RunArea, shelf: Shelf) -> None:
        self._execute = execute
        self._area = area
        self._shelf = shelf
        self._turn = asyncio.Lock()

    async def __call__(self, spec: RunSpec) -> RunOutcome:
        outcome = await self._execute(spec)
        if spec.max_artifacts:
            async with self._turn:
                await asyncio.to_thread(self._shelf.put, self._area.kept(spec.gvk, spec.ref) / spec.run_id)
        return outcome


def _age(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    total = 0
    for entry in path.rglob("*"):
        try:
            total += max(entry.lstat().st_blocks * 512, 512)
        except OSError:
            continue
    return total
