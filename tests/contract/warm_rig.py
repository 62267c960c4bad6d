"""A `Rig` whose runs are warm: the same specifications, the same checks, another execution."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from runner.clock import SystemClock
from runner.execution import environment
from runner.execution.outcome import RunOutcome
from runner.execution.run import RunSpec
from runner.execution.warm import WarmExecution
from runner.execution.warm.keeper import Limits
from tests.contract.test_execution_run import Rig

PATIENT = Limits(patience_s=60.0, answer_s=30.0)


class Seen:
    """A `WarmObserver` that remembers."""

    def __init__(self) -> None:
        self.warm = 0
        self.plain: list[str] = []
        self.tasks: list[tuple[str, str, str]] = []
        self.restarts: list[str] = []
        self.starts = 0

    def warm_run(self) -> None:
        self.warm += 1

    def plain_run(self, reason: str) -> None:
        self.plain.append(reason)

    def task(self, what: str, action: str, reason: str) -> None:
        self.tasks.append((what, action, reason))

    def restarted(self, reason: str) -> None:
        self.restarts.append(reason)

    def ready(self, seconds: float) -> None:
        self.starts += 1

    def reasons(self, what: str) -> dict[str, set[str]]:
        """By action, why it needed a process of its own; an empty text: it did not."""
        found: dict[str, set[str]] = {}
        for kind, action, reason in self.tasks:
            if kind == what:
                found.setdefault(action, set()).add(reason)
        return found


class _Started(WarmExecution):
    """Starts with its first run; the operator starts it before."""

    _begun = False

    async def __call__(self, spec: RunSpec) -> RunOutcome:
        if not self._begun:
            self._begun = True
            await self.start()
        return await super().__call__(spec)


class WarmRig(Rig):
    """Starts a warm parent with the first execution, for the environment as it is by then."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.seen = Seen()
        self.may_be_plain = False
        self._shared: WarmExecution | None = None
        self._all: list[WarmExecution] = []

    def execution(self, **options: Any) -> WarmExecution:
        if self._shared is not None and not options:
            return self._shared
        settings: dict[str, Any] = {
            "collections": None,
            "observe": lambda _spec, event: self.events.append(event),
            "observer": self.seen,
            "environment": environment.inherit(self.environ),
            "limits": PATIENT,
        }
        clock = options.pop("clock", SystemClock())
        execution = _Started(clock=clock, area=self.area, project=self.project, **{**settings, **options})
        self._all.append(execution)
        self._shared = self._shared or execution
        return execution

    def parent(self, execution: WarmExecution | None = None) -> Any:
        keeper = (execution or self.execution())._keeper
        assert keeper is not None
        assert keeper._current is not None
        return keeper._current

    async def stop(self) -> None:
        for execution in self._all:
            await execution.stop()


@contextlib.asynccontextmanager
async def warm_rig(tmp_path: Path) -> AsyncIterator[WarmRig]:
    """Checks at the end that no run was plain behind the test's back, and that nothing is left."""
    rig = WarmRig(tmp_path)
    try:
        yield rig
    finally:
        await rig.stop()
        left = rig.live()
        rig.area.close()
        shutil.rmtree(rig.base)
    assert left == []
    if not rig.may_be_plain:
        assert rig.seen.plain == []
