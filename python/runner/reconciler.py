"""One reconcile of one object: read, decide, run, tell.

Level-triggered: it looks at what is, never at which event brought it here, so any two of its steps may be torn apart
by a crash and the next reconcile goes on. Nothing is kept between two reconciles of an object but what its annotations
last said well.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from runner import finalizers, remarks, runlog, status
from runner.annotations import Annotations
from runner.clock import Clock
from runner.decision import Plan, Step, content_of, decide
from runner.execution import extravars
from runner.execution.outcome import RunOutcome
from runner.execution.run import Execute, RunSpec
from runner.gateway.access import Access, Grant, kubeconfig
from runner.gateway.server import Gateway
from runner.kube.client import KubeClient
from runner.kube.discovery import NotServed
from runner.kube.errors import ApiError
from runner.logs import fields
from runner.objects import Meta, ObjectRef, Raw, Resource, RunId
from runner.recorder import Notice, Recorder, notices_of
from runner.results import ReconcileError, Result, TerminalError
from runner.statuswriter import StatusWriter
from runner.usermetrics import door as usermetricshttp
from runner.watches import Watch

__all__ = ["ReconcileObserver", "Reconciler", "RunDefaults"]

logger = logging.getLogger(__name__)

_ANNOUNCE_AFTER_S = 5.0


class ReconcileObserver(Protocol):
    """Told how runs go, for metrics."""

    def run_started(self, run_id: RunId) -> None: ...

    def run_finished(self, run_id: RunId, outcome: RunOutcome | None) -> None:
        """`outcome` is `None` where the run was cut off by our own end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDefaults:
    """What a run gets where neither the watch nor the object says otherwise."""

    reconcile_period_s: float
    verbosity: int
    ansible_args: str
    inject_owner: bool
    environment: Mapping[str, str]
    warn_after_s: float


class Reconciler:
    """Serves the objects of one watch."""

    def __init__(
        self,
        *,
        watch: Watch,
        find: Callable[[], Awaitable[Resource]],
        client: KubeClient,
        gateway: Gateway,
        execute: Execute,
        recorder: Recorder,
        defaults: RunDefaults,
        new_run_id: Callable[[], RunId],
        forget: Callable[[ObjectRef], None],
        clock: Clock,
        observer: ReconcileObserver,
    ) -> None:
        """Args:
        find: how the API server serves the watch's kind now.
        forget: told that an object is gone, so that what was kept of its runs can go too.
        """
        self._watch = watch
        self._find = find
        self._client = client
        self._gateway = gateway
        self._execute = execute
        self._recorder = recorder
        self._defaults = defaults
        self._new_run_id = new_run_id
        self._forget = forget
        self._clock = clock
        self._observer = observer
        self._statuses = StatusWriter(client, watch.gvk)
        self._annotations = Annotations()
        self._reserved: set[str] = set()

    async def reconcile(self, ref: ObjectRef) -> Result:
        """Bring the world to what the object says.

        Raises:
            ReconcileError: the run failed, which the object's status tells; the queue tries again.
            KubeError: the API server could not be asked or told.
        """
        try:
            resource = await self._find()
            obj = await self._client.get(resource, ref)
        except NotServed as error:
            raise ReconcileError("NotServed", str(error)) from error
        except ApiError as error:
            if error.not_found:
                self._annotations.forget(ref)
                self._forget(ref)
                return Result.await_change()
            raise
        meta = Meta.of(obj)
        wishes, complaints = self._annotations.look(meta)
        plan = decide(meta, self._watch, wishes, default_period_s=self._defaults.reconcile_period_s)
        if plan.step is Step.IGNORE:
            self._annotations.forget(ref)
            logger.debug("nothing to do", extra=fields(ref=ref, reason=plan.reason))
            return Result.await_change()
        for complaint in complaints:
            logger.warning("annotation ignored", extra=fields(ref=meta.ref, complaint=complaint))
        await self._say(meta, remarks.of_annotations(complaints))
        if plan.step is Step.ADD_FINALIZER:
            obj = await finalizers.add(self._client, resource, obj, self._finalizer)
        return await self._serve(resource, obj, plan)

    async def _serve(self, resource: Resource, obj: Raw, plan: Plan) -> Result:
        meta = Meta.of(obj)
        run_id = self._new_run_id()
        finalizing = plan.step is Step.FINALIZE
        variables = await self._variables(resource, obj, finalizing=finalizing)
        before: Raw = obj.get("status") or {}
        self._tell_of_reserved(variables.reserved)
        await self._say(meta, remarks.of_templates(variables, before, meta.generation))
        if self._watch.manage_status and not finalizing:
            obj = await self._announce_if_awaited(resource, obj)
        async with self._access(run_id, meta, resource) as access:
            spec = self._spec(run_id, meta, plan, variables, access)
            outcome = await self._run(resource, obj, spec)
        logger.info("run finished", extra=runlog.summary(self._watch.gvk, meta, outcome))
        await self._say(meta, remarks.of_loops(access.usage.loops))
        if finalizing and outcome.succeeded:
            await finalizers.remove(self._client, resource, meta, self._finalizer)
            return Result.await_change()
        await self._tell(resource, obj, before, outcome)
        if not outcome.succeeded:
            raise ReconcileError(outcome.verdict.value, status.describe_failure(outcome))
        after_s = plan.period_s if outcome.requeue_after_s is None else outcome.requeue_after_s
        return Result.requeue(after_s) if after_s else Result.await_change()

    @property
    def _finalizer(self) -> str:
        assert self._watch.finalizer is not None, "a step with a finalizer is decided on only where there is one"
        return self._watch.finalizer.name

    # What the run is given

    async def _variables(self, resource: Resource, obj: Raw, *, finalizing: bool) -> extravars.ExtraVars:
        finalizer = self._watch.finalizer if finalizing else None
        try:
            return extravars.build(
                obj,
                snake_case=self._watch.snake_case_parameters,
                mark_unsafe=self._watch.mark_unsafe,
                watch_vars=self._watch.vars,
                finalizer_vars=finalizer.vars if finalizer else None,
            )
        except extravars.BadParameters as error:
            await self._refuse(resource, obj, str(error))
            raise TerminalError(status.REFUSED, str(error)) from error

    def _spec(self, run_id: RunId, meta: Meta, plan: Plan, variables: extravars.ExtraVars, access: Access) -> RunSpec:
        watch, defaults = self._watch, self._defaults
        return RunSpec(
            run_id=run_id,
            gvk=watch.gvk,
            ref=meta.ref,
            content=content_of(plan.step, watch),
            extra_vars=variables.values,
            kubeconfig=kubeconfig(access, meta.ref.namespace),
            timeout_s=watch.run_timeout_s,
            verbosity=defaults.verbosity if plan.verbosity is None else plan.verbosity,
            ansible_args=defaults.ansible_args,
            max_artifacts=watch.max_runner_artifacts if plan.max_artifacts is None else plan.max_artifacts,
            environment={**defaults.environment, **usermetricshttp.variables(access.url)},
        )

    @asynccontextmanager
    async def _access(self, run_id: RunId, meta: Meta, resource: Resource) -> AsyncIterator[Access]:
        grant = Grant(
            run_id=run_id,
            owner_gvk=self._watch.gvk,
            owner_ref=meta.ref,
            owner_uid=meta.uid,
            owner_namespaced=resource.namespaced,
            owner_generation=meta.generation,
            inject_owner=self._defaults.inject_owner,
            controller_reference=self._watch.controller_reference,
            watch_dependents=self._watch.watch_dependent_resources,
            blacklist=self._watch.blacklist,
            dependent_ignore=self._watch.dependent_ignore,
            dry_run=False,
        )
        access = self._gateway.grant(grant)
        try:
            yield access
        finally:
            self._gateway.revoke(access)

    # The run

    async def _run(self, resource: Resource, obj: Raw, spec: RunSpec) -> RunOutcome:
        logger.debug("run starts", extra=fields(ref=spec.ref, run=spec.run_id))
        outcome: RunOutcome | None = None
        self._observer.run_started(spec.run_id)
        beside = asyncio.create_task(self._beside(resource, obj, spec), name=f"beside run {spec.run_id}")
        try:
            outcome = await self._execute(spec)
        finally:
            beside.cancel()
            await asyncio.wait({beside})
            self._observer.run_finished(spec.run_id, outcome)
        return outcome

    async def _beside(self, resource: Resource, obj: Raw, spec: RunSpec) -> None:
        """What is said about a run while it goes on: that it runs at all, and that it takes very long."""
        try:
            await self._clock.sleep(_ANNOUNCE_AFTER_S)
            if self._watch.manage_status:
                await self._announce(resource, obj, fresh=False)
            await self._clock.sleep(self._defaults.warn_after_s - _ANNOUNCE_AFTER_S)
            await self._say(Meta.of(obj), remarks.of_slowness(self._defaults.warn_after_s))
        except Exception as error:  # noqa: BLE001 - a word on the side must not end the run
            logger.warning("the run's progress could not be told", extra=fields(ref=spec.ref, error=error))

    # What is told

    async def _announce_if_awaited(self, resource: Resource, obj: Raw) -> Raw:
        if not status.needs_announcing(obj.get("status") or {}, Meta.of(obj).generation):
            return obj
        return await self._announce(resource, obj, fresh=True)

    async def _announce(self, resource: Resource, obj: Raw, *, fresh: bool) -> Raw:
        generation = Meta.of(obj).generation

        def compute(old: Raw) -> Raw:
            return status.running(old, generation=generation, now=self._clock.now())

        written = await self._statuses.write(resource, obj, compute, fresh=fresh)
        return written.obj if written else obj

    async def _tell(self, resource: Resource, obj: Raw, before: Raw, outcome: RunOutcome) -> None:
        """Write the status after a run. The role may have written its own part meanwhile, so it is read again.

        Events compare with `before`, the status before we announced the run: the same failure again is no news.
        """
        meta = Meta.of(obj)
        if not self._watch.manage_status:
            return

        def compute(old: Raw) -> Raw:
            return status.finished(old, outcome, generation=meta.generation, now=self._clock.now())

        written = await self._statuses.write(resource, obj, compute, fresh=False)
        if written is not None:
            now: Raw = written.obj.get("status") or {}
            await self._say(meta, notices_of(before, now, outcome))
            await self._say(meta, remarks.of_hosts(outcome, before, meta.generation))

    async def _refuse(self, resource: Resource, obj: Raw, message: str) -> None:
        meta = Meta.of(obj)

        def compute(old: Raw) -> Raw:
            return status.refused(old, message, generation=meta.generation, now=self._clock.now())

        if not self._watch.manage_status:
            return
        written = await self._statuses.write(resource, obj, compute)
        if written is not None and written.changed:
            after: Raw = written.obj.get("status") or {}
            await self._say(meta, notices_of(written.before, after))

    async def _say(self, meta: Meta, notices: tuple[Notice, ...]) -> None:
        await self._recorder.record(self._watch.gvk, meta, notices)

    def _tell_of_reserved(self, names: Iterable[str]) -> None:
        """Log names that mean something to Ansible too, once for the kind: existing resources use them."""
        new = sorted(set(names) - self._reserved)
        if new:
            self._reserved.update(new)
            logger.warning("spec keys that are words of Ansible", extra=fields(gvk=self._watch.gvk, names=new))
