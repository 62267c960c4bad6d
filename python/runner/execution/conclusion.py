"""The outcome of a run from how its processes ended and what its events said (pure)."""

import signal
from collections.abc import Mapping
from typing import Any

from runner.execution.events import shorten
from runner.execution.outcome import RunOutcome, Verdict, judge
from runner.execution.tally import Tally
from runner.objects import RunId

__all__ = ["conclude"]

_STOPPED = {
    Verdict.TIMED_OUT: "the run took longer than its timeout",
    Verdict.CANCELLED: "the run was stopped",
    Verdict.KILLED: "the run was killed from outside, perhaps for its use of memory",
}


def conclude(
    *,
    run_id: RunId,
    tally: Tally,
    last_word: Mapping[str, Any] | None = None,
    exit_code: int = 0,
    error: str = "",
    timed_out: bool = False,
    cancelled: bool = False,
    seconds: float = 0.0,
) -> RunOutcome:
    """Put an outcome together.

    Args:
        run_id: the run's.
        tally: its events.
        last_word: the supervisor's final record; `None` if there is none.
        exit_code: of the supervisor; negative for a signal.
        error: why the run could not even begin, if it is known.
        timed_out: we killed it for its timeout.
        cancelled: we killed it for another reason.
        seconds: how long it took.
    """
    word = last_word or {}
    return_code: int | None = word.get("rc")
    error = error or word.get("error", "")
    verdict = judge(return_code=return_code, stats=tally.stats, timed_out=timed_out, cancelled=cancelled)
    broken = error or (last_word is None and exit_code > 0)
    if broken and verdict not in {Verdict.TIMED_OUT, Verdict.CANCELLED}:
        # Also with statistics that look well: what could not be written down may have been a failure.
        verdict = Verdict.NO_STATS
    failures = tally.failures()
    return RunOutcome(
        run_id=run_id,
        verdict=verdict,
        return_code=return_code,
        stats=tally.stats,
        failures=failures,
        requeue_after_s=tally.requeue_after_s,
        completion=tally.completion,
        detail="" if verdict is Verdict.SUCCEEDED else _detail(verdict, tally, word, error, exit_code),
        seconds=seconds,
        rescued=tally.rescued,
    )


def _detail(verdict: Verdict, tally: Tally, word: Mapping[str, Any], error: str, exit_code: int) -> str:
    """Why, for people, where no failed task says so."""
    if verdict in _STOPPED:
        task = f", in task {tally.task}" if tally.task else ""
        by = f" (signal {signal.Signals(-exit_code).name})" if verdict is Verdict.KILLED and exit_code < 0 else ""
        return shorten(f"{_STOPPED[verdict]}{by}{task}")
    if error:
        return shorten(error)
    if tally.failures():
        return ""
    return str(word.get("tail", ""))
