"""Makes Echoes, many at a time, and watches what becomes of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from bench.checks import Object, WrongResult, reconciled
from bench.progress import Bar
from bench.rig import NAMESPACE
from runner.objects import GroupVersionKind, Raw
from tests.harness import ECHO, JOB, Api, echo

__all__ = ["Watching", "all_of", "at_once", "create", "echoes"]

_AT_ONCE = 16
_PAGE = 1000


def echoes(count: int) -> list[Raw]:
    """Echoes that differ in name and message."""
    return [echo(f"echo-{index:05d}", NAMESPACE, f"message {index}") for index in range(count)]


async def at_once[T](work: Callable[[T], Awaitable[object]], items: Iterable[T], *, most: int = _AT_ONCE) -> None:
    """Do it with all items, so many at a time."""
    waiting = iter(items)

    async def take() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(most):
            group.create_task(take())


async def create(api: Api, objects: Sequence[Raw]) -> dict[str, float]:
    """Create all; return when each was asked for, by name, like `time.monotonic`."""
    asked: dict[str, float] = {}
    bar = Bar("created", len(objects))

    async def make(obj: Raw) -> None:
        asked[obj["metadata"]["name"]] = time.monotonic()
        await api.create(obj)
        bar.show(len(asked))

    await at_once(make, objects)
    return asked


async def all_of(api: Api, gvk: GroupVersionKind) -> list[Raw]:
    """Every object of a kind in our namespace, however many."""
    resource, token, found = await api.resource(gvk), "", list[Raw]()
    while True:
        page = await api.client.list_page(resource, namespace=NAMESPACE, limit=_PAGE, continue_token=token)
        found += page.items
        token = page.continue_token
        if not token:
            return found


class Watching:
    """Notes when each Job and each reconciled Echo was first seen, by name, like `time.monotonic`."""

    def __init__(self, api: Api, done: Callable[[Object], bool] = reconciled) -> None:
        """Args:
        done: whether an Echo is as far as it shall come.
        """
        self._api = api
        self._done = done
        self._tasks: list[asyncio.Task[None]] = []
        self.jobs: dict[str, float] = {}
        self.done: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        versions = {gvk: await self._version(gvk) for gvk in (JOB, ECHO)}
        self._tasks = [
            asyncio.create_task(self._note(JOB, versions[JOB], self.jobs, lambda _obj: True), name="watch Jobs"),
            asyncio.create_task(self._note(ECHO, versions[ECHO], self.done, self._done), name="watch Echoes"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def until_done(self, names: Iterable[str], bar: Bar | None = None) -> None:
        """Wait until all of these Echoes are done and have a Job.

        Raises:
            WrongResult: they are not within a time that is far too long.
        """
        wanted = set(names)
        end = time.monotonic() + 60 + 20 * len(wanted)
        while left := wanted - (self.done.keys() & self.jobs.keys()):
            if bar is not None:
                bar.show(len(wanted) - len(left))
            for task in self._tasks:
                if task.done():
                    task.result()
            if time.monotonic() > end:
                raise WrongResult(f"{len(left)} of {len(wanted)} Echoes are not done, {min(left)} among them")
            await asyncio.sleep(0.02)
        if bar is not None:
            bar.show(len(wanted))

    async def _version(self, gvk: GroupVersionKind) -> str:
        """From where to watch so that all that comes is seen, and nothing that was."""
        return (await self._api.client.list_page(await self._api.resource(gvk), limit=1)).resource_version

    async def _note(
        self, gvk: GroupVersionKind, version: str, seen: dict[str, float], wanted: Callable[[Object], bool]
    ) -> None:
        events = self._api.client.watch(
            await self._api.resource(gvk),
            resource_version=version,
            namespace=NAMESPACE,
            timeout_s=3600,
            read_timeout_s=3600,
        )
        async for kind, obj in events:
            if kind in {"ADDED", "MODIFIED"} and wanted(obj):
                seen.setdefault(obj["metadata"]["name"], time.monotonic())
        raise WrongResult(f"the watch for {gvk.kind} ended too early")
