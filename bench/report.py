"""The figures of one run: a table for people, JSON for programs."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["Bar", "Phase", "Report", "percentile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What was measured while N objects were reconciled once each, or more often."""

    name: str
    objects: int
    reconciles: int
    seconds: float
    """From the first cause to the last status."""
    first_child_s: float | None = None
    last_child_s: float | None = None
    latencies_s: Sequence[float] = field(default=(), repr=False)
    """From creation of each object to creation of its child."""
    operator_cpu_s: float = 0.0
    """The operator process alone."""
    runs_cpu_s: float = 0.0
    """Every process of every run."""
    api_server_cpu_s: float = 0.0
    peak_rss_mb: float = 0.0
    writes: Mapping[str, int] = field(default_factory=dict)
    """By `verb resource`, from the audit log."""

    def rows(self) -> list[tuple[str, str]]:
        """Label and figure, as shown."""
        per = max(1, self.reconciles)
        rows = [
            ("objects / reconciles", f"{self.objects} / {self.reconciles}"),
            ("seconds, all", f"{self.seconds:.1f}"),
            ("reconciles per second", f"{self.reconciles / self.seconds:.2f}"),
        ]
        if self.first_child_s is not None and self.last_child_s is not None:
            rows.append(("first / last Job after", f"{self.first_child_s:.2f} / {self.last_child_s:.1f} s"))
        if self.latencies_s:
            p50, p95, p99 = (percentile(self.latencies_s, p) for p in (50, 95, 99))
            rows.append(("resource to Job, p50 / p95 / p99", f"{p50:.2f} / {p95:.2f} / {p99:.2f} s"))
        total = self.operator_cpu_s + self.runs_cpu_s
        rows += [
            ("CPU per reconcile", f"{total / per:.3f} s (operator {self.operator_cpu_s / per:.3f})"),
            ("API server CPU per reconcile", f"{self.api_server_cpu_s / per:.3f} s"),
            ("operator peak memory", f"{self.peak_rss_mb:.0f} MB"),
            ("API writes per reconcile", f"{sum(self.writes.values()) / per:.2f}"),
        ]
        rows += [(f"  {what}", str(count)) for what, count in sorted(self.writes.items())]
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All phases, with what they were measured on."""

    scenario: str
    phases: Sequence[Phase]
    settings: Mapping[str, Any]

    def write(self, directory: Path) -> Path:
        """Write the JSON file; return its path."""
        directory.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        path = directory / f"{self.scenario}-{now:%Y%m%dT%H%M%SZ}.json"
        body = {
            "scenario": self.scenario,
            "at": now.isoformat(timespec="seconds"),
            "settings": dict(self.settings),
            "machine": _machine(),
            "versions": _versions(),
            "phases": [_summary(phase) for phase in self.phases],
        }
        path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
        return path

    def table(self) -> str:
        """One column a phase."""
        labels = list(dict.fromkeys(label for phase in self.phases for label, _ in phase.rows()))
        columns = [dict(phase.rows()) for phase in self.phases]
        grid = [["", *(phase.name for phase in self.phases)]]
        grid += [[label, *(column.get(label, "") for column in columns)] for label in labels]
        widths = [max(len(row[index]) for row in grid) for index in range(len(grid[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in grid]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of a non-empty list."""
    ordered = sorted(values)
    rank = max(0, min(len(ordered) - 1, round(percent / 100 * len(ordered) + 0.5) - 1))
    return ordered[rank]


class Bar:
    """Progress: a bar on a terminal, elsewhere a line at each tenth."""

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = max(1, total)
        self._shown = -1

    def show(self, done: int) -> None:
        """Draw, if there is something new to see."""
        tenths = 10 * done // self._total
        if sys.stderr.isatty():
            filled = 30 * done // self._total
            end = "\n" if done >= self._total else ""
            sys.stderr.write(f"\r{self._label} [{'#' * filled}{'.' * (30 - filled)}] {done}/{self._total}{end}")
        elif tenths != self._shown:
            sys.stderr.write(f"{self._label} {done}/{self._total}\n")
        self._shown = tenths
        sys.stderr.flush()


def _summary(phase: Phase) -> dict[str, Any]:
    values = asdict(phase)
    latencies = values.pop("latencies_s")
    if latencies:
        values["latency_s"] = {f"p{p}": round(percentile(latencies, p), 4) for p in (50, 90, 95, 99)}
        values["latency_s"]["max"] = round(max(latencies), 4)
    values["reconciles_per_s"] = round(phase.reconciles / phase.seconds, 3)
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}


def _machine() -> dict[str, Any]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpus": os.cpu_count(),
        "cpu": model,
        "memory_gb": round(memory_kb / 1024**2, 1),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
    }


def _versions() -> dict[str, str]:
    packages = ("ansible-core", "ansible-runner", "kubernetes", "aiohttp")
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in packages}
