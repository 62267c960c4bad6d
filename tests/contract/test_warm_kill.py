"""However a warm run or its parent ends, nothing of it stays; and a parent that fails is replaced."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.clock import SystemClock
from runner.content import Content
from runner.execution import processes
from runner.execution.outcome import RunOutcome, Verdict
from runner.execution.warm.keeper import Limits
from tests.contract.test_execution_kill import BUSY, SLEEPERS, WITHIN_S, mark, wait_for, zombies
from tests.contract.warm_rig import PATIENT, WarmRig, warm_rig

pytestmark = [pytest.mark.ansible, pytest.mark.usefixtures("nobody_adopted")]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[WarmRig]:
    before = set(processes.table())
    async with warm_rig(tmp_path) as rig:
        yield rig
    left = [process for process in processes.descendants(os.getpid()) if process.pid not in before]
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    assert left == []


async def eventually(check: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


class Busy:
    """A warm run in the middle of its play, with four sleepers of all kinds."""

    def __init__(self, rig: WarmRig, number: int = 1, **options: Any) -> None:
        self.rig = rig
        self.ready = rig.project / f"ready{number}"
        self.mark = f"{mark(rig)}{number}"
        self.execution = rig.execution(**options)

    async def start(self, timeout_s: float | None = None) -> asyncio.Task[RunOutcome]:
        content = self.rig.play(BUSY)
        spec = self.rig.spec(content, {"ready": str(self.ready), "mark": self.mark}, timeout_s=timeout_s)
        self.task = asyncio.create_task(self.execution(spec))
        await eventually(lambda: self.ready.exists() and len(self.sleepers()) == SLEEPERS)
        return self.task

    def sleepers(self) -> list[int]:
        return sleepers(self.mark)

    @property
    def supervisor(self) -> int:
        return next(iter(self.execution._live))

    def tree(self) -> list[int]:
        return [process.pid for process in processes.descendants(self.supervisor)]


def sleepers(mark: str) -> list[int]:
    found = []
    for pid in processes.table():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:2] == [b"sleep", mark.encode()]:
                found.append(pid)
    return found


def gone(pids: list[int]) -> bool:
    return all(processes.identify(pid) is None for pid in pids)


@pytest.mark.parametrize("stopped", [False, True], ids=["", "with a supervisor that does not answer"])
async def test_cancelling_kills_the_whole_tree(rig: WarmRig, stopped: bool) -> None:
    busy = Busy(rig)
    run = await busy.start()
    everything = [busy.supervisor, *busy.tree()]
    if stopped:
        os.kill(busy.supervisor, signal.SIGSTOP)
    began = time.monotonic()
    run.cancel()
    if stopped:
        await asyncio.sleep(0.05)
        run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert time.monotonic() - began < WITHIN_S
    assert gone(everything[1:])
    await eventually(lambda: gone(everything), 1)
    assert (busy.sleepers(), zombies(), rig.live()) == ([], [], [])
    assert rig.seen.restarts == []


async def test_the_timeout_kills_the_whole_tree(rig: WarmRig) -> None:
    class Stepping(SystemClock):
        """Stands still until told."""

        due = asyncio.Event()

        def monotonic(self) -> float:
            return 100.0 if self.due.is_set() else 0.0

        async def sleep(self, seconds: float) -> None:
            await (self.due.wait() if seconds == 60 else super().sleep(seconds))

    clock = Stepping()
    busy = Busy(rig, clock=clock)
    run = await busy.start(timeout_s=60)
    began = time.monotonic()
    clock.due.set()
    outcome = await run
    assert time.monotonic() - began < WITHIN_S
    assert outcome.verdict is Verdict.TIMED_OUT
    assert "in task be busy" in outcome.detail
    assert (busy.sleepers(), rig.live()) == ([], [])


async def test_a_killed_supervisor_leaves_nothing_and_takes_no_other_run_along(rig: WarmRig) -> None:
    victim = Busy(rig)
    first = await victim.start()
    supervisor, tree = victim.supervisor, victim.tree()
    content = rig.play(f"- wait_for: {{path: {rig.project}/go}}\n- debug: {{msg: done}}", name="other.yml")
    second = asyncio.create_task(victim.execution(rig.spec(content)))
    await eventually(lambda: len(victim.execution._live) == 2)
    began = time.monotonic()
    os.kill(supervisor, signal.SIGKILL)
    outcome = await asyncio.wait_for(first, 3)
    assert time.monotonic() - began < WITHIN_S
    assert outcome.verdict is Verdict.KILLED
    assert "SIGKILL" in outcome.detail
    assert gone([supervisor, *tree])
    (rig.project / "go").touch()
    assert (await second).verdict is Verdict.SUCCEEDED
    assert rig.seen.restarts == []


async def test_a_killed_parent_fails_its_runs_with_that_reason_and_is_replaced(rig: WarmRig) -> None:
    first, second = Busy(rig, 1), Busy(rig, 2)
    runs = [await first.start(), await second.start()]
    everything = [process.pid for process in processes.descendants(rig.parent().pid)]
    os.kill(rig.parent().pid, signal.SIGKILL)
    began = time.monotonic()
    outcomes = await asyncio.wait_for(asyncio.gather(*runs), 5)
    await eventually(lambda: gone(everything), 1)
    assert time.monotonic() - began < 2 * WITHIN_S
    assert [(outcome.verdict, outcome.detail) for outcome in outcomes] == [
        (Verdict.NO_STATS, "the warm parent ended, and the run with it")
    ] * 2
    assert (first.sleepers(), second.sleepers(), zombies(), rig.live()) == ([], [], [], [])
    assert (await rig.run(rig.play("- debug:"))).verdict is Verdict.SUCCEEDED
    assert (rig.seen.restarts, rig.seen.starts) == (["died"], 2)


async def test_a_parent_that_hangs_is_replaced_and_runs_meanwhile_are_plain(rig: WarmRig) -> None:
    rig.may_be_plain = True
    limits = Limits(answer_s=0.5, ping_every_s=60, patience_s=60)
    execution = rig.execution(limits=limits)
    content = rig.play("- debug:")
    await execution(rig.spec(content))
    hung = rig.parent(execution).pid
    os.kill(hung, signal.SIGSTOP)
    assert (await execution(rig.spec(content))).verdict is Verdict.SUCCEEDED
    assert rig.seen.plain == ["lost"]
    await eventually(lambda: gone([hung]))
    assert (await execution(rig.spec(content))).verdict is Verdict.SUCCEEDED
    assert (rig.seen.restarts, rig.seen.warm) == (["hung"], 2)


async def test_a_parent_that_hangs_is_noticed_without_runs(rig: WarmRig) -> None:
    execution = rig.execution(limits=Limits(answer_s=0.3, ping_every_s=0.1, patience_s=60))
    await execution(rig.spec(rig.play("- debug:")))
    hung = rig.parent(execution).pid
    os.kill(hung, signal.SIGSTOP)
    await eventually(lambda: rig.seen.starts == 2 and gone([hung]))
    assert rig.seen.restarts == ["hung"]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits(runs=2, patience_s=60), "runs"), (Limits(growth=0.5, patience_s=60), "size")],
    ids=["used up", "grown"],
)
async def test_a_parent_is_replaced_while_its_last_runs_go_on(rig: WarmRig, limits: Limits, reason: str) -> None:
    execution = rig.execution(limits=limits)
    content = rig.play(f"- wait_for: {{path: {rig.project}/go}}\n- debug: {{msg: done}}", name="slow.yml")
    slow = asyncio.create_task(execution(rig.spec(content)))
    await eventually(lambda: execution._live)
    first = rig.parent(execution).pid
    await execution(rig.spec(rig.play("- debug:")))
    await eventually(lambda: rig.seen.starts == 2)
    assert rig.parent(execution).pid != first
    (rig.project / "go").touch()
    assert (await slow).verdict is Verdict.SUCCEEDED
    await eventually(lambda: gone([first]))
    assert rig.seen.restarts[0] == reason


async def test_all_runs_can_be_killed_from_another_thread_while_the_loop_hangs(rig: WarmRig) -> None:
    """So the lease watchdog does it."""
    busy = Busy(rig)
    run = await busy.start()
    watchdog = threading.Thread(target=busy.execution.kill_all)
    watchdog.start()
    took = wait_for(lambda: not busy.sleepers())  # blocks the event loop
    assert took < WITHIN_S
    watchdog.join()
    assert (await run).verdict is Verdict.CANCELLED
    assert (zombies(), rig.live()) == ([], [])


async def test_a_play_killed_by_the_kernel_is_told_apart(rig: WarmRig) -> None:
    busy = Busy(rig)
    run = await busy.start()
    play = next(pid for pid in busy.tree() if processes.identify(pid).parent == busy.supervisor)  # type: ignore[union-attr]
    os.kill(play, signal.SIGKILL)
    outcome = await asyncio.wait_for(run, 3)
    assert (outcome.verdict, outcome.return_code) == (Verdict.KILLED, -9)
    assert busy.sleepers() == []


async def test_what_a_play_leaves_behind_ends_with_it(rig: WarmRig) -> None:
    """Also a daemon that holds the output open."""
    tasks = """
        - shell: setsid sleep {{ mark }} < /dev/null > /dev/null 2>&1 &
        - command: sleep {{ mark }}
          async: 600
          poll: 0
        - shell: "setsid sleep {{ mark }} > /proc/{{ lookup('pipe', 'ps -o ppid= -p $PPID') | trim }}/fd/1 2>&1 &"
    """
    outcome = await rig.run(rig.play(tasks), {"mark": mark(rig)})
    assert outcome.verdict is Verdict.SUCCEEDED, outcome
    assert outcome.seconds < 20
    assert sleepers(mark(rig)) == []


DRIVER = """
import asyncio, os, sys
from pathlib import Path
from runner.clock import SystemClock
from runner.content import Content
from runner.execution.directory import RunArea
from runner.execution.run import RunSpec
from runner.execution.warm import WarmExecution
from runner.execution.warm.keeper import Limits
from runner.objects import GroupVersionKind, ObjectRef, RunId

base, playbook, ready = map(Path, sys.argv[1:4])

async def main():
    execute = WarmExecution(
        clock=SystemClock(), area=RunArea.open(base), project=base, environment=dict(os.environ),
        limits=Limits(patience_s=60),
    )
    await execute.start()
    spec = RunSpec(
        run_id=RunId("r"), gvk=GroupVersionKind("a", "b", "C"), ref=ObjectRef("n", "x"),
        content=Content(playbook=playbook), extra_vars={"ready": str(ready), "mark": sys.argv[4]}, kubeconfig="k",
        environment=dict(os.environ),
    )
    await execute(spec)

asyncio.run(main())
"""


def start_driver(rig: WarmRig, content: Content, ready: Path) -> subprocess.Popen[bytes]:
    root = str(Path(runner.__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(rig.base), str(content.playbook), str(ready), mark(rig)],
        env={**rig.environ, "PYTHONPATH": root},
    )


async def test_nothing_survives_kill_9_of_the_operator(rig: WarmRig) -> None:
    ready = rig.project / "ready"
    operator = start_driver(rig, rig.play(BUSY), ready)
    await eventually(lambda: ready.exists() and len(sleepers(mark(rig))) == SLEEPERS)
    everything = [process.pid for process in processes.descendants(operator.pid)]
    operator.kill()
    operator.wait()

    def swept() -> bool:
        for orphan in everything:  # this process adopted them, as init would have
            processes.reap(orphan)
        return gone(everything) and not rig.live()

    assert wait_for(swept) < WITHIN_S
    assert sleepers(mark(rig)) == []


async def test_stopping_leaves_no_parent(rig: WarmRig) -> None:
    await rig.run(rig.play("- debug:"))
    parent = rig.parent().pid
    await rig.stop()
    assert gone([parent])


async def test_stopping_while_a_parent_loads_leaves_none(rig: WarmRig) -> None:
    rig.may_be_plain = True
    execution = rig.execution()
    await execution.start()
    await asyncio.to_thread(wait_for, parents)
    await execution.stop()
    assert parents() == []


async def test_stopping_while_a_parent_rehearses_leaves_nothing_on_disk(rig: WarmRig) -> None:
    rig.may_be_plain = True
    execution = rig.execution()
    await execution.start()
    await eventually(rig.live)
    await execution.stop()
    assert rig.live() == []


def parents() -> list[int]:
    """Warm parents below this process."""
    found = processes.descendants(os.getpid())
    return [child.pid for child in found if b"warm.forkserver" in Path(f"/proc/{child.pid}/cmdline").read_bytes()]


def test_limits_of_the_tests_are_patient() -> None:
    """A slow machine must not turn warm runs into plain ones behind a test's back."""
    assert PATIENT.patience_s >= 60
