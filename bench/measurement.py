"""What one scenario found on one path, as named figures, and how figures are called and written for people.

A figure's name ends in its unit. A name that is not in `FIGURES` cannot be measured, so table, JSON and goals agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["FIGURES", "VARIANTS", "Figure", "Measurement", "Variant"]

Variant = Literal["warm", "plain", "peer"]
"""`warm`: runs are forks of a loaded Ansible. `plain`: each is a program of its own. `peer`: another operator."""

VARIANTS: tuple[Variant, ...] = ("warm", "plain", "peer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """How a figure is shown."""

    label: str
    unit: str = ""
    digits: int = 0
    """Behind the point."""

    def show(self, value: float) -> str:
        return f"{self.rounded(value):.{self.digits}f} {self.unit}".rstrip()

    def rounded(self, value: float) -> float:
        """The value as it is shown, and as it is therefore judged."""
        return round(value, self.digits) + 0.0  # never -0.0


def _latency(prefix: str, label: str) -> dict[str, Figure]:
    return {
        f"{prefix}_p{percent}_s": Figure(label=f"{label}, p{percent}", unit="s", digits=3) for percent in (50, 95, 99)
    }


FIGURES: Mapping[str, Figure] = {
    "reconciles_per_s": Figure(label="reconciles per second", digits=2),
    "seconds_s": Figure(label="seconds, all", unit="s", digits=1),
    "create_s": Figure(label="seconds that creating took us", unit="s", digits=1),
    "reconciles": Figure(label="reconciles"),
    "first_job_s": Figure(label="first Job after", unit="s", digits=2),
    "last_job_s": Figure(label="last Job after", unit="s", digits=1),
    **_latency("job_latency", "resource to Job"),
    **_latency("done_latency", "resource to status"),
    **_latency("run", "one run"),
    "reconcile_mean_s": Figure(label="one reconcile, mean", unit="s", digits=3),
    "start_to_ready_s": Figure(label="start to ready", unit="s", digits=2),
    "start_to_first_reconcile_s": Figure(label="start to first reconcile done", unit="s", digits=2),
    "warm_load_s": Figure(label="warm parent loads in", unit="s", digits=2),
    "listed_and_queued_s": Figure(label="start to all listed and queued", unit="s", digits=2),
    "edits": Figure(label="edits"),
    "edit_s": Figure(label="seconds that editing took us", unit="s", digits=1),
    "settled_s": Figure(label="last edit to all as edited", unit="s", digits=2),
    "runs": Figure(label="runs"),
    "runs_per_object": Figure(label="runs per object", digits=2),
    "most_runs_of_an_object": Figure(label="most runs of one object"),
    "warm_runs_percent": Figure(label="runs that took the warm path", unit="%"),
    "cpu_per_reconcile_s": Figure(label="CPU per reconcile, operator and run", unit="s", digits=3),
    "runtime_cpu_per_reconcile_s": Figure(label="  runtime incl. gateway", unit="s", digits=3),
    "ansible_cpu_per_reconcile_s": Figure(label="  Ansible", unit="s", digits=3),
    "api_server_cpu_per_reconcile_s": Figure(label="CPU per reconcile, API server", unit="s", digits=3),
    "etcd_cpu_per_reconcile_s": Figure(label="CPU per reconcile, etcd", unit="s", digits=3),
    "writes": Figure(label="writes, roles' included"),
    "status_writes_per_reconcile": Figure(label="status writes per reconcile", digits=2),
    "runtime_reads_per_reconcile": Figure(label="reads per reconcile, runtime", digits=2),
    "role_reads_per_reconcile": Figure(label="reads per reconcile, role", digits=2),
    "operator_rss_mb": Figure(label="operator memory, RSS", unit="MB"),
    "operator_peak_rss_mb": Figure(label="operator memory, peak RSS", unit="MB"),
    "operator_pss_mb": Figure(label="operator memory, PSS", unit="MB"),
    "warm_peak_rss_mb": Figure(label="warm parent memory, peak RSS", unit="MB"),
    "warm_pss_mb": Figure(label="warm parent memory, PSS", unit="MB"),
    "warm_parents": Figure(label="warm parents in succession"),
    "operator_growth_mb_per_1000": Figure(label="operator growth per 1,000 reconciles", unit="MB", digits=2),
    "operator_growth_mb": Figure(label="operator, last tenth less first", unit="MB", digits=2),
    "warm_growth_mb_per_1000": Figure(label="warm parent growth per 1,000 reconciles", unit="MB", digits=2),
    "warm_growth_mb": Figure(label="warm parent, last tenth less first", unit="MB", digits=2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One scenario on one path, its results found right."""

    scenario: str
    variant: Variant
    count: int
    """How many objects, runs or reconciles the scenario was asked for."""
    workers: int
    """Runs at the same time, as the operator itself says."""
    figures: Mapping[str, float]
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict, repr=False)
    """What figures were made from where that is worth keeping; for the JSON file only."""

    def __post_init__(self) -> None:
        if unknown := sorted(self.figures.keys() - FIGURES.keys()):
            raise ValueError(f"figures without a label: {', '.join(unknown)}")
