"""What a span of time cost in CPU, by who spent it: runtime, Ansible, API server, etcd."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from bench.processes import cpu_below, cpu_of, memory_of, warm_parent_of

__all__ = ["Snapshot", "Spent", "memory_figures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """CPU seconds within a span of `seconds`."""

    seconds: float
    runtime_s: float
    """The operator's own process, in which the gateway lives too."""
    ansible_s: float
    """Every process below it: supervisors, plays, modules, the warm parent."""
    api_server_s: float
    etcd_s: float

    def figures(self, reconciles: int) -> dict[str, float]:
        """Per reconcile."""
        each = max(1, reconciles)
        return {
            "cpu_per_reconcile_s": (self.runtime_s + self.ansible_s) / each,
            "runtime_cpu_per_reconcile_s": self.runtime_s / each,
            "ansible_cpu_per_reconcile_s": self.ansible_s / each,
            "api_server_cpu_per_reconcile_s": self.api_server_s / each,
            "etcd_cpu_per_reconcile_s": self.etcd_s / each,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Counters at one instant, like `time.monotonic`."""

    at: float
    runtime_s: float
    ansible_s: float
    api_server_s: float
    etcd_s: float

    @classmethod
    def take(cls, *, operator: int, control_plane: Mapping[str, int]) -> "Snapshot":
        """Args:
        operator: its process id.
        control_plane: process ids by component.
        """
        return cls(
            at=time.monotonic(),
            runtime_s=cpu_of(operator).own_s,
            ansible_s=cpu_below(operator),
            api_server_s=cpu_of(control_plane["kube-apiserver"]).own_s,
            etcd_s=cpu_of(control_plane["etcd"]).own_s,
        )

    def since(self, earlier: "Snapshot") -> Spent:
        return Spent(
            seconds=self.at - earlier.at,
            runtime_s=self.runtime_s - earlier.runtime_s,
            ansible_s=self.ansible_s - earlier.ansible_s,
            api_server_s=self.api_server_s - earlier.api_server_s,
            etcd_s=self.etcd_s - earlier.etcd_s,
        )


def memory_figures(operator: int) -> dict[str, float]:
    """Memory of an operator and, where it has one, of its warm parent."""
    own = memory_of(operator)
    figures = {"operator_peak_rss_mb": own.peak_rss_mb, "operator_pss_mb": own.pss_mb}
    parent = warm_parent_of(operator)
    if parent is not None:
        warm = memory_of(parent)
        figures |= {"warm_peak_rss_mb": warm.peak_rss_mb, "warm_pss_mb": warm.pss_mb}
    return figures
