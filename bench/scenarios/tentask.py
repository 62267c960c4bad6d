"""A role of ten `kubernetes.core.k8s` tasks with nothing to change, on one Echo, one run after the other.

The first run makes ten ConfigMaps and does not count. Seconds of a reconcile are the operator's own: from taking the
Echo from the queue to giving it back, reads and all. Between two runs it waits 100 ms; that pause is in no figure, and
it is when counters are read, so that no run is cut in two.
"""

from collections.abc import Mapping
from typing import Any

from bench.checks import WrongResult, demand, reconciled, same_objects, until
from bench.distribution import percentiles
from bench.exposition import total
from bench.figures import reconcile_figures
from bench.load import all_of, create, echoes
from bench.measurement import Measurement
from bench.operators import Operator
from bench.progress import Bar
from bench.rig import PROJECTS, Case, Rig
from runner.objects import GroupVersionKind, Raw
from tests.harness import ECHO

__all__ = ["measure"]

_CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
_TASKS = 10


async def measure(case: Case) -> Measurement:
    async with Rig.start(case) as rig, rig.operator(PROJECTS / "tentask", workers=1) as operator:
        await rig.warmed_up(operator)
        (one,) = echoes(1)
        await create(rig.api, [one])
        await _after(operator, 1)
        made = await _config_maps(rig, one)
        first, before = await operator.metrics(), rig.snapshot(operator)
        begun = round(total(first, "controller_runtime_reconcile_total"))
        await _after(operator, begun + case.count, Bar("reconciled", case.count), begun)
        last, spent = await operator.metrics(), rig.snapshot(operator).since(before)
        demand(same_objects(made, await _config_maps(rig, one), by=("uid", "resourceVersion")))
        demand([] if all(map(reconciled, await all_of(rig.api, ECHO))) else ["the Echo is not reconciled"])
        reconciles = round(_risen(first, last, "count"))
        seconds = [float(run["seconds"]) for run in operator.finished_runs()[begun : begun + reconciles]]
        figures = {
            "reconcile_mean_s": _risen(first, last, "sum") / reconciles,
            **percentiles(seconds, "run"),
            **await reconcile_figures(operator, spent, reconciles),
        }
        return case.measurement(workers=await operator.workers(), figures=figures, samples={"run_s": seconds})


async def _after(operator: Operator, count: int, bar: Bar | None = None, begun: int = 0) -> None:
    """Wait for the pause after so many reconciles."""

    async def run_ended() -> bool:
        done = operator.runs_logged()
        if bar is not None:
            bar.show(done - begun)
        return done >= count

    async def reconcile_ended() -> bool:
        text = await operator.metrics()
        done = total(text, "controller_runtime_reconcile_total")
        return done >= count and not total(text, "controller_runtime_active_workers")

    await until(run_ended, within_s=120 + 30 * count, every_s=0.01, what=f"{count} runs")
    await until(reconcile_ended, within_s=30, every_s=0.01, what=f"{count} reconciles")


async def _config_maps(rig: Rig, owner: Mapping[str, Any]) -> list[Raw]:
    """What the role made, found right."""
    name = f"{owner['metadata']['name']}-"
    found = [obj for obj in await all_of(rig.api, _CONFIG_MAP) if obj["metadata"]["name"].startswith(name)]
    messages = {obj["data"]["message"] for obj in found}
    if len(found) != _TASKS or messages != {owner["spec"]["message"]}:
        raise WrongResult(f"{len(found)} ConfigMaps with the messages {sorted(messages)}")
    return found


def _risen(before: str, after: str, part: str) -> float:
    """By how much the sum or the count of all reconciles' seconds has risen."""
    name = f"controller_runtime_reconcile_time_seconds_{part}"
    return total(after, name) - total(before, name)
