"""One reconcile, state in and state out: an object and a run's outcome in, patches, Events and a Result out."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fake_objects import ECHOS, FakeObjects
from fakes import FakeClock, settle
from runner.content import Content
from runner.execution.outcome import RunOutcome, Stats, TaskFailure, Verdict
from runner.execution.run import RunSpec
from runner.fieldpaths import FieldPath
from runner.gateway.access import Access, Grant
from runner.gateway.loopbreaker import Loop
from runner.kube.discovery import NotServed
from runner.kube.errors import ApiError
from runner.labelselector import Selector
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource, RunId
from runner.reconciler import Reconciler, RunDefaults
from runner.recorder import Recorder
from runner.results import ReconcileError, Result, TerminalError
from runner.watches import Finalizer, Watch

X = ObjectRef("a", "x")
FINALIZER = Finalizer(name="mmontes.io/finalizer", content=None, vars={"gone": True})


class FakeGateway:
    """Hands out accesses and sees to it that each is taken back."""

    def __init__(self) -> None:
        self.grants: list[Grant] = []
        self.open: list[Access] = []

    def grant(self, grant: Grant) -> Access:
        self.grants.append(grant)
        access = Access(run_id=grant.run_id, token="t", url="http://run:t@127.0.0.1:1", server="http://127.0.0.1:1")
        self.open.append(access)
        return access

    def revoke(self, access: Access) -> None:
        self.open.remove(access)


class FakeRun:
    """Ends each run as the test says; `during` is what happens in the cluster meanwhile."""

    def __init__(self) -> None:
        self.specs: list[RunSpec] = []
        self.verdict = Verdict.SUCCEEDED
        self.message = "no"
        self.requeue_after_s: float | None = None
        self.stats: Stats | None = None
        self.during: Callable[[], Any] = lambda: None
        self.seconds = 0.0
        self.clock: FakeClock | None = None

    async def __call__(self, spec: RunSpec) -> RunOutcome:
        self.specs.append(spec)
        if self.seconds:
            assert self.clock is not None
            await self.clock.sleep(self.seconds)
        self.during()
        failed = self.verdict is not Verdict.SUCCEEDED
        task = TaskFailure(task="echo : Create", action="kubernetes.core.k8s", path="main.yml:7", message=self.message)
        return RunOutcome(
            run_id=spec.run_id,
            verdict=self.verdict,
            return_code=2 if failed else 0,
            stats=self.stats or Stats(ok={"localhost": 1}, failures={"localhost": 1} if failed else {}),
            failures=(task,) if failed else (),
            requeue_after_s=self.requeue_after_s,
        )


class FakeObserver:
    def __init__(self) -> None:
        self.started: list[RunId] = []
        self.finished: list[Verdict | None] = []

    def run_started(self, run_id: RunId) -> None:
        self.started.append(run_id)

    def run_finished(self, run_id: RunId, outcome: RunOutcome | None) -> None:
        assert run_id in self.started
        self.finished.append(outcome.verdict if outcome else None)


class World:
    """A reconciler with everything around it in memory."""

    def __init__(self, **watch: Any) -> None:
        self.clock = FakeClock()
        self.kube = FakeObjects()
        self.run = FakeRun()
        self.run.clock = self.clock
        self.gateway = FakeGateway()
        self.observer = FakeObserver()
        self.forgotten: list[ObjectRef] = []
        self.served = True
        self.resource = ECHOS
        ids = iter(range(1000))
        self.reconciler = Reconciler(
            watch=Watch(gvk=ECHOS.gvk, **{"content": Content(), **watch}),
            find=self.find,
            client=self.kube,  # type: ignore[arg-type]  # the calls it makes
            gateway=self.gateway,  # type: ignore[arg-type]
            execute=self.run,
            recorder=Recorder(
                self.kube,  # type: ignore[arg-type]
                component="ansible-operator",
                instance="test",
                clock=self.clock,
                count_denied=lambda: None,
            ),
            defaults=RunDefaults(
                reconcile_period_s=36000,
                verbosity=2,
                ansible_args="",
                inject_owner=True,
                environment={"A": "b"},
                warn_after_s=3600,
            ),
            new_run_id=lambda: RunId(f"run-{next(ids)}"),
            forget=self.forgotten.append,
            clock=self.clock,
            observer=self.observer,
        )

    async def find(self) -> Resource:
        if not self.served:
            raise NotServed(str(ECHOS.gvk))
        return self.resource

    async def reconcile(self) -> Result:
        result = await self.reconciler.reconcile(X)
        assert self.gateway.open == []
        return result

    def condition(self, kind: str) -> Raw:
        conditions = self.kube.objects[X]["status"]["conditions"]
        return next((entry for entry in conditions if entry["type"] == kind), {})

    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.kube.events]


async def test_a_new_object_is_announced_run_and_told() -> None:
    world = World()
    world.kube.put(X, spec={"message": "hello"})
    assert await world.reconcile() == Result.requeue(36000)
    assert [subresource for subresource, _, _ in world.kube.writes] == ["status", "status"]
    assert world.condition("Successful")["status"] == "True"
    assert world.condition("Ready")["observedGeneration"] == 1
    assert world.kube.objects[X]["status"]["observedGeneration"] == 1
    assert world.reasons() == ["Reconciled"]
    assert world.observer.finished == [Verdict.SUCCEEDED]


async def test_a_run_is_given_the_object_and_nothing_else() -> None:
    world = World(vars={"colour": "blue"}, run_timeout_s=60.0, controller_reference=True)
    obj = world.kube.put(X, spec={"messageText": "{{ hostile }}"})
    await world.reconcile()
    (spec,) = world.run.specs
    assert spec.extra_vars["message_text"] == {"__ansible_unsafe": "{{ hostile }}"}
    assert spec.extra_vars["ansible_operator_meta"] == {"namespace": "a", "name": "x"}
    assert spec.extra_vars["colour"] == "blue"
    address = {"OSDK_METRICS_URL": "http://run:t@127.0.0.1:1/operator/metrics"}
    assert (spec.timeout_s, spec.verbosity, spec.environment) == (60.0, 2, {"A": "b", **address})
    assert "http://run:t@127.0.0.1:1" in spec.kubeconfig
    (grant,) = world.gateway.grants
    assert (grant.owner_ref, grant.owner_uid, grant.controller_reference) == (X, obj["metadata"]["uid"], True)


async def test_what_the_watch_says_reaches_the_run() -> None:
    kinds = frozenset({GroupVersionKind("", "v1", "ConfigMap")})
    world = World(blacklist=kinds, watch_dependent_resources=False, snake_case_parameters=False, mark_unsafe=False)
    world.kube.put(X, spec={"messageText": "{{ 1 + 1 }}"})
    await world.reconcile()
    assert world.run.specs[0].extra_vars["messageText"] == "{{ 1 + 1 }}"
    (grant,) = world.gateway.grants
    assert (grant.blacklist, grant.watch_dependents, grant.inject_owner, grant.dry_run) == (kinds, False, True, False)


@pytest.mark.parametrize("name", ["", "farewell"])
async def test_a_finalizer_runs_its_own_role_or_the_watchs(name: str) -> None:
    own, usual = Path("/roles/farewell"), Path("/roles/usual")
    content = Content(role=own) if name else None
    world = World(content=Content(role=usual), finalizer=Finalizer(name="f", content=content, vars={}))
    world.kube.put(X, spec={}, finalizers=["f"])
    await world.reconcile()
    world.kube.delete(X)
    await world.reconcile()
    assert [spec.content.role for spec in world.run.specs] == [usual, own if name else usual]


async def test_a_second_look_at_an_unchanged_object_writes_nothing_and_reads_twice() -> None:
    world = World()
    world.kube.put(X, spec={})
    await world.reconcile()
    world.kube.writes.clear()
    world.kube.events.clear()
    world.kube.reads = 0
    await world.reconcile()
    assert world.kube.writes == []
    assert world.kube.events == []
    assert world.kube.reads == 2


async def test_an_edited_object_is_announced_again() -> None:
    world = World()
    world.kube.put(X, spec={"message": "a"})
    await world.reconcile()
    world.kube.writes.clear()
    world.kube.edit(X, {"message": "b"})
    await world.reconcile()
    assert len(world.kube.writes) == 2
    assert world.kube.objects[X]["status"]["observedGeneration"] == 2


async def test_a_failed_run_is_told_with_task_and_line_and_tried_again() -> None:
    world = World()
    world.kube.put(X, spec={})
    world.run.verdict = Verdict.FAILED
    with pytest.raises(ReconcileError) as caught:
        await world.reconcile()
    assert caught.value.reason == "TaskFailed"
    assert not isinstance(caught.value, TerminalError)
    assert world.condition("Failure")["message"] == "no"
    assert world.condition("Ready")["message"] == "task 'echo : Create' (main.yml:7): no"
    assert world.reasons() == ["TaskFailed"]


async def test_the_same_failure_again_is_no_new_event() -> None:
    world = World()
    world.kube.put(X, spec={})
    world.run.verdict = Verdict.FAILED
    for _ in range(3):
        with suppress(ReconcileError):
            await world.reconcile()
    assert world.reasons() == ["TaskFailed"]


async def test_a_long_look_at_an_unchanged_object_is_announced_after_five_seconds() -> None:
    world = World()
    world.kube.put(X, spec={})
    await world.reconcile()
    world.kube.writes.clear()
    world.run.seconds = 8

    task = asyncio.create_task(world.reconcile())
    await world.clock.advance(4.9)
    assert world.kube.writes == []
    await world.clock.advance(0.2)
    assert world.condition("Running")["reason"] == "Running"
    await world.clock.advance(3)
    await task
    assert world.condition("Running")["reason"] == "Successful"


async def test_a_run_without_end_gets_a_warning() -> None:
    world = World()
    world.kube.put(X, spec={})
    world.run.seconds = 4000

    task = asyncio.create_task(world.reconcile())
    await world.clock.advance(3599)
    assert "RunSlow" not in world.reasons()
    await world.clock.advance(2)
    assert "RunSlow" in world.reasons()
    await world.clock.advance(1000)
    await task


async def test_what_the_role_wrote_meanwhile_is_kept() -> None:
    world = World()
    world.kube.put(X, spec={})
    world.run.during = lambda: world.kube.set_status(X, job={"uid": "u"})
    await world.reconcile()
    assert world.kube.objects[X]["status"]["job"] == {"uid": "u"}
    assert world.condition("Successful")["status"] == "True"


async def test_a_conflict_is_written_again_without_a_second_run() -> None:
    world = World()
    world.kube.put(X, spec={})
    calls = 0

    def others() -> None:
        nonlocal calls
        calls += 1
        if calls in {2, 3}:
            world.kube.set_status(X, theirs=calls)

    world.kube.before_patch = others
    await world.reconcile()
    assert len(world.run.specs) == 1
    assert world.kube.objects[X]["status"]["theirs"] == 3
    assert world.condition("Successful")["status"] == "True"


async def test_conflicts_without_end_are_given_up_to_the_queue() -> None:
    world = World()
    world.kube.put(X, spec={})
    world.kube.before_patch = lambda: world.kube.set_status(X, theirs=world.kube.reads)
    with pytest.raises(ReconcileError, match="Conflict"):
        await world.reconcile()


async def test_a_pruned_field_is_not_written_for_ever() -> None:
    """A CRD without a place for observedGeneration would otherwise get a write at each look."""
    world = World()
    world.kube.prune = lambda status: {
        "conditions": [
            {key: value for key, value in entry.items() if key not in {"observedGeneration", "ansibleResult"}}
            for entry in status.get("conditions", [])
        ]
    }
    world.kube.put(X, spec={})
    await world.reconcile()
    world.kube.writes.clear()
    await world.reconcile()
    await world.reconcile()
    assert world.kube.writes == []


async def test_without_manage_status_nothing_is_written_ever() -> None:
    world = World(manage_status=False)
    world.kube.put(X, spec={})
    await world.reconcile()
    world.run.verdict = Verdict.FAILED
    with suppress(ReconcileError):
        await world.reconcile()
    assert world.kube.writes == []


async def test_runs_count_without_manage_status() -> None:
    """The Go runtime counts them where it writes the status, so not at all."""
    world = World(manage_status=False)
    world.kube.put(X, spec={})
    await world.reconcile()
    world.run.verdict = Verdict.FAILED
    with suppress(ReconcileError):
        await world.reconcile()
    assert world.observer.finished == [Verdict.SUCCEEDED, Verdict.FAILED]


@pytest.mark.parametrize("manage_status", [True, False])
async def test_a_refused_key_is_told_and_not_tried_again(manage_status: bool) -> None:
    world = World(manage_status=manage_status)
    world.kube.put(X, spec={"ansible_python_interpreter": "/tmp/evil"})
    with pytest.raises(TerminalError, match="ansible_python_interpreter"):
        await world.reconcile()
    assert world.run.specs == []
    if manage_status:
        assert world.condition("Ready")["reason"] == "InvalidParameters"
        assert "ansible_python_interpreter" in world.condition("Failure")["message"]
    else:
        assert world.kube.writes == []


async def test_text_that_looks_like_a_template_is_warned_of_once_a_generation() -> None:
    world = World()
    world.kube.put(X, spec={"message": "{{ 1 + 1 }}"})
    await world.reconcile()
    await world.reconcile()
    assert world.reasons().count("TemplateNotRendered") == 1


async def test_a_child_that_is_changed_back_and_forth_is_told_of_whatever_became_of_the_run() -> None:
    """Where the role's people look: on the resource, and though each single run is a success."""
    world = World(manage_status=False, dependent_ignore=(FieldPath.parse("spec.replicas"),))
    world.kube.put(X, generation=3)
    loop = Loop(child="ConfigMap a/c", fields=("data.colour",), times=5, delay_s=5.0)
    world.run.during = lambda: world.gateway.open[0].usage.loops.append(loop)
    await world.reconcile()
    (event,) = world.kube.events
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "ChildContested", str(loop))
    assert event["involvedObject"]["name"] == "x"
    (grant,) = world.gateway.grants
    assert (grant.owner_generation, grant.dependent_ignore) == (3, (FieldPath.parse("spec.replicas"),))


async def test_words_of_ansible_among_the_keys_are_logged_once_for_the_kind(caplog: pytest.LogCaptureFixture) -> None:
    """Existing resources have a `name` or a `port`; refusing them would break who comes from the Go runtime."""
    world = World()
    world.kube.put(X, spec={"port": 80, "size": 1})
    await world.reconcile()
    await world.reconcile()
    assert [record.message for record in caplog.records] == ["spec keys that are words of Ansible"]
    assert len(world.run.specs) == 2


async def test_a_run_that_matched_no_host_succeeds_with_one_warning() -> None:
    world = World()
    world.kube.put(X, spec={})
    world.run.stats = Stats()
    for _ in range(2):
        await world.reconcile()
    assert world.reasons() == ["Reconciled", "NoHosts"]
    assert world.condition("Successful")["status"] == "True"


async def test_requeue_after_beats_the_period() -> None:
    world = World()
    world.kube.put(X, spec={})
    world.run.requeue_after_s = 7.0
    assert await world.reconcile() == Result.requeue(7)


async def test_no_period_means_to_wait_for_a_change() -> None:
    world = World(reconcile_period_s=0.0)
    world.kube.put(X, spec={})
    assert await world.reconcile() == Result.await_change()


async def test_an_object_that_is_gone_is_forgotten() -> None:
    world = World()
    assert await world.reconcile() == Result.await_change()
    assert world.forgotten == [X]
    assert world.run.specs == []


async def test_an_object_that_left_the_selector_is_neither_run_nor_taken_for_gone() -> None:
    """The informer calls it deleted; what is kept of its runs stays, and its status and finalizers are not ours now."""
    world = World(selector=Selector.parse({"matchLabels": {"app": "x"}}))
    before = world.kube.put(X, labels={"app": "y"}, finalizers=["mmontes.io/finalizer"])
    assert await world.reconcile() == Result.await_change()
    assert (world.run.specs, world.forgotten, world.kube.writes, world.kube.events) == ([], [], [], [])
    assert world.kube.objects[X] == before


async def test_a_kind_that_is_not_served_is_tried_again() -> None:
    world = World()
    world.served = False
    with pytest.raises(ReconcileError, match="NotServed"):
        await world.reconcile()


async def test_an_object_deleted_meanwhile_is_no_failure() -> None:
    world = World()
    world.kube.put(X, spec={})
    world.run.during = lambda: world.kube.delete(X)
    await world.reconcile()
    assert X not in world.kube.objects


async def test_a_namesake_made_meanwhile_is_not_given_our_status() -> None:
    world = World()
    world.kube.put(X, spec={})

    def replace() -> None:
        world.kube.delete(X)
        world.kube.put(X, spec={})

    world.run.during = replace
    await world.reconcile()
    assert "status" not in world.kube.objects[X]


async def test_finalizer_is_added_first_and_only_ours() -> None:
    world = World(finalizer=FINALIZER)
    world.kube.put(X, spec={}, finalizers=["theirs"])
    await world.reconcile()
    assert world.kube.objects[X]["metadata"]["finalizers"] == ["theirs", "mmontes.io/finalizer"]
    assert world.kube.writes[0][0] == ""
    assert "gone" not in world.run.specs[0].extra_vars


async def test_a_deleted_object_is_finalized_once_and_let_go() -> None:
    world = World(finalizer=FINALIZER)
    world.kube.put(X, spec={}, finalizers=["theirs", "mmontes.io/finalizer"])
    world.kube.delete(X)
    assert await world.reconcile() == Result.await_change()
    assert world.run.specs[0].extra_vars["gone"] is True
    assert world.kube.objects[X]["metadata"]["finalizers"] == ["theirs"]
    await world.reconcile()
    assert len(world.run.specs) == 1


async def test_a_conflict_at_the_finalizer_is_retried_without_a_second_run() -> None:
    world = World(finalizer=FINALIZER)
    world.kube.put(X, spec={}, finalizers=["mmontes.io/finalizer"])
    world.kube.delete(X)
    calls = 0

    def others() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            world.kube.set_status(X, theirs=1)

    world.kube.before_patch = others
    await world.reconcile()
    assert len(world.run.specs) == 1
    assert X not in world.kube.objects


async def test_a_failed_finalizer_keeps_the_object() -> None:
    world = World(finalizer=FINALIZER)
    world.kube.put(X, spec={}, finalizers=["mmontes.io/finalizer"])
    world.kube.delete(X)
    world.run.verdict = Verdict.FAILED
    with pytest.raises(ReconcileError):
        await world.reconcile()
    assert world.kube.objects[X]["metadata"]["finalizers"] == ["mmontes.io/finalizer"]
    assert world.condition("Ready")["reason"] == "TaskFailed"


async def test_a_run_cut_off_by_our_own_end_gives_its_access_back() -> None:

    world = World()
    world.kube.put(X, spec={})
    world.run.seconds = 100
    task = asyncio.create_task(world.reconcile())
    await settle()
    assert len(world.gateway.open) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.gateway.open == []
    assert world.observer.finished == [None]


async def test_bad_annotation_is_a_warning_once_and_the_last_good_value_stays() -> None:
    world = World()
    period = "ansible.sdk.operatorframework.io/reconcile-period"
    world.kube.put(X, spec={}, annotations={period: "30s"})
    assert await world.reconcile() == Result.requeue(30)
    world.kube.objects[X]["metadata"]["annotations"][period] = "30"
    world.kube.events.clear()
    assert await world.reconcile() == Result.requeue(30)
    assert await world.reconcile() == Result.requeue(30)
    ((kind, reason, message),) = [(event["type"], event["reason"], event["message"]) for event in world.kube.events]
    assert (kind, reason) == ("Warning", "AnnotationIgnored")
    assert message == (
        f"annotation {period}: must be a duration with units, as 30s, 5m or 1h30m, found '30'; the last good value stays"
    )


async def test_an_object_that_is_not_ours_hears_of_its_annotations_once_it_is() -> None:
    world = World(selector=Selector.parse({"matchLabels": {"app": "x"}}))
    world.kube.put(X, spec={}, annotations={"ansible.sdk.operatorframework.io/verbosity": "loud"})
    await world.reconcile()
    assert world.kube.events == []
    world.kube.objects[X]["metadata"]["labels"] = {"app": "x"}
    await world.reconcile()
    assert "AnnotationIgnored" in world.reasons()


async def test_verbosity_and_artifacts_of_the_object_reach_its_run() -> None:
    world = World(max_runner_artifacts=3)
    prefix = "ansible.sdk.operatorframework.io/"
    world.kube.put(X, spec={}, annotations={prefix + "verbosity": "0", prefix + "max-runner-artifacts": "0"})
    await world.reconcile()
    del world.kube.objects[X]["metadata"]["annotations"]
    await world.reconcile()
    assert [(spec.verbosity, spec.max_artifacts) for spec in world.run.specs] == [(0, 0), (2, 3)]


async def test_a_kind_without_status_subresource_is_run_and_said_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """Its status cannot be written; the Go runtime fails each such reconcile."""
    world = World()
    world.resource = replace(ECHOS, subresources=frozenset())
    world.kube.put(X, spec={})
    for _ in range(2):
        assert await world.reconcile() == Result.requeue(36000)
    assert (len(world.run.specs), world.kube.writes) == (2, [])
    assert [record.message for record in caplog.records] == [
        "this kind has no status subresource, so no status is written"
    ]


async def test_deletion_before_the_finalizer_is_there_runs_nothing() -> None:
    """Nothing was made yet, so there is nothing to clean up, and nobody waits for us."""
    world = World(finalizer=FINALIZER)
    world.kube.put(X, spec={}, finalizers=["theirs"])

    def delete() -> None:
        if "deletionTimestamp" not in world.kube.objects[X]["metadata"]:
            world.kube.delete(X)

    world.kube.before_patch = delete
    with pytest.raises(ApiError, match="Conflict"):
        await world.reconcile()
    assert await world.reconcile() == Result.await_change()
    assert world.run.specs == []
    assert world.kube.objects[X]["metadata"]["finalizers"] == ["theirs"]


async def test_deletion_at_the_start_of_a_run_is_finalized_exactly_once() -> None:
    """The Go runtime reads the object again on the way and then runs the finalizer's content twice."""
    world = World(finalizer=FINALIZER)
    world.kube.put(X, spec={}, finalizers=["mmontes.io/finalizer", "theirs"])

    def delete() -> None:
        if "deletionTimestamp" not in world.kube.objects[X]["metadata"]:
            world.kube.delete(X)

    world.kube.before_patch = delete  # the first patch announces the run
    with suppress(ReconcileError):
        await world.reconcile()
    for _ in range(2):
        assert await world.reconcile() == Result.await_change()
    assert ["gone" in spec.extra_vars for spec in world.run.specs].count(True) == 1
    assert "gone" in world.run.specs[-1].extra_vars
    assert world.kube.objects[X]["metadata"]["finalizers"] == ["theirs"]


async def test_deletion_during_a_run_is_finalized_by_the_next() -> None:
    world = World(finalizer=FINALIZER)
    world.kube.put(X, spec={}, finalizers=["mmontes.io/finalizer"])
    world.run.during = lambda: world.kube.delete(X) if len(world.run.specs) == 1 else None
    await world.reconcile()
    assert X in world.kube.objects
    assert await world.reconcile() == Result.await_change()
    assert ["gone" in spec.extra_vars for spec in world.run.specs] == [False, True]
    assert X not in world.kube.objects


@pytest.mark.parametrize("requeue_after_s", [None, 7.0])
async def test_requeue_after_in_a_finalizer_lets_the_object_go_all_the_same(requeue_after_s: float | None) -> None:
    world = World(finalizer=FINALIZER)
    world.kube.put(X, spec={}, finalizers=["mmontes.io/finalizer"])
    world.kube.delete(X)
    world.run.requeue_after_s = requeue_after_s
    assert await world.reconcile() == Result.await_change()
    assert X not in world.kube.objects


async def test_requeue_after_comes_with_the_status_done() -> None:
    """The Go runtime leaves Running=True behind and lets the next run overlap with this one."""
    world = World()
    world.kube.put(X, spec={})
    world.run.requeue_after_s = 1.0
    world.run.during = lambda: world.kube.set_status(X, during=world.condition("Running")["reason"])
    assert await world.reconcile() == Result.requeue(1)
    assert world.kube.objects[X]["status"]["during"] == "Running"
    assert world.condition("Running")["message"] == "Awaiting next reconciliation"
    assert world.observer.finished == [Verdict.SUCCEEDED]
