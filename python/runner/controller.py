"""Takes keys from a work queue and has them reconciled by N workers, as far as there are slots.

Promises: a reconcile that fails is tried again after the key's back-off, and no sooner than the API server asked for;
whatever it raises, the worker lives on and the other workers notice nothing; a key is always given back, and so is its
slot. Which key is next is decided when there is a slot for it, not before: what became urgent meanwhile goes first, and
a reconcile reads its object as it is then. Does not know what a reconcile does, log successes (a reconcile writes its
own summary line), or limit its duration.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal, Protocol

from runner.clock import Clock
from runner.kube.errors import ApiError, Fenced, KubeError
from runner.logs import fields
from runner.objects import ObjectRef
from runner.results import ReconcileError, Result, TerminalError
from runner.slots import Slots
from runner.workqueue.queue import ShutDown, WorkQueue

__all__ = ["Controller", "ControllerObserver", "Outcome"]

logger = logging.getLogger(__name__)

Outcome = Literal["success", "requeue_after", "error", "terminal", "panic", "fenced", "cancelled"]
"""How a reconcile ended. `panic`: it raised what it never should. `fenced`: leadership was lost meanwhile."""


class ControllerObserver(Protocol):
    """What metrics hear of a controller. Must not raise."""

    def started(self) -> None:
        """A worker began a reconcile."""

    def ended(self, outcome: Outcome, seconds: float) -> None:
        """The reconcile is over."""


class _Unobserved:
    def started(self) -> None:
        pass

    def ended(self, outcome: Outcome, seconds: float) -> None:
        pass


_UNOBSERVED = _Unobserved()


class Controller:
    """N workers on one queue."""

    def __init__(
        self,
        *,
        name: str,
        queue: WorkQueue[ObjectRef],
        reconcile: Callable[[ObjectRef], Awaitable[Result]],
        workers: int,
        slots: Slots,
        clock: Clock,
        observer: ControllerObserver = _UNOBSERVED,
    ) -> None:
        """Args:
        name: tells controllers apart in logs and task names.
        workers: how many keys are reconciled at a time; one key never twice.
        slots: shared with the other controllers.
        """
        self._name = name
        self._queue = queue
        self._reconcile = reconcile
        self._workers = workers
        self._slots = slots
        self._turn = asyncio.Lock()
        self._clock = clock
        self._observer = observer

    async def run(self) -> None:
        """Work until `stop`, then return once the reconciles in flight have ended; cancelled, it cancels them."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"{self._name} worker {number}")

    def stop(self) -> None:
        """Begin no further reconcile."""
        self._queue.shut_down()

    async def _work(self) -> None:
        while True:
            try:
                ref = await self._next()
            except ShutDown:
                return
            started = self._clock.monotonic()
            self._observer.started()
            outcome: Outcome = "cancelled"
            try:
                outcome = await self._settle(ref)
            finally:
                # Last: until here nobody else may hold the key.
                self._queue.done(ref)
                self._slots.release()
                self._observer.ended(outcome, self._clock.monotonic() - started)

    async def _next(self) -> ObjectRef:
        """Wait for a key and a slot, and hold both.

        Raises:
            ShutDown: there will be no key.
        """
        # One worker of a kind waits at a time. It is what makes slots go round the kinds, and keeps the key there.
        async with self._turn:
            await self._queue.ready()
            await self._slots.acquire()
            try:
                return await self._queue.get()
            except BaseException:
                self._slots.release()
                raise

    async def _settle(self, ref: ObjectRef) -> Outcome:
        """Reconcile and tell the queue what comes next."""
        try:
            requeue_after_s = (await self._reconcile(ref)).requeue_after_s
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Not ours: some task that the reconcile waited for was cancelled.
            return self._panicked(ref, error)
        except TerminalError as error:
            logger.warning("reconcile failed for good", extra=self._fields(ref, error=str(error)))
            self._queue.forget(ref)
            return "terminal"
        except (ReconcileError, KubeError) as error:
            return self._failed(ref, error)
        except Exception as error:  # noqa: BLE001 - the top of a worker: whatever it is, the others go on
            return self._panicked(ref, error)
        self._queue.forget(ref)
        if requeue_after_s is None:
            return "success"
        self._queue.add_after(ref, requeue_after_s)
        return "requeue_after"

    def _failed(self, ref: ObjectRef, error: ReconcileError | KubeError) -> Outcome:
        delay_s = self._queue.add_rate_limited(ref, at_least_s=_asked_delay_s(error))
        if any(isinstance(cause, Fenced) for cause in _causes(error)):
            logger.debug("reconcile stopped by the fence", extra=self._fields(ref))
            return "fenced"
        logger.warning("reconcile failed", extra=self._fields(ref, error=str(error), retry_in_s=round(delay_s, 3)))
        return "error"

    def _panicked(self, ref: ObjectRef, error: BaseException) -> Outcome:
        delay_s = self._queue.add_rate_limited(ref)
        values = self._fields(ref, retry_in_s=round(delay_s, 3))
        logger.error("reconcile panicked", exc_info=error, extra=values)
        return "panic"

    def _fields(self, ref: ObjectRef, **values: object) -> dict[str, object]:
        return fields(controller=self._name, ref=str(ref), **values)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _asked_delay_s(error: BaseException) -> float:
    """Return how long the API server asked us to wait; zero if it did not say."""
    asked = (cause.retry_after_s for cause in _causes(error) if isinstance(cause, ApiError))
    return max((seconds for seconds in asked if seconds is not None), default=0.0)
