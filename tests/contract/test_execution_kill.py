"""However a run ends, no process of it stays: not one in its own session, not a daemon, not a zombie."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import runner
from runner.clock import SystemClock
from runner.content import Content
from runner.execution import processes
from runner.execution.outcome import RunOutcome, Verdict
from runner.execution.run import PlainExecution
from tests.contract.test_execution_run import Rig, rig

__all__ = ["rig"]

pytestmark = [pytest.mark.ansible, pytest.mark.usefixtures("nobody_adopted")]

# A child of the module, one in a session of its own, a daemon that forked twice, one without environment.
BUSY = """
    - name: be busy
      shell: |
        setsid sleep {{ mark }} < /dev/null > /dev/null 2>&1 &
        (setsid sh -c 'sleep {{ mark }} & exit 0' &) ; (env -i setsid sleep {{ mark }} &)
        touch {{ ready }}
        sleep {{ mark }}
"""
WITHIN_S = 1.0
SLEEPERS = 4


def mark(rig: Rig) -> str:
    """A time to sleep that nobody else sleeps."""
    return f"300.{zlib.crc32(str(rig.base).encode())}"


def mine(rig: Rig) -> list[int]:
    """Processes of this rig's runs: by their environment, which holds the base directory, or by their command."""
    needle = str(rig.base).encode()
    command = mark(rig).encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if needle in (entry / "environ").read_bytes() or command in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def zombies() -> list[processes.Process]:
    return [child for child in processes.table().values() if child.parent == os.getpid() and child.zombie]


def reap_adopted() -> None:
    """Bury what lost its parents: this process has adopted it, as init would have."""
    for orphan in zombies():
        processes.reap(orphan.pid)


def wait_for(check: Callable[[], object], seconds: float = 15.0) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < seconds
        time.sleep(0.01)
    return time.monotonic() - began


def start_bystander() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "299"])


class Busy:
    """A run in the middle of its play, with four sleepers of all kinds."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.ready = rig.project / "ready"
        self.execution = rig.execution()
        self.task: asyncio.Task[RunOutcome] | None = None

    async def start(self, timeout_s: float | None = None) -> asyncio.Task[RunOutcome]:
        variables = {"ready": str(self.ready), "mark": mark(self.rig)}
        spec = self.rig.spec(self.rig.play(BUSY), variables, timeout_s=timeout_s)
        self.task = asyncio.create_task(self.execution(spec))
        await self.until_ready()
        return self.task

    async def until_ready(self) -> None:
        await asyncio.to_thread(wait_for, self.ready.exists)
        await asyncio.to_thread(wait_for, lambda: len(self.sleepers()) == SLEEPERS)

    def sleepers(self) -> list[int]:
        return [pid for pid in mine(self.rig) if b"sleep" in _command(pid)]

    @property
    def supervisor(self) -> int:
        return next(iter(self.execution._live))

    def assert_gone(self) -> None:
        assert mine(self.rig) == []
        assert zombies() == []
        assert self.rig.live() == []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return b""


@pytest.fixture(autouse=True)
def tidy(rig: Rig) -> Iterator[None]:
    """A test that fails must not disturb the next one."""
    yield
    for pid in mine(rig):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def busy(rig: Rig) -> Busy:
    return Busy(rig)


async def test_cancelling_kills_the_whole_tree(busy: Busy) -> None:
    run = await busy.start()
    began = time.monotonic()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert time.monotonic() - began < WITHIN_S
    busy.assert_gone()


async def test_cancelling_twice_kills_it_too(busy: Busy) -> None:
    """With a supervisor that does not answer."""
    run = await busy.start()
    os.kill(busy.supervisor, signal.SIGSTOP)
    run.cancel()
    await asyncio.sleep(0.05)
    began = time.monotonic()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert time.monotonic() - began < WITHIN_S
    busy.assert_gone()


async def test_the_timeout_kills_the_whole_tree(rig: Rig) -> None:
    class Stepping(SystemClock):
        """Stands still until told."""

        due = asyncio.Event()

        def monotonic(self) -> float:
            return 100.0 if self.due.is_set() else 0.0

        async def sleep(self, seconds: float) -> None:
            assert seconds == 60
            await self.due.wait()

    busy = Busy(rig)
    clock = Stepping()
    busy.execution = PlainExecution(clock=clock, area=rig.area, project=rig.project)
    run = await busy.start(timeout_s=60)
    began = time.monotonic()
    clock.due.set()
    outcome = await run
    assert time.monotonic() - began < WITHIN_S
    assert (outcome.verdict, outcome.stats, outcome.failures) == (Verdict.TIMED_OUT, None, ())
    assert f"in task be busy ({rig.project}/play.yml:" in outcome.detail
    busy.assert_gone()


async def test_a_killed_supervisor_leaves_nothing(busy: Busy) -> None:
    """The operator does what the supervisor cannot do any more."""
    run = await busy.start()
    os.kill(busy.supervisor, signal.SIGKILL)
    outcome = await asyncio.wait_for(run, 3)
    assert outcome.verdict is Verdict.KILLED
    assert "SIGKILL" in outcome.detail
    busy.assert_gone()


async def test_a_killed_supervisor_takes_no_other_run_along(rig: Rig) -> None:
    victim, other = Busy(rig), Busy(rig)
    other.execution = victim.execution
    first = await victim.start()
    content = rig.play(f"- wait_for: {{path: {rig.project}/go}}\n- debug: {{msg: done}}", name="other.yml")
    second = asyncio.create_task(victim.execution(rig.spec(content)))
    bystander = start_bystander()
    await asyncio.sleep(0.5)
    os.kill(victim.supervisor, signal.SIGKILL)
    assert (await first).verdict is Verdict.KILLED
    assert victim.sleepers() == []
    (rig.project / "go").touch()
    assert (await second).verdict is Verdict.SUCCEEDED
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
    victim.assert_gone()


async def test_ansible_killed_by_the_kernel_is_told_apart(busy: Busy) -> None:
    run = await busy.start()
    playbook = next(pid for pid in mine(busy.rig) if processes.identify(pid).parent == busy.supervisor)  # type: ignore[union-attr]
    os.kill(playbook, signal.SIGKILL)
    outcome = await asyncio.wait_for(run, 3)
    assert (outcome.verdict, outcome.return_code) == (Verdict.KILLED, -9)
    busy.assert_gone()


async def test_all_runs_can_be_killed_from_another_thread_while_the_loop_hangs(rig: Rig) -> None:
    """So the lease watchdog does it."""
    busy = Busy(rig)
    run = await busy.start()
    watchdog = threading.Thread(target=busy.execution.kill_all)
    watchdog.start()
    began = time.monotonic()
    wait_for(lambda: not busy.sleepers())  # blocks the event loop
    assert time.monotonic() - began < WITHIN_S
    watchdog.join()
    assert (await run).verdict is Verdict.CANCELLED
    busy.assert_gone()


async def test_what_a_play_leaves_behind_ends_with_it(rig: Rig) -> None:
    """Also a daemon that holds the output open, for which ansible-runner would wait."""
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
    assert mine(rig) == []
    assert zombies() == []


DRIVER = """
import asyncio, os, sys
from pathlib import Path
from runner.clock import SystemClock
from runner.content import Content
from runner.execution.directory import RunArea
from runner.execution.run import PlainExecution, RunSpec
from runner.objects import GroupVersionKind, ObjectRef, RunId

base, playbook, ready = map(Path, sys.argv[1:4])
execute = PlainExecution(clock=SystemClock(), area=RunArea.open(base), project=base)
spec = RunSpec(
    run_id=RunId("r"), gvk=GroupVersionKind("a", "b", "C"), ref=ObjectRef("n", "x"), content=Content(playbook=playbook),
    extra_vars={"ready": str(ready), "mark": sys.argv[4]}, kubeconfig="k", environment=dict(os.environ),
)
asyncio.run(execute(spec))
"""


def start_driver(rig: Rig, content: Content, ready: Path) -> subprocess.Popen[bytes]:
    root = str(Path(runner.__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(rig.base), str(content.playbook), str(ready), mark(rig)],
        env={**rig.environ, "PYTHONPATH": root},
    )


async def test_nothing_survives_kill_9_of_the_operator(rig: Rig) -> None:
    busy = Busy(rig)
    operator = start_driver(rig, rig.play(BUSY), busy.ready)
    await busy.until_ready()
    assert len(rig.live()) == 1
    operator.kill()
    operator.wait()
    assert wait_for(lambda: not mine(rig) and not rig.live()) < WITHIN_S
    reap_adopted()


async def test_kill_9_of_operator_and_supervisor_is_swept_up_by_the_next_one(rig: Rig) -> None:
    """Nobody is left to kill the play; the next operator at least removes what lies on disk."""
    busy = Busy(rig)
    operator = start_driver(rig, rig.play(BUSY), busy.ready)
    await busy.until_ready()
    children = processes.descendants(operator.pid)
    for process in children:
        os.kill(process.pid, signal.SIGSTOP)
    operator.kill()
    for process in children:
        os.kill(process.pid, signal.SIGKILL)
    operator.wait()
    await asyncio.to_thread(wait_for, lambda: not mine(rig))
    reap_adopted()
    assert len(rig.live()) == 1
    type(rig.area).open(rig.base).close()
    assert rig.live() == []
