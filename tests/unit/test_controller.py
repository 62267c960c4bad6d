"""Workers outlive whatever a reconcile does, and the queue hears what comes next."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from fakes import FakeClock, settle
from runner.controller import Controller
from runner.kube.errors import ApiError, Fenced, Unreachable
from runner.objects import ObjectRef
from runner.results import ReconcileError, Result, TerminalError
from runner.slots import Slots
from runner.workqueue.lanes import Lane
from runner.workqueue.queue import WorkQueue

A, B = ObjectRef("n", "a"), ObjectRef("n", "b")


@dataclass
class Recorder:
    """An observer that writes down what it hears."""

    active: int = 0
    ends: list[tuple[str, float]] = field(default_factory=list)

    def started(self) -> None:
        self.active += 1

    def ended(self, outcome: str, seconds: float) -> None:
        self.active -= 1
        self.ends.append((outcome, seconds))


class Rig:
    """A controller that runs, with a reconcile that the test can change."""

    def __init__(self, workers: int = 2, slots: Slots | None = None) -> None:
        self.clock = FakeClock()
        self.queue: WorkQueue[ObjectRef] = WorkQueue(clock=self.clock)
        self.slots = slots or Slots(100)
        self.recorder = Recorder()
        self.seen: list[ObjectRef] = []
        self.reconcile: Callable[[ObjectRef], Awaitable[Result]] = self.succeed
        self.controller = Controller(
            name="echo",
            queue=self.queue,
            reconcile=self._reconcile,
            workers=workers,
            slots=self.slots,
            clock=self.clock,
            observer=self.recorder,
        )
        self.task = asyncio.create_task(self.controller.run())

    async def succeed(self, ref: ObjectRef) -> Result:
        return Result.await_change()

    async def _reconcile(self, ref: ObjectRef) -> Result:
        self.seen.append(ref)
        return await self.reconcile(ref)

    def failing(self, error: BaseException) -> None:
        async def fail(ref: ObjectRef) -> Result:
            raise error

        self.reconcile = fail

    async def feed(self, *refs: ObjectRef) -> None:
        for ref in refs:
            self.queue.add(ref)
        await settle()


@pytest.fixture
async def rig():
    rig = Rig()
    yield rig
    rig.controller.stop()
    rig.task.cancel()
    await asyncio.wait([rig.task])


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


async def test_success_forgets_the_back_off_and_waits_for_a_change(rig):
    """Nothing is run again without a reason."""
    rig.queue.add_rate_limited(A)
    await rig.feed(A)
    await rig.clock.advance(0.005)
    assert (rig.seen, rig.queue.failures(A)) == ([A, A], 0)
    await rig.clock.advance(10_000)
    assert rig.seen == [A, A]
    assert [outcome for outcome, _ in rig.recorder.ends] == ["success", "success"]


async def test_requeue_after_brings_the_key_back_in_time(rig):
    """A role's `requeue_after`, or the watch's period."""

    async def again(ref: ObjectRef) -> Result:
        return Result.requeue(after_s=30)

    rig.reconcile = again
    await rig.feed(A)
    await rig.clock.advance(29)
    assert rig.seen == [A]
    await rig.clock.advance(1)
    assert rig.seen == [A, A]
    assert rig.recorder.ends == [("requeue_after", 0.0)] * 2


async def test_an_expected_failure_is_retried_with_back_off_and_one_line_without_traceback(rig, caplog):
    """A role that fails for an hour must not fill the log with our stack."""
    rig.failing(ReconcileError("RoleFailed", "task 3"))
    await rig.feed(A)
    await rig.clock.advance(0.004)
    assert rig.seen == [A]
    await rig.clock.advance(0.001)
    assert rig.seen == [A, A]
    assert rig.queue.failures(A) == 2
    first, second = caplog.records
    assert (first.levelname, first.message, first.exc_info) == ("WARNING", "reconcile failed", None)
    assert first.fields == {"controller": "echo", "ref": "n/a", "error": "RoleFailed: task 3", "retry_in_s": 0.005}
    assert second.fields["retry_in_s"] == 0.01


@pytest.mark.parametrize("error", [ApiError(500, reason="InternalError"), Unreachable("connection refused")])
async def test_an_api_failure_is_an_expected_one(rig, caplog, error):
    """The API server being down is no bug of ours: no traceback for each of ten thousand objects."""
    rig.failing(error)
    await rig.feed(A)
    assert rig.recorder.ends == [("error", 0.0)]
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("WARNING", None)]


@pytest.mark.parametrize(
    "error",
    [
        ApiError(429, reason="TooManyRequests", retry_after_s=7),
        caused(ReconcileError("ApiError"), ApiError(503, retry_after_s=7)),
    ],
)
async def test_retry_after_is_honoured(rig, error):
    """Whoever asks for patience gets it, also through the reconciler's own exception."""
    rig.failing(error)
    await rig.feed(A)
    await rig.clock.advance(6.9)
    assert rig.seen == [A]
    await rig.clock.advance(0.1)
    assert rig.seen == [A, A]


async def test_a_terminal_failure_is_not_retried(rig, caplog):
    """Only a change of the object can help."""
    rig.queue.add_rate_limited(A)
    await rig.clock.advance(0)
    rig.failing(TerminalError("BadSpec", "no"))
    await rig.feed(A)
    await rig.clock.advance(0.005)
    rig.seen.clear()
    await rig.clock.advance(10_000)
    assert (rig.seen, rig.queue.failures(A), rig.queue.delayed) == ([], 0, 0)
    assert {outcome for outcome, _ in rig.recorder.ends} == {"terminal"}
    assert caplog.records[0].message == "reconcile failed for good"


async def test_an_unexpected_failure_is_logged_with_traceback_and_counted_as_panic(rig, caplog):
    """A bug of ours must be found, and must not stop the retries."""
    rig.failing(ZeroDivisionError("oops"))
    await rig.feed(A)
    await rig.clock.advance(0.005)
    assert rig.seen == [A, A]
    assert rig.recorder.ends == [("panic", 0.0)] * 2
    assert caplog.records[0].exc_info[0] is ZeroDivisionError
    assert caplog.records[0].fields["ref"] == "n/a"


async def test_a_reconcile_that_returns_no_result_is_a_panic():
    """`None` from an untyped callable must not kill the worker."""
    rig = Rig(workers=1)

    async def forgetful(ref: ObjectRef) -> None:
        return None

    rig.reconcile = forgetful
    await rig.feed(A, B)
    assert rig.seen == [A, B]
    assert not rig.task.done()
    assert rig.recorder.ends == [("panic", 0.0)] * 2
    rig.controller.stop()
    await rig.task


@pytest.mark.parametrize("error", [Fenced("lost"), caused(ReconcileError("StatusWrite"), Fenced("lost"))])
async def test_losing_the_lease_is_not_logged_as_failures(rig, caplog, error):
    """With a hundred runs in flight the log would drown the one line that says why we stop."""
    rig.failing(error)
    await rig.feed(A, B)
    assert caplog.records == []
    assert rig.recorder.ends == [("fenced", 0.0)] * 2
    assert rig.queue.delayed == 2


async def test_a_failing_worker_leaves_the_others_alone(rig):
    """One poison object takes its own turns and nobody else's."""
    finish = asyncio.Event()

    async def mixed(ref: ObjectRef) -> Result:
        if ref == A:
            raise ZeroDivisionError
        await finish.wait()
        return Result.await_change()

    rig.reconcile = mixed
    await rig.feed(B, A)
    await rig.clock.advance(0.1)
    finish.set()
    await settle()
    assert rig.seen[:3] == [B, A, A]
    assert ("success", 0.1) in [(outcome, round(seconds, 3)) for outcome, seconds in rig.recorder.ends]
    assert not rig.task.done()


async def test_a_reconcile_that_waited_for_a_cancelled_task_is_a_panic_not_a_dead_worker():
    """Its CancelledError looks like our own cancellation; taken for that, the worker would be gone for ever."""
    rig = Rig(workers=1)

    async def unlucky(ref: ObjectRef) -> Result:
        other = asyncio.create_task(asyncio.sleep(1000))
        other.cancel()
        await other
        return Result.await_change()

    rig.reconcile = unlucky
    await rig.feed(A)
    rig.reconcile = rig.succeed
    await rig.feed(B)
    assert rig.seen == [A, B]
    assert [outcome for outcome, _ in rig.recorder.ends] == ["panic", "success"]
    rig.controller.stop()
    await rig.task


async def test_as_many_keys_at_a_time_as_workers():
    """`maxConcurrentReconciles`, and never one key twice."""
    rig = Rig(workers=2)
    finish = asyncio.Event()

    async def slow(ref: ObjectRef) -> Result:
        await finish.wait()
        return Result.await_change()

    rig.reconcile = slow
    await rig.feed(A, A, B, ObjectRef("n", "c"))
    await rig.feed(A)
    assert (rig.seen, rig.recorder.active) == ([A, B], 2)
    finish.set()
    await settle()
    assert rig.seen == [A, B, ObjectRef("n", "c"), A]
    rig.controller.stop()
    await rig.task


class Shared:
    """Two kinds that share one slot; each run ends when the test says."""

    def __init__(self) -> None:
        self.slots = Slots(1)
        self.order: list[str] = []
        self.gate = asyncio.Semaphore(0)
        self.busy, self.quiet = Rig(workers=4, slots=self.slots), Rig(workers=4, slots=self.slots)
        for rig in (self.busy, self.quiet):
            rig.reconcile = self.reconcile

    async def reconcile(self, ref: ObjectRef) -> Result:
        self.order.append(ref.name)
        await self.gate.acquire()
        return Result.await_change()

    async def end_runs(self, count: int) -> None:
        for _ in range(count):
            self.gate.release()
            await settle()

    async def stop(self) -> None:
        for rig in (self.busy, self.quiet):
            rig.controller.stop()
        await self.end_runs(10)
        await asyncio.wait_for(asyncio.gather(self.busy.task, self.quiet.task), 1)


@pytest.fixture
async def shared():
    shared = Shared()
    yield shared
    await shared.stop()
    assert (shared.slots.in_use, shared.slots.waiting) == (0, 0)


async def test_slots_go_round_the_kinds_however_many_objects_of_one_wait(shared):
    """A thousand objects of one kind must not keep one of another waiting for the thousand."""
    await shared.busy.feed(*(ObjectRef("n", f"busy {number}") for number in range(1000)))
    await shared.quiet.feed(ObjectRef("n", "quiet 0"), ObjectRef("n", "quiet 1"))
    await shared.end_runs(4)
    assert shared.order == ["busy 0", "busy 1", "quiet 0", "busy 2", "quiet 1"]


async def test_what_is_next_is_decided_when_there_is_a_slot(shared):
    """An edit that comes while a kind waits for its turn goes first, and what runs is what the object says by then."""
    await shared.busy.feed(A)
    shared.quiet.queue.add(ObjectRef("n", "routine"), Lane.ROUTINE)
    await settle()
    assert (shared.slots.waiting, len(shared.quiet.queue)) == (1, 1)
    await shared.quiet.feed(ObjectRef("n", "edited"))
    await shared.end_runs(2)
    assert shared.order == ["a", "edited", "routine"]


async def test_a_kind_that_waits_for_a_slot_begins_nothing_after_stop(shared):
    """A rollout that waited for a slot only to start another run would never end."""
    await shared.busy.feed(A)
    await shared.quiet.feed(B)
    shared.quiet.controller.stop()
    await shared.end_runs(1)
    await asyncio.wait_for(shared.quiet.task, 1)
    assert shared.order == ["a"]


async def test_an_idle_kind_holds_no_slot(shared):
    """Workers wait for work first and for a slot then."""
    await settle()
    assert (shared.slots.in_use, shared.slots.waiting) == (0, 0)


async def test_stop_waits_for_those_in_flight_and_begins_no_other(rig):
    """A rollout lets runs finish within the grace period."""
    finish = asyncio.Event()

    async def slow(ref: ObjectRef) -> Result:
        await finish.wait()
        return Result.requeue(after_s=1)

    rig.reconcile = slow
    await rig.feed(A, B, ObjectRef("n", "c"))
    rig.controller.stop()
    await settle()
    assert not rig.task.done()
    finish.set()
    await rig.task
    assert rig.seen == [A, B]
    assert rig.recorder.active == 0


async def test_stop_before_run_returns_at_once():
    """A leader that never led."""
    rig = Rig()
    rig.controller.stop()
    await rig.task
    assert rig.seen == []


async def test_cancelling_run_cancels_reconciles_in_flight(rig):
    """The last resort of a stop that took too long; each reconcile cleans up behind itself."""
    cancelled = []

    async def endless(ref: ObjectRef) -> Result:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(ref)
            raise
        return Result.await_change()

    rig.reconcile = endless
    await rig.feed(A, B)
    rig.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rig.task
    assert sorted(cancelled) == [A, B]
    assert rig.queue.unfinished_s() == []
    assert rig.slots.in_use == 0
    assert rig.recorder.ends == [("cancelled", 0.0)] * 2


async def test_the_key_is_held_until_the_queue_knows_what_comes_next(rig):
    """Else an event in between could start a second run beside the first."""
    order = []
    add_after, done = rig.queue.add_after, rig.queue.done
    rig.queue.add_after = lambda *call: (order.append("add_after"), add_after(*call))
    rig.queue.done = lambda *call: (order.append("done"), done(*call))

    async def again(ref: ObjectRef) -> Result:
        return Result.requeue(after_s=5)

    rig.reconcile = again
    await rig.feed(A)
    assert order == ["add_after", "done"]


@pytest.fixture(autouse=True)
def _levels(caplog):
    caplog.set_level(logging.INFO)
