"""The scenarios, by name. Each makes its own objects on a control plane of its own, and checks them."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

from bench.measurement import Measurement, Variant
from bench.rig import Case
from bench.scenarios import create, growth, idle, latency, node, resync, start, storm, tentask

__all__ = ["SCENARIOS", "Scenario"]

type Measure = Callable[[Case], Coroutine[None, None, Measurement]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing to measure."""

    name: str
    what: str
    """In one line, what the count counts included."""
    measure: Measure
    counts: Mapping[Variant, int]
    """By path, as the goals ask for. A path that is not named is not measured unless asked for."""
    brief: Mapping[Variant, int] | None
    """Counts in the default set, which has a quarter of an hour; `None`: it is not in it."""

    @property
    def takes_peer(self) -> bool:
        return "peer" in self.counts


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="create-onetask",
        what="N Echoes created at once, a role of one kubernetes.core.k8s task makes the Job",
        measure=create.onetask,
        counts={"warm": 1000, "plain": 40, "peer": 40},
        brief={"warm": 1000, "plain": 30, "peer": 40},
    ),
    Scenario(
        name="create-shipped",
        what="N Echoes created at once, the shipped role makes the Job",
        measure=create.shipped,
        counts={"warm": 1000, "plain": 40},
        brief={"warm": 1000, "plain": 20},
    ),
    Scenario(
        name="create-with-node",
        what="N Echoes created at once, the shipped role, Pods run on a real node until complete",
        measure=node.measure,
        counts={"warm": 100, "plain": 20},
        brief=None,
    ),
    Scenario(
        name="noop-resync",
        what="a new operator looks at N reconciled Echoes of the shipped role",
        measure=resync.measure,
        counts={"warm": 1000, "plain": 20},
        brief={"warm": 100, "plain": 10},
    ),
    Scenario(
        name="ten-tasks",
        what="N runs of ten kubernetes.core.k8s tasks with nothing to change, one after the other",
        measure=tentask.measure,
        counts={"warm": 50, "plain": 5},
        brief={"warm": 30, "plain": 3},
    ),
    Scenario(
        name="edit-storm",
        what="N Echoes of the shipped role, each edited ten times as fast as it goes",
        measure=storm.measure,
        counts={"warm": 50, "plain": 5},
        brief={"warm": 20, "plain": 5},
    ),
    Scenario(
        name="latency",
        what="N Echoes one at a time on an idle operator, role of one task",
        measure=latency.onetask,
        counts={"warm": 100, "plain": 20, "peer": 20},
        brief={"warm": 100, "plain": 10, "peer": 20},
    ),
    Scenario(
        name="latency-shipped",
        what="N Echoes one at a time on an idle operator, shipped role",
        measure=latency.shipped,
        counts={"warm": 100, "plain": 20},
        brief={"warm": 100},
    ),
    Scenario(
        name="start",
        what="medians of N starts of an operator with one new Echo, role of one task",
        measure=start.measure,
        counts={"warm": 10, "plain": 5, "peer": 5},
        brief={"warm": 5, "plain": 3, "peer": 3},
    ),
    Scenario(
        name="idle",
        what="an operator starts where N Echoes exist, role without a request",
        measure=idle.measure,
        counts={"warm": 10_000, "plain": 10_000},
        brief={"warm": 10_000},
    ),
    Scenario(
        name="growth",
        what="memory over N no-op reconciles of twenty Echoes, role of one task",
        measure=growth.measure,
        counts={"warm": 5000},
        brief={"warm": 5000},
    ),
)
