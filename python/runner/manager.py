"""Starts the parts in order, keeps them running, and stops them in order.

    probes and metrics -> gateway -> informers -> Lease -> controllers
    controllers stop, runs end or are killed -> Lease released -> everything else

The Lease is released last: until no process of ours acts any more, another leader must not begin. Losing it is the
other way round: every run is killed at once and the process ends with a failure, whatever else was going on.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from runner.clock import Clock
from runner.informer.pool import InformerPool
from runner.leader.elector import LeaderElector, LeadershipLost
from runner.leader.fence import Watchdog
from runner.logs import fields

__all__ = ["ExitCode", "Leadership", "Manager", "Parts", "Serving", "Working"]

logger = logging.getLogger(__name__)


class ExitCode(IntEnum):
    """What the process ends with."""

    OK = 0
    LEADERSHIP_LOST = 1
    BAD_CONFIGURATION = 2


class Serving(Protocol):
    """A server: started once, stopped once."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Working(Protocol):
    """A controller: runs until stopped and its reconciles have ended."""

    async def run(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership:
    """The Lease and what guards it; without leader election there is none."""

    elector: LeaderElector
    watchdog: Watchdog


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All that runs, wired together."""

    servers: Sequence[Serving]
    """In the order of their start."""
    informers: InformerPool
    controllers: Sequence[Working]
    leadership: Leadership | None
    kill_runs: Callable[[], None]
    """Ends every process of every run at once; safe from any thread."""
    close: Callable[[], Awaitable[None]]
    """Gives back connections, after everything else has stopped."""


class Manager:
    """Runs one operator process from start to exit code."""

    def __init__(self, parts: Parts, *, grace_s: float, clock: Clock) -> None:
        """Args:
        grace_s: how long runs in flight may go on after a request to stop.
        """
        self._parts = parts
        self._grace_s = grace_s
        self._clock = clock
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    def request_stop(self) -> None:
        """Stop when the runs in flight are done; asked a second time, do not wait for them."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def run(self) -> ExitCode:
        """Return when all has stopped."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.request_stop)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._parts.close)
            for server in self._parts.servers:
                await server.start()
                stack.push_async_callback(server.stop)
            async with asyncio.TaskGroup() as group:
                informers = group.create_task(self._parts.informers.run(), name="informers")
                try:
                    return await self._lead()
                finally:
                    informers.cancel()

    async def _lead(self) -> ExitCode:
        leadership = self._parts.leadership
        if leadership is None:
            return await self._work(None)
        acquired = await self._unless_stopped(leadership.elector.acquire())
        if not acquired:
            # A write may have been on its way when we were stopped: if it took effect, nobody need wait for us.
            await leadership.elector.release()
            return ExitCode.OK
        leadership.watchdog.start()
        hold = asyncio.create_task(leadership.elector.hold(), name="hold lease")
        code = await self._work(hold)
        if code is ExitCode.OK:
            hold.cancel()
            await asyncio.wait({hold})
            leadership.watchdog.stop()
            await leadership.elector.release()
        return code

    async def _work(self, hold: "asyncio.Task[None] | None") -> ExitCode:
        """Run the controllers until asked to stop, or until the Lease is lost."""
        work = asyncio.create_task(self._controllers(), name="controllers")
        stop = asyncio.create_task(self._stop.wait(), name="stop requested")
        lease = {hold} if hold else set()
        try:
            await asyncio.wait({work, stop, *lease}, return_when=asyncio.FIRST_COMPLETED)
            if stop.done() and not work.done():
                await self._drain(work, lease)
            if hold is not None and hold.done():
                return self._lost(hold)
            if work.done() and not work.cancelled():
                work.result()  # a controller never ends by itself: whatever ended it must not pass for a stop
            return ExitCode.OK
        finally:
            stop.cancel()
            work.cancel()
            await asyncio.wait({work, stop})

    async def _controllers(self) -> None:
        async with asyncio.TaskGroup() as group:
            for controller in self._parts.controllers:
                group.create_task(controller.run())

    async def _drain(self, work: "asyncio.Task[None]", lease: "set[asyncio.Task[None]]") -> None:
        """Begin nothing new, and give what is in flight its time, as long as the Lease is ours."""
        logger.info("stopping", extra=fields(grace_s=self._grace_s))
        for controller in self._parts.controllers:
            controller.stop()
        hurry = asyncio.create_task(self._hurry.wait(), name="hurry requested")
        grace = asyncio.create_task(self._clock.sleep(self._grace_s), name="grace")
        try:
            await asyncio.wait({work, hurry, grace, *lease}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                logger.warning("runs in flight are killed", extra=fields(grace_s=self._grace_s))
                work.cancel()
                await asyncio.wait({work})
        finally:
            hurry.cancel()
            grace.cancel()

    def _lost(self, hold: "asyncio.Task[None]") -> ExitCode:
        self._parts.kill_runs()
        error = None if hold.cancelled() else hold.exception()
        reason = error.reason if isinstance(error, LeadershipLost) else repr(error)
        logger.error("no longer the leader, so all runs were killed", extra=fields(reason=reason))
        return ExitCode.LEADERSHIP_LOST

    async def _unless_stopped(self, wait: Coroutine[Any, Any, None]) -> bool:
        """Wait for something; return false if a request to stop came first."""
        task = asyncio.create_task(wait)
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        for one in (task, stop):
            one.cancel()
        await asyncio.wait({task, stop})
        if task.cancelled():
            return False
        task.result()
        return True
