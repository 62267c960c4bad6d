"""What to do about one object, decided from what it looks like (pure)."""

from dataclasses import dataclass
from enum import StrEnum

from runner.content import Content
from runner.durations import parse_duration
from runner.objects import Meta
from runner.watches import Watch

__all__ = ["PERIOD_ANNOTATION", "VERBOSITY_ANNOTATION", "Plan", "Step", "content_of", "decide"]

_PREFIX = "ansible.sdk.operatorframework.io/"
PERIOD_ANNOTATION = _PREFIX + "reconcile-period"
VERBOSITY_ANNOTATION = _PREFIX + "verbosity"
ARTIFACTS_ANNOTATION = _PREFIX + "max-runner-artifacts"


class Step(StrEnum):
    """The one thing that comes next."""

    IGNORE = "ignore"
    ADD_FINALIZER = "add finalizer"
    """Before the first run, so that nothing is made that the finalizer could miss."""
    RUN = "run"
    FINALIZE = "finalize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The next step for an object, with what the object itself has to say about how it is run."""

    step: Step
    reason: str = ""
    """Why it is ignored; for the log."""
    period_s: float = 0.0
    """Seconds until the next run without a change; 0: none."""
    verbosity: int | None = None
    """`None`: what the operator's flags say."""
    max_artifacts: int | None = None
    """`None`: what the watch says."""
    complaints: tuple[str, ...] = ()
    """Annotations that were ignored: which, their value, the rule."""


def decide(meta: Meta, watch: Watch, *, default_period_s: float) -> Plan:
    """Choose the step; annotations beat the watch, which beats the operator's flags."""
    complaints: list[str] = []
    period = _period(meta, complaints)
    if period is None:
        period = watch.reconcile_period_s if watch.reconcile_period_s is not None else default_period_s
    step, reason = _step(meta, watch)
    return Plan(
        step=step,
        reason=reason,
        period_s=period,
        verbosity=_number(meta, VERBOSITY_ANNOTATION, complaints, highest=7),
        max_artifacts=_number(meta, ARTIFACTS_ANNOTATION, complaints, highest=1000),
        complaints=tuple(complaints),
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


def _period(meta: Meta, complaints: list[str]) -> float | None:
    text = meta.annotations.get(PERIOD_ANNOTATION)
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        complaints.append(f"annotation {PERIOD_ANNOTATION} ignored: {error}")
        return None
    if seconds < 0 or 0 < seconds < 1:
        complaints.append(f"annotation {PERIOD_ANNOTATION} ignored: {text!r} must be 0s or at least 1s")
        return None
    return seconds


def _number(meta: Meta, annotation: str, complaints: list[str], *, highest: int) -> int | None:
    text = meta.annotations.get(annotation)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= highest):
        complaints.append(f"annotation {annotation} ignored: {text!r} must be a whole number from 0 to {highest}")
        return None
    return int(text)
