"""N Echoes exist, an operator starts: how long until it knows and has queued them all, and what memory that takes.

The role asks nothing of the cluster, and one worker runs it, so runs weigh nothing in the operator's own memory. They
can't be kept from beginning: memory is read when the last Echo is queued, with its peak until then, which reading the
list makes.
The operator's metrics are asked ten times a second, so times are exact to 0.1 s, and asking delays it a little. It
starts cold: a warm parent loads meanwhile, on the same CPUs.
"""

import asyncio
import time

from bench.checks import WrongResult, reconciled
from bench.exposition import total
from bench.load import all_of, create, echoes
from bench.measurement import Measurement
from bench.operators import Operator
from bench.processes import memory_of
from bench.progress import Bar
from bench.rig import PROJECTS, Case, Rig
from tests.harness import ECHO

__all__ = ["measure"]

_GVK = "mmontes.io/v1alpha1, Kind=Echo"
_PAUSE_S = 0.1
_LIMIT_S = 300.0


async def measure(case: Case) -> Measurement:
    async with Rig.start(case) as rig:
        await create(rig.api, echoes(case.count))
        async with rig.operator(PROJECTS / "idle", workers=1) as operator:
            figures = await _start(operator, case.count)
            workers = await operator.workers()
        if not any(reconciled(obj) for obj in await all_of(rig.api, ECHO)):
            raise WrongResult("the operator counts a reconcile, and no Echo's status says so")
    return case.measurement(workers=workers, figures=figures)


async def _start(operator: Operator, count: int) -> dict[str, float]:
    """Follow the operator until it has queued everything and reconciled something."""
    figures: dict[str, float] = {}
    bar = Bar("queued", count)
    while not {"listed_and_queued_s", "start_to_first_reconcile_s"} <= figures.keys():
        text = await operator.metrics()
        seconds = time.monotonic() - operator.started_at
        queued = round(total(text, "workqueue_adds_total"))
        bar.show(queued)
        if queued >= count and "listed_and_queued_s" not in figures:
            _demand_all_known(text, count)
            memory = memory_of(operator.pid)
            figures |= {
                "listed_and_queued_s": seconds,
                "operator_rss_mb": memory.rss_mb,
                "operator_peak_rss_mb": memory.peak_rss_mb,
                "operator_pss_mb": memory.pss_mb,
            }
        if total(text, "controller_runtime_reconcile_total"):
            figures.setdefault("start_to_first_reconcile_s", seconds)
        if seconds > _LIMIT_S:
            raise WrongResult(f"within {_LIMIT_S:g} s only {queued} of {count} Echoes were queued")
        await asyncio.sleep(_PAUSE_S)
    return figures


def _demand_all_known(text: str, count: int) -> None:
    known = round(total(text, "ansible_operator_informer_objects", GVK=_GVK))
    if known != count:
        raise WrongResult(f"the operator queued all, and knows {known} of {count} Echoes")
