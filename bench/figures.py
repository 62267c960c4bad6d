"""The figures that every scenario of reconciles has, whatever else it measures."""

from bench.costs import Spent, memory_figures
from bench.exposition import total
from bench.operators import Operator

__all__ = ["path_figures", "reconcile_figures"]


async def reconcile_figures(operator: Operator, spent: Spent, reconciles: int) -> dict[str, float]:
    """How many reconciles there were, what each cost, the operator's memory now, and which path its runs took."""
    return {
        "reconciles": reconciles,
        **spent.figures(reconciles),
        **memory_figures(operator.pid),
        **path_figures(await operator.metrics()),
    }


def path_figures(metrics: str) -> dict[str, float]:
    """Which path the runs took, by the operator's own count; nothing where it does not count that."""
    runs = total(metrics, "ansible_operator_run_path_total")
    return (
        {"warm_runs_percent": 100 * total(metrics, "ansible_operator_run_path_total", path="warm") / runs}
        if runs
        else {}
    )
