"""One Echo at a time on an operator with nothing else to do: seconds until its Job is there, and until its status is.

From just before our request to when a watch of ours sees the Job. The next Echo comes a moment after the status of the
one before, when the operator is idle again.
"""

import asyncio
from pathlib import Path

from bench.checks import demand, job_problems
from bench.distribution import percentiles
from bench.figures import reconcile_figures
from bench.load import Watching, all_of, create, echoes
from bench.measurement import Measurement
from bench.operators import ROOT
from bench.progress import Bar
from bench.rig import PROJECTS, Case, Rig
from tests.harness import ECHO, JOB

__all__ = ["onetask", "shipped"]

_PAUSE_S = 0.1


async def onetask(case: Case) -> Measurement:
    """With a role of one `kubernetes.core.k8s` task."""
    return await _measure(case, PROJECTS / "onetask")


async def shipped(case: Case) -> Measurement:
    """With the role `echo` as it is shipped."""
    return await _measure(case, ROOT)


async def _measure(case: Case, project: Path) -> Measurement:
    async with Rig.start(case) as rig, rig.operator(project) as operator, Watching(rig.api) as seen:
        await rig.warmed_up(operator)
        before = rig.snapshot(operator)
        asked: dict[str, float] = {}
        bar = Bar("reconciled", case.count)
        for obj in echoes(case.count):
            now = await create(rig.api, [obj])
            await seen.until_done(now)
            asked |= now
            bar.show(len(asked))
            await asyncio.sleep(_PAUSE_S)
        spent = rig.snapshot(operator).since(before)
        demand(job_problems(await all_of(rig.api, ECHO), await all_of(rig.api, JOB)))
        jobs = [seen.jobs[name] - at for name, at in asked.items()]
        done = [seen.done[name] - at for name, at in asked.items()]
        reconciles = await operator.reconciles()
        figures = {
            **percentiles(jobs, "job_latency"),
            **percentiles(done, "done_latency"),
            **await reconcile_figures(operator, spent, reconciles),
        }
        return case.measurement(
            workers=await operator.workers(),
            figures=figures,
            samples={"job_latency_s": jobs, "done_latency_s": done},
        )
