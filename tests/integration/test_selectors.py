"""Which objects a watch with a selector serves: its informers, queue and reconciler on a real API server.

Only Ansible is not there: a run ends with success at once and is written down.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import ECHO, Api, echo, eventually, succeeded
from runner import settings
from runner.clock import SystemClock
from runner.content import Content
from runner.execution.directory import RunArea
from runner.execution.outcome import RunOutcome, Stats, Verdict
from runner.execution.run import RunSpec
from runner.gateway.discovery import DiscoveryMemory
from runner.gateway.server import Gateway
from runner.informer.pool import InformerPool
from runner.labelselector import Selector
from runner.metrics.registry import Metrics
from runner.objects import ObjectRef, Raw
from runner.recorder import Recorder
from runner.slots import Slots
from runner.watches import Finalizer, Watch
from runner.wiring import kinds

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

CHOSEN = Selector.parse({"matchLabels": {"app": "x"}, "matchExpressions": [{"key": "off", "operator": "DoesNotExist"}]})
FINALIZER = Finalizer(name="mmontes.io/selected", content=None, vars={"gone": True})


class Operator:
    """The parts of one watch, working on one namespace, one object at a time."""

    def __init__(self, api: Api, namespace: str, directory: Path, **watch: Any) -> None:
        self.api, self.namespace = api, namespace
        self.runs: list[tuple[str, bool]] = []
        """Name and whether it was the finalizer's run, in order."""
        self.metrics = Metrics(version="1", commit="c", clock=SystemClock())
        self.shared = kinds.Shared(
            settings=settings.resolve({"watch_namespace": namespace}, {}),
            environment={},
            clock=SystemClock(),
            rng=random.Random(1),
            client=api.client,
            discovery=api.discovery,
            metrics=self.metrics,
            recorder=Recorder(
                api.client,
                component="ansible-operator",
                instance="test",
                clock=SystemClock(),
                count_denied=lambda: None,
            ),
            pool=InformerPool(),
            slots=Slots(1),
            names={ECHO: "echo"},
        )
        self.watch = Watch(gvk=ECHO, content=Content(), selector=CHOSEN, max_concurrent_reconciles=1, **watch)
        self.queue = kinds.queue_of(self.watch, self.shared)
        (self.informer,) = kinds.primaries_of(self.watch, self.queue, self.shared)
        gateway = Gateway(
            api.client,
            api.discovery,
            check_fence=lambda: None,
            on_child=lambda *_: None,
            memory=DiscoveryMemory(clock=SystemClock()),
        )
        area = RunArea.open(directory)
        self.controller = kinds.controller_of(self.watch, self.queue, gateway, self._execute, area, self.shared)

    async def _execute(self, spec: RunSpec) -> RunOutcome:
        self.runs.append((spec.ref.name, "gone" in spec.extra_vars))
        return RunOutcome(
            run_id=spec.run_id, verdict=Verdict.SUCCEEDED, return_code=0, stats=Stats(ok={"localhost": 1})
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.shared.pool.run()), asyncio.create_task(self.controller.run())]
        try:
            await self.informer.synced.wait()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def create(self, name: str, **labels: str) -> Raw:
        obj = echo(name, self.namespace)
        obj["metadata"]["labels"] = labels
        return await self.api.create(obj)

    async def edit(self, name: str, *, labels: Raw | None = None, message: str = "") -> Raw:
        body: Raw = {"metadata": {"labels": labels}} if labels is not None else {}
        if message:
            body["spec"] = {"message": message}
        return await self.api.patch(ECHO, self.namespace, name, body)

    async def served(self, name: str) -> None:
        """Wait until the object's present generation was run; with one worker, all that was queued before was too."""
        await self.api.until(ECHO, self.namespace, name, succeeded)

    def held(self) -> set[str]:
        return {ref.name for ref in self.informer.refs()}

    def created(self) -> set[str]:
        """The objects that `resource_created_at_seconds` tells of."""
        text = self.metrics.render("")[0].decode()
        lines = [line for line in text.splitlines() if line.startswith("resource_created_at_seconds{")]
        return {line.partition(',name="')[2].partition('"')[0] for line in lines}


@pytest.fixture
def operator(api: Api, namespace: str, tmp_path: Path) -> Callable[..., Operator]:
    def make(**watch: Any) -> Operator:
        return Operator(api, namespace, tmp_path / "runs", **watch)

    return make


async def test_without_a_finalizer_the_api_server_selects(operator: Callable[..., Operator]):
    """What leaves is called deleted there: it is served no more, and nothing of it is touched."""
    op = operator()
    await op.create("old", app="x")
    await op.create("other", app="y")
    async with op.working():
        await op.served("old")
        assert op.held() == {"old"}
        await op.edit("other", labels={"app": "x"})
        await op.served("other")
        left = await op.edit("other", labels={"app": "y"})
        edited = await op.edit("other", message="unseen")
        await op.create("last", app="x")
        await op.served("last")
        assert op.held() == op.created() == {"old", "last"}
        assert op.runs == [("old", False), ("other", False), ("last", False)]
        now = await op.api.get(ECHO, op.namespace, "other")
        assert now is not None
        assert (now["status"], now["metadata"]["resourceVersion"]) == (
            left["status"],
            edited["metadata"]["resourceVersion"],
        )
        await op.edit("other", labels={"app": "x"})
        await op.served("other")
    assert op.runs[3:] == [("other", False)]


async def test_with_a_finalizer_what_left_the_selector_is_still_finalized(operator: Callable[..., Operator]):
    """Taking the label off and deleting then would leave our finalizer on it for ever."""
    op = operator(finalizer=FINALIZER)
    for name in ("old", "gone-before", "other"):
        await op.create(name, app="x" if name != "other" else "y")
    async with op.working():
        for name in ("old", "gone-before"):
            await op.served(name)
    await op.edit("gone-before", labels={"off": "now"})
    await op.api.delete(ECHO, op.namespace, "gone-before")

    again = operator(finalizer=FINALIZER)
    async with again.working():
        await op.api.gone(ECHO, op.namespace, "gone-before")
        assert ("gone-before", True) in again.runs
        await again.served("old")
        await again.edit("old", labels={"app": "y"})
        await again.edit("other", message="unseen")
        await again.create("last", app="x")
        await again.served("last")
        assert (again.held(), again.created()) == ({"old", "other", "last"}, {"last"})
        await op.api.delete(ECHO, op.namespace, "old")
        await op.api.gone(ECHO, op.namespace, "old")
        await op.api.delete(ECHO, op.namespace, "last")
        await op.api.gone(ECHO, op.namespace, "last")
        other = await op.api.get(ECHO, op.namespace, "other")
        assert other is not None
        assert "finalizers" not in other["metadata"]
    names = sorted(again.runs)
    assert names == [("gone-before", True), ("last", False), ("last", True), ("old", False), ("old", True)]


async def test_an_object_that_enters_by_a_label_is_reconciled_with_a_finalizer_too(operator: Callable[..., Operator]):
    """A label is no new generation, so nothing but the selector tells."""
    op = operator(finalizer=FINALIZER)
    await op.create("late", app="y")
    async with op.working():
        await op.edit("late", labels={"app": "x"})
        await op.served("late")
        assert op.runs == [("late", False)]
        await op.api.delete(ECHO, op.namespace, "late")

        async def gone() -> bool:
            return ObjectRef(op.namespace, "late") not in op.informer.refs()

        await eventually(gone, what="the informer has heard of the end")
    assert op.runs == [("late", False), ("late", True)]
