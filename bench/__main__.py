"""`make bench`: measures scenarios on a real API server, prints tables, writes JSON and a picture.

Exit codes: 0 everything was measured, 1 something was found wrong and has no figures, 2 a wrong call.
"""

import argparse
import asyncio
import itertools
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench import machine, picture, selection, table
from bench.checks import Unmeasured, WrongResult
from bench.measurement import VARIANTS, Measurement, Variant
from bench.report import Report
from bench.rig import Case
from bench.scenarios import SCENARIOS
from bench.selection import Planned, SelectionError
from cluster.errors import ClusterError

_RESULTS = Path(__file__).resolve().parent / "results"
_NOT_HERE = "not here: "
"""Begins the reason of what this machine can't measure, as opposed to what was found wrong."""


def main() -> int:
    options = _parser().parse_args()
    if options.list:
        print(_list())
        return 0
    # As an interrupt does: what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        planned = selection.select(
            options.scenario,
            variants=options.variant,
            count=options.count,
            slow_count=options.slow_count,
            peer=options.peer is not None,
        )
    except SelectionError as error:
        print(error, file=sys.stderr)
        return 2
    found = _Found()
    described, at, versions = machine.describe(), datetime.now(UTC), machine.versions(options.peer)
    try:
        _measure_all(planned, found, workers=options.workers, peer=options.peer)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; everything that was started is stopped\n")
        return 130
    finally:
        # Whatever ends it, what was measured until then is not lost.
        report = Report(
            scenario_set="+".join(options.scenario) or ("peer" if options.peer else selection.DEFAULT),
            at=at,
            machine=described,
            versions=versions,
            measurements=found.measurements,
            missing=found.missing,
        )
        _tell(report, options.out)
    return 0 if all(reason.startswith(_NOT_HERE) for reason in found.missing.values()) else 1


@dataclass(slots=True)
class _Found:
    """What has been measured so far, and why the rest has not."""

    measurements: list[Measurement] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add("--scenario", action="append", default=[], metavar="NAME", help="default, all, or a name; may be repeated")
    add("--variant", action="append", default=[], choices=VARIANTS, help="only this path; may be repeated")
    add("--count", type=_positive, help="how many, on the warm path or the only one")
    add("--slow-count", type=_positive, help="how many, on the other paths")
    add("--workers", type=_positive, help="runs at the same time (default: the operator's own)")
    add("--peer", type=_program, metavar="FILE", help="another ansible-operator to measure beside ours")
    add("--out", type=Path, default=_RESULTS, help="where results go (default bench/results)")
    add("--list", action="store_true", help="show the scenarios and end")
    return parser


def _program(text: str) -> Path:
    found = shutil.which(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text}: no such program")
    return Path(found).absolute()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _list() -> str:
    def counts(found: Mapping[Variant, int] | None) -> str:
        return ", ".join(f"{path} {count:,}" for path, count in (found or {}).items()) or "-"

    rows = [[one.name, counts(one.counts), counts(one.brief), one.what] for one in SCENARIOS]
    return table.grid([["scenario", "N by itself", "N in the default set", "what"], *rows])


def _measure_all(planned: Sequence[Planned], found: _Found, *, workers: int | None, peer: Path | None) -> None:
    """Measure one after the other; print each scenario's table once all its paths are through."""
    for name, group in itertools.groupby(planned, key=lambda one: one.scenario.name):
        paths, before = list(group), len(found.measurements)
        for one in paths:
            _attempt(one, found, workers=workers, peer=peer)
        if measured := found.measurements[before:]:
            print(f"\n{table.block(f'{name}: {paths[0].scenario.what}', measured)}\n", flush=True)


def _attempt(planned: Planned, found: _Found, *, workers: int | None, peer: Path | None) -> None:
    """Measure once, or note why not."""
    label = f"{planned.scenario.name} {planned.variant}"
    sys.stderr.write(f"{label}, N = {planned.count:,}\n")
    try:
        found.measurements.append(_measure(planned, workers=workers, peer=peer))
    except* Unmeasured as group:
        found.missing[label] = _NOT_HERE + _first_of(group)
    except* (WrongResult, ClusterError) as group:
        found.missing[label] = _first_of(group)
    except* Exception as group:  # noqa: BLE001 - the other scenarios' figures are not to be lost
        traceback.print_exception(group)
        found.missing[label] = f"a defect: {_first_of(group)}"
    if label in found.missing:
        sys.stderr.write(f"  no figures: {found.missing[label]}\n")


def _measure(planned: Planned, *, workers: int | None, peer: Path | None) -> Measurement:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        case = Case(
            scenario=planned.scenario.name,
            variant=planned.variant,
            count=planned.count,
            directory=Path(directory),
            workers=workers,
            peer=peer,
        )
        return asyncio.run(planned.scenario.measure(case))


def _first_of(group: BaseExceptionGroup[Exception]) -> str:
    """The message of the first exception in it, however deep."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return str(first)


def _tell(report: Report, directory: Path) -> None:
    if reached := table.summary(report.measurements):
        print(reached)
    for label, reason in report.missing.items():
        print(f"\n{label} has no figures: {reason}")
    if not report.measurements:
        return
    path = report.write(directory)
    print(f"\n{path}")
    drawn = picture.draw(report)
    if drawn is not None:
        path.with_suffix(".svg").write_text(drawn, encoding="utf-8")
        print(path.with_suffix(".svg"))


if __name__ == "__main__":
    raise SystemExit(main())
