"""Metrics that roles keep, through `operator_sdk.util.osdk_metric`: what was asked for, and what became of it (pure).

Promises: what a role sends either counts in full or is refused with a reason and changes nothing; a name is one kind
of metric with one set of labels as long as the process lives, and never one of the operator's own; memory is bounded.
Values are lost with the process, as the Go runtime's are.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from runner.usermetrics.spec import BadMetric, Change, Kind

__all__ = ["Family", "UserMetrics", "Value", "occupied"]

_MAX_FAMILIES = 1000
_MAX_SERIES = 1000
"""For each metric. Labels are for the few values of a kind; a value for each object would never go away."""
# client_golang's DefBuckets
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


@dataclass(slots=True)
class Value:
    """One series. Counters and gauges use `total` alone."""

    total: float = 0.0
    """Of a histogram or summary: the sum of what was observed."""
    count: int = 0
    buckets: list[int] = field(default_factory=list)
    """Of a histogram: how many fell between a bound and the one below, the last above all bounds."""


@dataclass(slots=True)
class Family:
    """One name."""

    kind: Kind
    help: str
    label_names: tuple[str, ...]
    bounds: tuple[float, ...]
    series: dict[tuple[str, ...], Value] = field(default_factory=dict)


def occupied(kind: str, name: str) -> frozenset[str]:
    """The names that a metric takes up in either text format."""
    family = name.removesuffix("_total") if kind == "counter" else name
    return frozenset({name, family, *(name + suffix for suffix in _SUFFIXES.get(kind, ()))})


class UserMetrics:
    """All of them. For one thread."""

    def __init__(self, *, reserved: Callable[[], Collection[str]], now_s: Callable[[], float]) -> None:
        """Args:
        reserved: the names that the operator's own series have now.
        now_s: seconds since 1970, for gauges that are set to the current time.
        """
        self._reserved = reserved
        self._now_s = now_s
        self._families: dict[str, Family] = {}

    @property
    def families(self) -> Mapping[str, Family]:
        """By name, in the order of their first use."""
        return self._families

    def apply(self, change: Change, *, dry_run: bool = False) -> None:
        """Do what a role asked for; its first use makes a metric, at zero.

        Args:
            dry_run: only say whether it could be done.

        Raises:
            BadMetric: it cannot be done; nothing was.
        """
        family = self._families.get(change.name)
        if family is None:
            family = self._new_family(change)
        else:
            _check_same(change, family)
        key = tuple(value for _, value in change.labels)
        if key not in family.series and len(family.series) >= _MAX_SERIES:
            raise BadMetric(
                f"{change.name} has {_MAX_SERIES} combinations of label values already, and takes no more: "
                "labels are for values of which there are few, never for names of objects or times"
            )
        if dry_run:
            return
        self._families[change.name] = family
        value = family.series.setdefault(key, Value(buckets=[0] * (len(family.bounds) + 1 if family.bounds else 0)))
        self._count(change, family, value)

    def _new_family(self, change: Change) -> Family:
        if len(self._families) >= _MAX_FAMILIES:
            raise BadMetric(f"there are {_MAX_FAMILIES} metrics already, and no more are taken")
        wanted = occupied(change.kind, change.name)
        if wanted & set(self._reserved()):
            raise BadMetric(f"{change.name} is the name of one of the operator's own metrics; choose another")
        for name, family in self._families.items():
            if wanted & occupied(family.kind, name):
                raise BadMetric(f"{change.name} cannot be told from the {family.kind} {name}; choose another name")
        bounds = (change.bounds or _BUCKETS) if change.kind == "histogram" else ()
        names = tuple(name for name, _ in change.labels)
        return Family(kind=change.kind, help=change.help, label_names=names, bounds=bounds)

    def _count(self, change: Change, family: Family, value: Value) -> None:
        match change.operation:
            case "add":
                value.total += change.amount
            case "set":
                value.total = change.amount
            case "set_to_current_time":
                value.total = self._now_s()
            case "observe":
                value.total += change.amount
                value.count += 1
                if family.bounds:
                    value.buckets[bisect_left(family.bounds, change.amount)] += 1
            case "none":
                pass


def _check_same(change: Change, family: Family) -> None:
    if change.kind != family.kind:
        raise BadMetric(f"cannot change metric type of {change.name}, which is a {family.kind}")
    names = tuple(name for name, _ in change.labels)
    if names != family.label_names:
        raise BadMetric(f"{change.name} has {_listed(family.label_names)}, not {_listed(names)}")
    if change.bounds and change.bounds != family.bounds:
        was = ", ".join(f"{bound:g}" for bound in family.bounds)
        raise BadMetric(f"cannot change the buckets of {change.name}, which are {was}")


def _listed(names: Collection[str]) -> str:
    return f"the labels {', '.join(names)}" if names else "no labels"
