"""What an object's author should hear beside its status: pure functions from what was found to Events.

Each is said once: for a generation, or where it is new. What went wrong with a run is `recorder.notices_of`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from runner.execution.extravars import ExtraVars
from runner.execution.outcome import RunOutcome
from runner.gateway.loopbreaker import Loop
from runner.recorder import Notice

__all__ = ["of_annotations", "of_hosts", "of_loops", "of_slowness", "of_templates"]


def of_annotations(complaints: Iterable[str]) -> tuple[Notice, ...]:
    return tuple(_warning("AnnotationIgnored", complaint) for complaint in complaints)


def of_templates(variables: ExtraVars, status: Mapping[str, Any], generation: int) -> tuple[Notice, ...]:
    """Text that is passed on as it is, although it looks as if somebody meant it to be rendered."""
    if not variables.suspicious or status.get("observedGeneration") == generation:
        return ()
    text = (
        f"{', '.join(variables.suspicious)}: looks like a template and is passed on as plain text; "
        "markUnsafe: false in watches.yaml would render it, with all the operator's rights"
    )
    return (_warning("TemplateNotRendered", text),)


def of_hosts(outcome: RunOutcome, status: Mapping[str, Any], generation: int) -> tuple[Notice, ...]:
    """A success that did nothing; `status` is the one before the run."""
    nothing = outcome.succeeded and outcome.stats is not None and outcome.stats.no_hosts
    if not nothing or status.get("observedGeneration") == generation:
        return ()
    return (_warning("NoHosts", "the run succeeded without doing anything: its plays matched no host"),)


def of_loops(loops: Iterable[Loop]) -> tuple[Notice, ...]:
    """Children that a role and somebody else change back and forth."""
    return tuple(_warning("ChildContested", str(loop)) for loop in loops)


def of_slowness(seconds: float) -> tuple[Notice, ...]:
    return (_warning("RunSlow", f"a run is still going on after {seconds:g} s"),)


def _warning(reason: str, message: str) -> Notice:
    return Notice(type="Warning", reason=reason, message=message)
