"""N Echoes of the shipped role on a real node: their Pods run and end, and each Echo is followed to `Complete`.

Runs are counted until every Echo is complete: all by the operator's metrics, the most of one Echo by its log. Needs
root on Debian, and changes the machine while it lasts, so it is in no set.
"""

from bench.checks import Object, Unmeasured, WrongResult, demand, job_problems
from bench.distribution import percentiles
from bench.figures import reconcile_figures
from bench.load import Watching, all_of, create, echoes
from bench.measurement import Measurement
from bench.operators import ROOT, Operator
from bench.progress import Bar
from bench.rig import Case, Rig
from cluster import images
from cluster.node import Node
from tests.harness import ECHO, JOB

__all__ = ["measure"]


async def measure(case: Case) -> Measurement:
    reason = Node.supported()
    if reason is not None:
        raise Unmeasured(f"no node here: {reason}")
    image = case.directory / "busybox.tar"
    images.build_busybox(image)
    async with Rig.start(case, node=True) as rig:
        with Node.start(rig.plane, images=[image]):
            return await _measure(rig)


async def _measure(rig: Rig) -> Measurement:
    case = rig.case
    environment = {"RELATED_IMAGE_ECHO": images.BUSYBOX}
    async with rig.operator(ROOT, environment=environment) as operator, Watching(rig.api, done=_complete) as seen:
        await rig.warmed_up(operator)
        before = rig.snapshot(operator)
        asked = await create(rig.api, echoes(case.count))
        await seen.until_done(asked, Bar("complete", case.count))
        await operator.idle()
        spent = rig.snapshot(operator).since(before)
        found = await all_of(rig.api, ECHO)
        demand([f"Echo {obj['metadata']['name']} is not complete" for obj in found if not _complete(obj)])
        demand(job_problems(found, await all_of(rig.api, JOB)))
        seconds = max(seen.done.values()) - min(asked.values())
        reconciles, runs = await operator.reconciles(), await operator.runs()
        figures = {
            "reconciles_per_s": reconciles / seconds,
            "seconds_s": seconds,
            **percentiles([seen.jobs[name] - at for name, at in asked.items()], "job_latency"),
            **percentiles([seen.done[name] - at for name, at in asked.items()], "done_latency"),
            "runs": runs,
            "runs_per_object": runs / case.count,
            "most_runs_of_an_object": _most_runs(operator, runs),
            **await reconcile_figures(operator, spent, reconciles),
        }
        return case.measurement(workers=await operator.workers(), figures=figures)


def _complete(echo: Object) -> bool:
    """Whether the role has written that the Job has done its work."""
    return bool(((echo.get("status") or {}).get("job") or {}).get("state") == "Complete")


def _most_runs(operator: Operator, runs: int) -> int:
    by_echo: dict[str, int] = {}
    for run in operator.finished_runs():
        by_echo[run["ref"]] = by_echo.get(run["ref"], 0) + 1
    if sum(by_echo.values()) != runs:
        raise WrongResult(f"the log has {sum(by_echo.values())} runs, the metrics {runs}")
    return max(by_echo.values())
