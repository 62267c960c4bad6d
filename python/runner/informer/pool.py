"""Keeps informers running, those known at the start and those that a run makes necessary later."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["InformerPool"]


class InformerPool:
    """Informers are added at any time; they run while `run` does, and end with it."""

    def __init__(self) -> None:
        self._added: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = []
        self._group: asyncio.TaskGroup | None = None

    def add(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run this informer from now on, or from the start of `run`."""
        self._added.append((name, run))
        if self._group is not None:
            self._group.create_task(run(), name=name)

    async def run(self) -> None:
        """Run all until cancelled; an informer that raises ends this, because it promises never to."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for name, run in self._added:
                group.create_task(run(), name=name)
            await asyncio.Event().wait()
