"""What to do about one object, decided from what it looks like (pure)."""

from dataclasses import dataclass
from enum import StrEnum

from runner.annotations import Wishes
from runner.content import Content
from runner.objects import Meta
from runner.watches import Watch

__all__ = ["Plan", "Step", "content_of", "decide"]


class Step(StrEnum):
    """The one thing that comes next."""

    IGNORE = "ignore"
    ADD_FINALIZER = "add finalizer"
    """Before the first run, so that nothing is made that the finalizer could miss."""
    RUN = "run"
    FINALIZE = "finalize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The next step for an object, and how it is run."""

    step: Step
    reason: str = ""
    """Why it is ignored; for the log."""
    period_s: float = 0.0
    """Seconds until the next run without a change; 0: none."""
    verbosity: int | None = None
    """`None`: what the operator's flags say."""
    max_artifacts: int | None = None
    """`None`: what the watch says."""


def decide(meta: Meta, watch: Watch, wishes: Wishes, *, default_period_s: float) -> Plan:
    """Choose the step; what the object wishes beats the watch, which beats the operator's flags."""
    periods = (wishes.period_s, watch.reconcile_period_s)
    step, reason = _step(meta, watch)
    return Plan(
        step=step,
        reason=reason,
        period_s=next((period for period in periods if period is not None), default_period_s),
        verbosity=wishes.verbosity,
        max_artifacts=wishes.max_artifacts,
    )


def content_of(step: Step, watch: Watch) -> Content:
    """What runs in that step."""
    if step is Step.FINALIZE and watch.finalizer is not None and watch.finalizer.content is not None:
        return watch.finalizer.content
    return watch.content


def _step(meta: Meta, watch: Watch) -> tuple[Step, str]:
    ours = watch.finalizer is not None and watch.finalizer.name in meta.finalizers
    if meta.deleting:
        # Deletion is served whatever the selector says: whoever has our finalizer waits for us.
        return (Step.FINALIZE, "") if ours else (Step.IGNORE, "being deleted, and not waiting for us")
    if not watch.selector.matches(meta.labels):
        return Step.IGNORE, "labels do not match the watch's selector"
    if watch.finalizer is not None and not ours:
        return Step.ADD_FINALIZER, ""
    return Step.RUN, ""
