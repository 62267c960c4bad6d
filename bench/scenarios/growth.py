"""Memory over N no-op reconciles: the slope, and the last tenth less the first, of operator and warm parent.

Twenty Echoes of the one-task role come up again 100 ms after each reconcile, so all workers are always at work.
Sampling begins when each has been reconciled twice. Objects stay the same, so what grows is kept for nothing. Not seen
here: what is kept of objects that are gone, and what never shows in twenty. A warm parent is replaced after a number of
runs, by design; its samples are those of whichever serves.
"""

import asyncio
from dataclasses import dataclass

from bench.checks import WrongResult, demand, job_problems
from bench.distribution import slope, tenths_difference
from bench.figures import reconcile_figures
from bench.load import Watching, all_of, create, echoes
from bench.measurement import Measurement
from bench.operators import Operator
from bench.processes import memory_of, warm_parent_of
from bench.progress import Bar
from bench.rig import PROJECTS, Case, Rig
from tests.harness import ECHO, JOB

__all__ = ["Sample", "growth_figures", "measure"]

_OBJECTS = 20
_FEWEST_SAMPLES, _MOST_SAMPLES = 10, 1000
_STALL_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Resident memory in MB after so many reconciles."""

    reconciles: int
    operator_mb: float
    warm_mb: float | None
    """`None`: there is no warm parent."""
    warm_pid: int | None


async def measure(case: Case) -> Measurement:
    async with (
        Rig.start(case) as rig,
        rig.operator(PROJECTS / "onetask", watches="watches-again.yaml") as operator,
    ):
        await rig.warmed_up(operator)
        async with Watching(rig.api) as seen:
            await seen.until_done(await create(rig.api, echoes(_OBJECTS)))
        begin = await _reach(operator, 2 * _OBJECTS)
        before = rig.snapshot(operator)
        samples = await _sample(operator, begin, case.count)
        reconciles = await operator.reconciles() - begin
        spent = rig.snapshot(operator).since(before)
        demand(job_problems(await all_of(rig.api, ECHO), await all_of(rig.api, JOB)))
        figures = {
            **growth_figures(samples),
            "reconciles_per_s": reconciles / spent.seconds,
            **await reconcile_figures(operator, spent, reconciles),
        }
        return case.measurement(
            workers=await operator.workers(),
            figures=figures,
            samples={
                "reconciles": [sample.reconciles for sample in samples],
                "operator_mb": [sample.operator_mb for sample in samples],
                "warm_mb": [sample.warm_mb for sample in samples if sample.warm_mb is not None],
            },
        )


def growth_figures(samples: list[Sample]) -> dict[str, float]:
    """The operator's growth, and the warm parent's where there was one all the time."""
    at = [sample.reconciles / 1000 for sample in samples]
    operator = [sample.operator_mb for sample in samples]
    figures = {
        "operator_growth_mb_per_1000": slope(at, operator),
        "operator_growth_mb": tenths_difference(operator),
    }
    warm = [sample.warm_mb for sample in samples if sample.warm_mb is not None]
    if len(warm) == len(samples):
        figures |= {
            "warm_growth_mb_per_1000": slope(at, warm),
            "warm_growth_mb": tenths_difference(warm),
            "warm_parents": len({sample.warm_pid for sample in samples}),
        }
    return figures


async def _sample(operator: Operator, begin: int, count: int) -> list[Sample]:
    """Take samples, evenly over the reconciles, until there have been `count` more."""
    step = max(1, count // _MOST_SAMPLES)
    bar = Bar("reconciled", count)
    samples: list[Sample] = []
    done = begin
    while done < begin + count:
        done = await _reach(operator, done + step)
        samples.append(_look(operator, done - begin))
        bar.show(done - begin)
    if len(samples) < _FEWEST_SAMPLES:
        raise WrongResult(f"{count} reconciles are too few to see growth ({len(samples)} samples)")
    return samples


async def _reach(operator: Operator, count: int) -> int:
    """Wait for so many reconciles; return how many there are."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _STALL_S
    while (done := await operator.reconciles()) < count:
        if loop.time() > end:
            raise WrongResult(f"only {done} of {count} reconciles, and no more within {_STALL_S:g} s")
        await asyncio.sleep(0.5)
    return done


def _look(operator: Operator, reconciles: int) -> Sample:
    parent = warm_parent_of(operator.pid)
    return Sample(
        reconciles=reconciles,
        operator_mb=memory_of(operator.pid).rss_mb,
        warm_mb=memory_of(parent).rss_mb if parent is not None else None,
        warm_pid=parent,
    )
