"""What is done with an object follows from how it looks, not from what happened to it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.annotations import Wishes
from runner.content import Content
from runner.decision import Plan, Step, content_of, decide
from runner.labelselector import Selector
from runner.objects import GroupVersionKind, Meta, ObjectRef
from runner.watches import Finalizer, Watch

FINALIZER = Finalizer(name="mmontes.io/finalizer", content=None, vars={"gone": True})


def watch(**options: Any) -> Watch:
    return Watch(gvk=GroupVersionKind("mmontes.io", "v1alpha1", "Echo"), content=Content(), **options)


def meta(**values: Any) -> Meta:
    return Meta(ref=ObjectRef("a", "x"), **({"labels": {}, "annotations": {}} | values))


def plan(of: Meta, by: Watch, wishes: Wishes = Wishes()) -> Plan:  # noqa: B008 - frozen
    return decide(of, by, wishes, default_period_s=36000)


def test_a_living_object_is_run() -> None:
    assert plan(meta(), watch()) == Plan(step=Step.RUN, period_s=36000)


def test_finalizer_is_added_before_the_first_run() -> None:
    """A run before it could make something that nobody cleans up."""
    assert plan(meta(), watch(finalizer=FINALIZER)).step is Step.ADD_FINALIZER
    assert plan(meta(finalizers=("other",)), watch(finalizer=FINALIZER)).step is Step.ADD_FINALIZER
    assert plan(meta(finalizers=("mmontes.io/finalizer",)), watch(finalizer=FINALIZER)).step is Step.RUN


def test_a_deleted_object_that_waits_for_us_is_finalized() -> None:
    deleted = meta(deleting=True, finalizers=("other", "mmontes.io/finalizer"))
    assert plan(deleted, watch(finalizer=FINALIZER)).step is Step.FINALIZE


def test_a_finalizer_runs_its_own_content_where_it_has_some() -> None:
    own = Content(role=Path("/roles/farewell"))
    with_own, without = watch(finalizer=replace(FINALIZER, content=own)), watch(finalizer=FINALIZER)
    assert content_of(Step.FINALIZE, with_own) is own
    assert content_of(Step.FINALIZE, without) is without.content
    assert content_of(Step.ADD_FINALIZER, with_own) is with_own.content
    assert content_of(Step.RUN, with_own) is with_own.content


@pytest.mark.parametrize("finalizers", [(), ("other",)])
def test_a_deleted_object_that_does_not_wait_for_us_is_left_alone(finalizers: tuple[str, ...]) -> None:
    """Its finalizer may not be added any more, and a run would make children that outlive it."""
    assert plan(meta(deleting=True, finalizers=finalizers), watch(finalizer=FINALIZER)).step is Step.IGNORE
    assert plan(meta(deleting=True, finalizers=finalizers), watch()).step is Step.IGNORE


def test_selector_holds_in_the_reconcile_too() -> None:
    """A child's event or a timer brings an object here that no longer matches."""
    chosen = watch(selector=Selector.parse({"matchLabels": {"app": "x"}}))
    assert plan(meta(labels={"app": "x"}), chosen).step is Step.RUN
    ignored = plan(meta(labels={"app": "y"}), chosen)
    assert (ignored.step, ignored.reason) == (Step.IGNORE, "labels do not match the watch's selector")


def test_deletion_is_served_although_the_selector_no_longer_matches() -> None:
    """Otherwise taking the label off and deleting would leave the finalizer for ever."""
    chosen = watch(selector=Selector.parse({"matchLabels": {"app": "x"}}), finalizer=FINALIZER)
    assert plan(meta(deleting=True, finalizers=("mmontes.io/finalizer",)), chosen).step is Step.FINALIZE


@pytest.mark.parametrize(
    ("wish", "in_watch", "expected"),
    [(None, None, 36000), (None, 60.0, 60), (None, 0.0, 0), (30.0, 60.0, 30), (0.0, 60.0, 0)],
)
def test_period_annotation_beats_watch_beats_flag(wish: float | None, in_watch: float | None, expected: float) -> None:
    assert plan(meta(), watch(reconcile_period_s=in_watch), Wishes(period_s=wish)).period_s == expected


def test_verbosity_and_artifacts_are_as_the_object_wishes() -> None:
    found = plan(meta(), watch(), Wishes(verbosity=0, max_artifacts=0))
    assert (found.verbosity, found.max_artifacts) == (0, 0)
