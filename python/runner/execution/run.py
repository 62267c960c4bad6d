"""The doorway to Ansible: a run's specification in, a `RunOutcome` out.

`PlainExecution` starts a fresh `ansible-playbook` below a supervisor for each run. Whatever goes wrong on the way (a
full disk, no more processes, a broken installation) is a failed run, never an exception.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from runner.clock import Clock
from runner.content import Content
from runner.execution import environment, waiting
from runner.execution.conclusion import conclude
from runner.execution.directory import RunArea, RunDirectory
from runner.execution.job import Job
from runner.execution.outcome import RunOutcome
from runner.execution.supervised import Supervised
from runner.execution.tally import Tally
from runner.logs import fields
from runner.objects import GroupVersionKind, ObjectRef, RunId

__all__ = ["Execute", "Observe", "PlainExecution", "RunSpec"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run of Ansible for one object."""

    run_id: RunId
    gvk: GroupVersionKind
    ref: ObjectRef
    content: Content
    extra_vars: Mapping[str, Any]
    """JSON-ready, strings from the cluster already marked unsafe (`extravars.build`)."""
    kubeconfig: str
    """Text of the kubeconfig that leads to the gateway; written 0600 into the run's directory."""
    timeout_s: float | None = None
    """`None`: the run may take for ever."""
    verbosity: int = 2
    ansible_args: str = ""
    """Verbatim arguments for `ansible-playbook`, from `--ansible-args`."""
    max_artifacts: int = 0
    """How many finished runs of this object to keep on disk; 0: none."""
    check: bool = False
    """Dry run: `--check --diff`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The run's whole environment but for what execution itself sets (kubeconfig, collections, temp dirs)."""


class Execute(Protocol):
    """Runs a specification to its end. The plain path is one implementation, the warm path another.

    Cancelling the call kills the run's whole process tree before `CancelledError` is raised on.
    """

    async def __call__(self, spec: RunSpec) -> RunOutcome: ...


class Observe(Protocol):
    """Is told every event of every run as it happens, in order within a run. Must not wait."""

    def __call__(self, spec: RunSpec, event: Mapping[str, Any]) -> None:
        """`event` is a projection (`events.project`)."""


class PlainExecution:
    """Implements `Execute`. `kill_all` is for another thread, and works when the event loop does not."""

    def __init__(
        self,
        *,
        clock: Clock,
        area: RunArea,
        project: Path,
        collections: Path | None = None,
        observe: Observe | None = None,
    ) -> None:
        """Store what all runs share.

        Args:
            clock: measures the runs' timeouts.
            area: where runs live on disk, open.
            project: the operator's working directory, where an `ansible.cfg` may lie.
            collections: the directory of our own collections; they win over installed ones. `None`: none.
            observe: is told every event; `None`: nobody.
        """
        self._clock = clock
        self._area = area
        self._project = project
        self._collections = collections
        self._observe = observe
        self._live: dict[int, Supervised] = {}

    async def __call__(self, spec: RunSpec) -> RunOutcome:
        began = self._clock.monotonic()
        try:
            job = self._job(spec)
            run = await Supervised.start(job, lock_fd=self._area.lock_fd)
        except (OSError, TypeError, ValueError) as error:
            return self._not_started(spec, error)
        return await self._see_through(spec, run, began=began)

    @staticmethod
    def _not_started(spec: RunSpec, error: Exception) -> RunOutcome:
        return conclude(run_id=spec.run_id, tally=Tally(), error=f"the run could not be started: {error}")

    async def _see_through(self, spec: RunSpec, run: Supervised, *, began: float) -> RunOutcome:
        """Follow a run that was started to its end, whatever started it; `began` is the clock's monotonic time."""
        self._live[run.pid] = run
        tally = Tally()
        try:
            in_time = await self._follow(run, spec, tally)
        finally:
            try:
                code = await run.end(spare=self._live.keys())
            finally:
                del self._live[run.pid]
        if tally.bad_requeue:
            log.warning("requeue_after ignored", extra=fields(ref=spec.ref, run=spec.run_id, period=tally.bad_requeue))
        return conclude(
            run_id=spec.run_id,
            tally=tally,
            last_word=run.last_word,
            exit_code=code,
            error=await run.complaint() if run.last_word is None else "",
            timed_out=not in_time,
            cancelled=run.killed,
            seconds=self._clock.monotonic() - began,
        )

    async def _follow(self, run: Supervised, spec: RunSpec, tally: Tally) -> bool:
        """Take in events until there are no more; false if the time was up before."""

        async def read() -> None:
            async for event in run.follow():
                tally.add(event)
                if self._observe is not None:
                    self._observe(spec, event)

        return await waiting.within(spec.timeout_s, read(), clock=self._clock, name=f"run {spec.run_id}")

    def kill_all(self) -> None:
        """SIGKILL every process of every run that is going on. For any thread; takes milliseconds."""
        for run in list(self._live.values()):
            run.kill()

    def _job(self, spec: RunSpec) -> Job:
        directory = RunDirectory(self._area.place())
        inherited = spec.environment
        config = next((path for path in environment.config_candidates(inherited, project=self._project)
                       if path.is_file()), None)  # fmt: skip
        where: dict[str, Any] = {
            "project": self._project,
            "config": config.read_text(encoding="utf-8", errors="replace") if config else "",
            "config_directory": config.parent if config else None,
        }
        own_config = self._project / "ansible.cfg"
        inventory = inherited.get("ANSIBLE_INVENTORY", "")
        return Job(
            run_id=spec.run_id,
            directory=str(directory.path),
            role=str(spec.content.role or ""),
            playbook=str(spec.content.playbook or ""),
            extra_vars=json.dumps(spec.extra_vars),
            kubeconfig=spec.kubeconfig,
            environment=environment.complete(
                inherited,
                kubeconfig=directory.kubeconfig,
                tmp=directory.tmp,
                collections=self._collections,
                installed_collections=environment.collections_path(inherited, **where),
                roles=environment.roles_path(inherited, **where),
                ansible_config=own_config if config == own_config else None,
            ),
            cmdline=" ".join(filter(None, (spec.ansible_args, "--check --diff" if spec.check else ""))),
            verbosity=spec.verbosity,
            gather_facts=inherited.get("ANSIBLE_GATHERING") != "explicit",
            inventory=str(self._project / inventory) if inventory else "",
            keep_in=str(self._area.kept(spec.gvk, spec.ref)) if spec.max_artifacts > 0 else "",
            keep_count=spec.max_artifacts,
        )
