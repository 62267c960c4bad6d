"""An operator starts, and one new Echo waits for it: seconds until that Echo's status is written. Medians of N starts.

With the one-task role. Each start is cold: a warm parent has to load before the run, which may wait for it. Earlier
Echoes are deleted before the next start, so the first reconcile is the only one.
"""

import time
from statistics import median

from bench.checks import demand, job_problems
from bench.load import Watching, all_of, create, echoes
from bench.measurement import Measurement
from bench.progress import Bar
from bench.rig import NAMESPACE, PROJECTS, Case, Rig
from runner.objects import Raw
from tests.harness import ECHO, JOB

__all__ = ["measure"]


async def measure(case: Case) -> Measurement:
    bar = Bar("started", case.count)
    async with Rig.start(case) as rig:
        starts = []
        for number, obj in enumerate(echoes(case.count), 1):
            starts.append(await _start(rig, obj))
            bar.show(number)
    seconds = [start["start_to_first_reconcile_s"] for start in starts]
    figures = {name: median(start[name] for start in starts) for name in starts[0] if name != "workers"}
    return case.measurement(
        workers=round(starts[0]["workers"]),
        figures=figures,
        samples={"start_to_first_reconcile_s": seconds},
    )


async def _start(rig: Rig, obj: Raw) -> dict[str, float]:
    """Seconds of one start, and how many workers the operator has."""
    name = obj["metadata"]["name"]
    async with Watching(rig.api) as seen:
        await create(rig.api, [obj])
        async with rig.operator(PROJECTS / "onetask") as operator:
            await operator.ready()
            seconds = {"start_to_ready_s": time.monotonic() - operator.started_at}
            await seen.until_done([name])
            seconds["start_to_first_reconcile_s"] = seen.done[name] - operator.started_at
            seconds["workers"] = await operator.workers()
            if rig.case.variant == "warm":
                seconds["warm_load_s"] = await operator.warm()
    demand(job_problems(await all_of(rig.api, ECHO), await all_of(rig.api, JOB)))
    await rig.api.delete(ECHO, NAMESPACE, name)
    await rig.api.gone(ECHO, NAMESPACE, name)
    await rig.api.gone(JOB, NAMESPACE, name)
    return seconds
