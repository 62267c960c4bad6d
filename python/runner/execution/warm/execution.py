"""`WarmExecution`: runs as forks of a process that has loaded Ansible already, and plain runs where that won't do.

Promises what `PlainExecution` promises: the same outcome, events and artifacts for the same specification, no process
left behind, nothing raised but cancellation. And: no run waits long for a warm parent; each run that takes the plain
path has a reason, in the log and told to the observer.
"""

import asyncio
import itertools
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from runner.clock import Clock
from runner.execution import environment, events
from runner.execution.directory import RunArea
from runner.execution.job import Job
from runner.execution.outcome import RunOutcome
from runner.execution.run import Execute, Observe, PlainExecution, RunSpec
from runner.execution.supervised import Supervised
from runner.execution.warm import fingerprint, reasons, settings
from runner.execution.warm.keeper import Keeper, Limits
from runner.execution.warm.observer import Nobody, WarmObserver
from runner.execution.warm.parent import Fork, ParentLost, WarmParent
from runner.execution.warm.supervisor import WARM
from runner.logs import fields

__all__ = ["WarmExecution"]

log = logging.getLogger(__name__)

_COLLECTIONS = ("kubernetes.core", "operator_sdk.util")
_MOST_TOLD = 200


class WarmExecution(PlainExecution):
    """Implements `Execute`. Runs are warm between `start` and `stop`, and plain before and after."""

    def __init__(
        self,
        *,
        clock: Clock,
        area: RunArea,
        project: Path,
        collections: Path | None = None,
        observe: Observe | None = None,
        observer: WarmObserver | None = None,
        environment: Mapping[str, str],
        limits: Limits | None = None,
    ) -> None:
        """Store what all runs share; see `PlainExecution`.

        Args:
            observer: is told which path runs and tasks took; `None`: nobody.
            environment: what runs will inherit, so that the first warm parent can load before the first run; runs that
                inherit other settings for Ansible or Python take the plain path.
            limits: of the warm parent.
        """
        super().__init__(clock=clock, area=area, project=project, collections=collections, observe=observe)
        self._limits = limits or Limits()
        self._observer = observer or Nobody()
        self._inherited = dict(environment)
        self._keeper: Keeper | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._told: set[tuple[str, ...]] = set()
        self._numbers = itertools.count(1)

    async def start(self) -> None:
        """Begin to load a warm parent; from the main thread. Returns at once."""
        self._keeper = Keeper(
            job=self._sample,
            paths=self._paths,
            lock_fd=self._area.lock_fd,
            clock=self._clock,
            observer=self._observer,
            limits=self._limits,
        )
        self._keeping = asyncio.create_task(self._keep(self._keeper), name="warm parents")

    async def stop(self) -> None:
        """End the warm parents, and what they may still run. Runs are plain from now on."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
            self._keeping = None

    async def _keep(self, keeper: Keeper) -> None:
        try:
            await keeper.run()
        except Exception:
            log.exception("the keeper of the warm parents failed; runs take the plain path")
        finally:
            self._keeper = None

    def plain(self, reason: str = reasons.SWITCHED_OFF) -> Execute:
        """The same execution for those whose runs must not be warm, told apart by `reason`."""

        async def execute(spec: RunSpec) -> RunOutcome:
            return await self._plain(spec, reason)

        return execute

    async def __call__(self, spec: RunSpec) -> RunOutcome:
        keeper = self._keeper
        if keeper is None:
            return await self._plain(spec, reasons.SWITCHED_OFF)
        if spec.content.playbook is not None and (spec.content.playbook.parent / "collections").is_dir():
            return await self._plain(spec, reasons.BESIDE)
        try:
            job = self._job(spec)
        except (OSError, TypeError, ValueError) as error:
            return self._not_started(spec, error)
        parent = await keeper.borrow()
        if parent is None:
            return await self._plain(spec, reasons.REFUSED if keeper.refusal else reasons.NOT_READY)
        if parent.settings != settings.settings_of(job.environment):
            return await self._plain(spec, reasons.SETTINGS)
        try:
            run = await self._start(job, parent)
        except ParentLost as lost:
            log.warning("the warm parent could not take a run", extra=fields(run=spec.run_id, error=str(lost)))
            keeper.distrust(parent, reasons.HUNG)
            return await self._plain(spec, reasons.LOST)
        except OSError as error:
            return self._not_started(spec, error)
        self._observer.warm_run()
        try:
            return await self._see_through(spec, run, began=self._clock.monotonic())
        finally:
            keeper.give_back(parent)

    async def _plain(self, spec: RunSpec, reason: str) -> RunOutcome:
        self._observer.plain_run(reason)
        self._tell("run takes the plain path", reason, kind=spec.gvk.kind)
        return await super().__call__(spec)

    async def _start(self, job: Job, parent: WarmParent) -> Supervised:
        ours, theirs = socket.socketpair()
        try:
            fork = await parent.fork(theirs, within_s=self._limits.answer_s)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        channel = await asyncio.open_connection(sock=ours, limit=events.MAX_LINE)
        return _WarmRun(job, fork, channel, parent=parent, report=self._report)

    def _report(self, record: Mapping[str, Any]) -> None:
        what, action, reason = (str(record.get(key, "")) for key in ("what", "action", "reason"))
        self._observer.task(what, action, reason)
        if reason and what == "module":
            self._tell("module takes a process of its own", reason, action=action)

    def _tell(self, message: str, reason: str, **values: str) -> None:
        """Say it once at INFO; what is said of every run is noise."""
        told = (message, reason, *values.values())
        first = told not in self._told and len(self._told) < _MOST_TOLD
        if first:
            self._told.add(told)
        log.log(logging.INFO if first else logging.DEBUG, message, extra=fields(reason=reason, **values))

    def _sample(self) -> Job:
        """A job like those that will run, in a directory that may be made and removed."""
        return self._job(reasons.sample_spec(next(self._numbers), self._inherited))

    def _paths(self, files: Iterable[str]) -> set[str]:
        configs = environment.config_candidates(self._inherited, project=self._project)
        return fingerprint.watched(
            files,
            collections_path=self._sample().environment["ANSIBLE_COLLECTIONS_PATH"],
            configs=[str(path) for path in configs],
            names=_COLLECTIONS,
        )


class _WarmRun(Supervised):
    """A run whose supervisor is a fork, and whose records of paths taken go to another listener than its events."""

    def __init__(
        self,
        job: Job,
        fork: Fork,
        channel: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        *,
        parent: WarmParent,
        report: Callable[[Mapping[str, Any]], None],
    ) -> None:
        # A fork has all that is used of a process.
        super().__init__(job, cast("asyncio.subprocess.Process", fork), channel)
        self._parent = parent
        self._report = report

    async def follow(self) -> AsyncIterator[Mapping[str, Any]]:
        async for record in super().follow():
            if record["kind"] == WARM:
                self._report(record)
            else:
                yield record

    async def complaint(self) -> str:
        return "the warm parent ended, and the run with it" if self._parent.lost.is_set() else ""
