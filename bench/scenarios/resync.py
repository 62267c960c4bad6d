"""A new operator looks at N reconciled Echoes of the shipped role and finds nothing to do.

Requests are counted in the API server's audit log, for the new operator's whole life: its own by its user agent, the
others are the roles'. Lists and watches, with which informers begin, are no reads of a reconcile. Seconds run from the
start of the process, so loading Ansible is among them.
"""

from bench.audit import Request, read
from bench.checks import WrongResult, demand, job_problems, same_objects, until
from bench.figures import reconcile_figures
from bench.load import Watching, all_of, create, echoes
from bench.measurement import Measurement
from bench.operators import ROOT, Operator
from bench.progress import Bar
from bench.rig import Case, Rig
from runner.objects import Raw
from tests.harness import ECHO, JOB

__all__ = ["measure", "request_figures"]

_USER = "bench-second-look"
_OWN_AGENT = "ansible-operator/"


async def measure(case: Case) -> Measurement:
    async with Rig.start(case, audit=True) as rig:
        await _reconcile_all(rig)
        before = await _look(rig)
        async with rig.operator(ROOT, user=_USER) as operator:
            start = rig.snapshot(operator)
            await _looked_at(operator, case.count)
            spent = rig.snapshot(operator).since(start)
            reconciles, runs = await operator.reconciles(), await operator.runs()
            common, workers = await reconcile_figures(operator, spent, reconciles), await operator.workers()
        if reconciles != case.count or runs != case.count:
            raise WrongResult(f"{reconciles} reconciles and {runs} runs for a second look at {case.count} Echoes")
        after = await _look(rig)
        demand(same_objects(before[0], after[0], by=("uid", "resourceVersion")))
        # The Job controller writes status when it likes, so a Job's version is not the operator's doing.
        demand(same_objects(before[1], after[1], by=("uid", "generation", "labels", "annotations")))
        figures = {
            "reconciles_per_s": reconciles / spent.seconds,
            "seconds_s": spent.seconds,
            **common,
            **request_figures(read(rig.plane.audit_log, _USER), reconciles),
        }
    return case.measurement(workers=workers, figures=figures)


def request_figures(requests: list[Request], reconciles: int) -> dict[str, float]:
    """Writes of anybody; reads of the runtime, and of the roles, per reconcile."""
    reads = [request for request in requests if request.verb == "get"]
    own = sum(request.agent.startswith(_OWN_AGENT) for request in reads)
    return {
        "writes": sum(request.is_write for request in requests),
        "runtime_reads_per_reconcile": own / reconciles,
        "role_reads_per_reconcile": (len(reads) - own) / reconciles,
    }


async def _reconcile_all(rig: Rig) -> None:
    async with rig.operator(ROOT) as operator, Watching(rig.api) as seen:
        await rig.warmed_up(operator)
        asked = await create(rig.api, echoes(rig.case.count))
        await seen.until_done(asked, Bar("reconciled", len(asked)))
        await operator.idle()


async def _look(rig: Rig) -> tuple[list[Raw], list[Raw]]:
    """Echoes and Jobs, found right."""
    found = await all_of(rig.api, ECHO), await all_of(rig.api, JOB)
    demand(job_problems(*found))
    return found


async def _looked_at(operator: Operator, count: int) -> None:
    bar = Bar("looked at", count)

    async def look() -> bool:
        await operator.metrics()  # raises where the operator has ended
        done = operator.runs_logged()
        bar.show(done)
        return done >= count

    await until(look, within_s=60 + 20 * count, every_s=1.0, what="a second look at each Echo")
    await operator.idle()
