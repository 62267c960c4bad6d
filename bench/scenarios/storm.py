"""N Echoes of the shipped role are edited ten times each, as fast as the API server takes it, while the role runs.

Each edit changes the message, so the Job of the one before has to go first. All must end with the last message, and
stay so. The runs are those since the first edit, by the operator's own count; fewer than edits, as a queue holds keys.
"""

import time
from collections.abc import Sequence

from bench.checks import demand, job_problems, reconciled, until
from bench.figures import reconcile_figures
from bench.load import Watching, all_of, at_once, create, echoes
from bench.measurement import Measurement
from bench.operators import ROOT, Operator
from bench.progress import Bar
from bench.rig import NAMESPACE, Case, Rig
from tests.harness import ECHO, JOB

__all__ = ["measure"]

_EDITS = 10


async def measure(case: Case) -> Measurement:
    async with Rig.start(case) as rig, rig.operator(ROOT) as operator:
        await rig.warmed_up(operator)
        async with Watching(rig.api) as seen:
            names = list(await create(rig.api, echoes(case.count)))
            await seen.until_done(names, Bar("reconciled", case.count))
        await operator.idle()
        runs, reconciles, before = await operator.runs(), await operator.reconciles(), rig.snapshot(operator)
        began = time.monotonic()
        await at_once(lambda name: _edit(rig, name), names)
        edited = time.monotonic()
        await _as_edited(rig, case.count)
        settled = time.monotonic()
        await _quiet(operator, case.count)
        spent = rig.snapshot(operator).since(before)
        demand(await _problems(rig))
        runs, reconciles = await operator.runs() - runs, await operator.reconciles() - reconciles
        figures = {
            "edits": case.count * _EDITS,
            "edit_s": edited - began,
            "settled_s": settled - edited,
            "runs": runs,
            "runs_per_object": runs / case.count,
            **await reconcile_figures(operator, spent, reconciles),
        }
        return case.measurement(workers=await operator.workers(), figures=figures)


async def _edit(rig: Rig, name: str) -> None:
    for edit in range(_EDITS):
        await rig.api.patch(ECHO, NAMESPACE, name, {"spec": {"message": f"{name}, edit {edit}"}})


async def _problems(rig: Rig) -> Sequence[str]:
    found = await all_of(rig.api, ECHO)
    unlike = [obj for obj in found if not obj["spec"]["message"].endswith(f"edit {_EDITS - 1}") or not reconciled(obj)]
    names = [f"Echo {obj['metadata']['name']} is not as last edited" for obj in unlike]
    return [*names, *job_problems(found, await all_of(rig.api, JOB))]


async def _as_edited(rig: Rig, count: int) -> None:
    bar = Bar("as edited", count)

    async def look() -> bool:
        problems = await _problems(rig)
        bar.show(max(0, count - len(problems)))
        return not problems

    await until(look, within_s=120 + 60 * count, every_s=0.25, what="every Echo as last edited")


async def _quiet(operator: Operator, count: int) -> None:
    """Wait until no more runs come: for longer than the role puts off a second look."""
    last = -1

    async def look() -> bool:
        nonlocal last
        await operator.idle(within_s=60 + 20 * count)
        last, before = await operator.runs(), last
        return last == before

    await until(look, within_s=120 + 60 * count, every_s=6.0, what="an end of the runs")
