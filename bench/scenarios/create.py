"""From nothing to N Jobs and N written statuses.

All Echoes are created as fast as one client can, sixteen requests at a time, so the latencies are those under load.
Seconds run from the first request to the last status, as a watch of ours saw it. The operator is ready before,
and warm.
"""

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


async def onetask(case: Case) -> Measurement:
    """A role of one `kubernetes.core.k8s` task that makes the Job."""
    return await _measure(case, PROJECTS / "onetask")


async def shipped(case: Case) -> Measurement:
    """The role `echo` as it is shipped: looks, decides, makes the Job, writes a status of its own."""
    return await _measure(case, ROOT)


async def _measure(case: Case, project: Path) -> Measurement:
    async with Rig.start(case) as rig, rig.operator(project) as operator, Watching(rig.api) as seen:
        await rig.warmed_up(operator)
        written = await rig.status_writes()
        before = rig.snapshot(operator)
        asked = await create(rig.api, echoes(case.count))
        await seen.until_done(asked, Bar("reconciled", case.count))
        await operator.idle()
        spent = rig.snapshot(operator).since(before)
        demand(job_problems(await all_of(rig.api, ECHO), await all_of(rig.api, JOB)))
        reconciles = await operator.reconciles()
        figures = {
            **_times(asked, seen),
            **await reconcile_figures(operator, spent, reconciles),
            "status_writes_per_reconcile": (await rig.status_writes() - written) / reconciles,
        }
        latencies = {"job_latency_s": [seen.jobs[name] - at for name, at in asked.items()]}
        return case.measurement(workers=await operator.workers(), figures=figures, samples=latencies)


def _times(asked: dict[str, float], seen: Watching) -> dict[str, float]:
    first = min(asked.values())
    seconds = max(seen.done[name] for name in asked) - first
    jobs = sorted(seen.jobs[name] for name in asked)
    return {
        "reconciles_per_s": len(asked) / seconds,
        "seconds_s": seconds,
        "create_s": max(asked.values()) - first,
        "first_job_s": jobs[0] - first,
        "last_job_s": jobs[-1] - first,
        **percentiles([seen.jobs[name] - at for name, at in asked.items()], "job_latency"),
        **percentiles([seen.done[name] - at for name, at in asked.items()], "done_latency"),
    }
