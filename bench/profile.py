"""`make profile`: where the time goes when N Echoes of the one-task role become Jobs.

Twice, because a profiler slows what it looks at: once as it is, for the CPU of each part and the phases of a run; once
with cProfile on the operator's process, for its functions. Its start is among them, so few Echoes show little else.
Runs and the warm parent are processes of their own, which the profiler does not see, and which it would break (a
profiler that is active across a fork does).
"""

import argparse
import asyncio
import pstats
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import phases, table
from bench.checks import WrongResult
from bench.measurement import FIGURES, VARIANTS, Measurement, Variant
from bench.rig import Case
from bench.scenarios import create

__all__ = ["main"]

_TELLING = ("--log-level=debug", "--ansible-log-events=everything")
_COSTS = (
    "reconciles_per_s",
    "cpu_per_reconcile_s",
    "runtime_cpu_per_reconcile_s",
    "ansible_cpu_per_reconcile_s",
    "api_server_cpu_per_reconcile_s",
    "etcd_cpu_per_reconcile_s",
)
_WAITS = ("method 'poll' of 'select.epoll'",)
"""Functions that take time and no CPU."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many Echoes (default 200)")
    parser.add_argument("--variant", choices=VARIANTS[:2], default="warm", help="the path of the runs")
    parser.add_argument("--top", type=int, default=25, help="how many functions to show (default 25)")
    parser.add_argument("--out", type=Path, help="keep the profile in this file, for snakeviz and the like")
    options = parser.parse_args()
    try:
        print(_costs(options.variant, options.count))
        print(_functions(options.variant, options.count, options.top, options.out))
    except WrongResult as error:
        print(f"no figures: {error}", file=sys.stderr)
        return 1
    return 0


def _costs(variant: Variant, count: int) -> str:
    """CPU of each part, and the phases of a run."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        measured = _measure(Path(directory), variant, count, arguments=_TELLING)
        log = next(Path(directory).glob("operator-*/operator.log"))
        with log.open("rb") as lines:
            found = phases.phases(phases.records(lines))
    parts = [[FIGURES[name].label, FIGURES[name].show(measured.figures[name])] for name in _COSTS]
    rows = [[phase.name, f"{phase.seconds * 1000:.0f} ms", str(phase.runs)] for phase in found]
    return "\n\n".join(
        (
            table.grid([[f"{count} Echoes, {variant}, every event logged", ""], *parts]),
            table.grid([["phases of a run, by the log", "mean", "runs"], *rows]),
        )
    )


def _functions(variant: Variant, count: int, top: int, out: Path | None) -> str:
    """The operator's functions that took most time of their own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        file = out or Path(directory) / "operator.pstats"
        _measure(Path(directory) / "rig", variant, count, python=("-m", "cProfile", "-o", str(file.resolve())))
        stats: Any = pstats.Stats(str(file))
    return "\n" + table.grid([["the operator under cProfile", "own", "with callees", "calls"], *_rows(stats, top)])


def _measure(
    directory: Path, variant: Variant, count: int, *, python: tuple[str, ...] = (), arguments: tuple[str, ...] = ()
) -> Measurement:
    directory.mkdir(exist_ok=True)
    case = Case(
        scenario="create-onetask",
        variant=variant,
        count=count,
        directory=directory,
        python=python,
        arguments=arguments,
    )
    return asyncio.run(create.onetask(case))


def _rows(stats: Any, top: int) -> list[list[str]]:
    """Functions by their own time, those left out that only wait."""
    entries = sorted(stats.stats.items(), key=lambda entry: -entry[1][2])
    working = [(where, figures) for where, figures in entries if not any(wait in where[2] for wait in _WAITS)]
    total = sum(figures[2] for _, figures in working)
    rows = [
        [_name(where), f"{own:.3f} s", f"{cumulative:.3f} s", f"{calls:,}"]
        for where, (_, calls, own, cumulative, _) in working[:top]
    ]
    return [*rows, ["all but waiting", f"{total:.3f} s", "", ""]]


def _name(where: tuple[str, int, str]) -> str:
    """`package/module.py:line(function)`, from the last two parts of the path."""
    file, line, function = where
    if not line:
        return function.strip("<>")
    return f"{'/'.join(Path(file).parts[-2:])}:{line}({function})"


if __name__ == "__main__":
    raise SystemExit(main())
