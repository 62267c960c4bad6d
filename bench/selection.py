"""Which measurements a call asks for: scenarios by name, paths, counts. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.measurement import VARIANTS, Variant
from bench.scenarios import SCENARIOS, Scenario

__all__ = ["Planned", "SelectionError", "select"]

DEFAULT, ALL = "default", "all"


class SelectionError(Exception):
    """Nothing can be measured as asked; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One measurement to come."""

    scenario: Scenario
    variant: Variant
    count: int


def select(
    names: Sequence[str],
    *,
    variants: Iterable[Variant] = (),
    count: int | None = None,
    slow_count: int | None = None,
    peer: bool = False,
) -> list[Planned]:
    """The measurements, scenario by scenario, the warm path before the others.

    Args:
        names: of scenarios, or `default`, or `all`; none: `default`, and with a peer the scenarios that take one.
        variants: paths; none: those that the scenario knows.
        count: for the warm path, or for the only path there is; others are slow, and get no more than their own.
        slow_count: for the other paths.
        peer: whether there is another operator to measure.

    Raises:
        SelectionError: an unknown name, or nothing to measure.
    """
    brief = not names or list(names) == [DEFAULT]
    asked = tuple(variants)
    planned = []
    for scenario in _scenarios(names or (DEFAULT,), only_peer=peer and not names):
        usual = (scenario.brief or scenario.counts) if brief else scenario.counts
        paths = [path for path in VARIANTS if (path in asked if asked else path in usual)]
        for path in paths:
            if path != "peer" or (peer and scenario.takes_peer):
                only = len(paths) == 1
                number = _count(usual.get(path), path, only=only, count=count, slow_count=slow_count)
                planned.append(Planned(scenario=scenario, variant=path, count=number))
    if not planned:
        raise SelectionError("nothing to measure: the scenarios do not have these paths")
    return planned


def _scenarios(names: Sequence[str], *, only_peer: bool) -> list[Scenario]:
    if only_peer:
        return [scenario for scenario in SCENARIOS if scenario.takes_peer]
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    if unknown := [name for name in names if name not in {*by_name, DEFAULT, ALL}]:
        raise SelectionError(f"no such scenario: {', '.join(unknown)} (have: {', '.join(by_name)}, {DEFAULT}, {ALL})")
    everything = {name for name in names if name in {DEFAULT, ALL}}
    return [
        scenario
        for scenario in SCENARIOS
        if scenario.name in names or ALL in everything or (DEFAULT in everything and scenario.brief is not None)
    ]


def _count(usual: int | None, path: Variant, *, only: bool, count: int | None, slow_count: int | None) -> int:
    if path == "warm" or only:
        number = count or usual
    elif slow_count is not None:
        number = slow_count
    else:
        number = min(usual, count) if usual is not None and count is not None else usual
    if number is None:
        raise SelectionError(f"no usual count for the path {path}: say how many")
    return number
