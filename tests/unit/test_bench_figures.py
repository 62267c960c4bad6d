"""Which path the runs took, as the operator counts it."""

from bench.figures import path_figures

RUNS = """\
ansible_operator_run_path_total{path="warm",reason=""} 3
ansible_operator_run_path_total{path="plain",reason="not ready"} 1
"""


def test_the_warm_runs_share_is_of_all_runs() -> None:
    assert path_figures(RUNS) == {"warm_runs_percent": 75.0}


def test_an_operator_that_does_not_count_paths_has_no_such_figure() -> None:
    """Rather than a share of nothing: the peer has no warm path, and says nothing of it."""
    assert path_figures("controller_runtime_reconcile_total 4\n") == {}
