"""How often the warm path was taken, in labels from closed sets."""

import ast
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from runner.execution.warm import actions, inline, reasons
from runner.metrics.warm import WarmMetrics

PATH = "ansible_operator_run_path_total"
TASKS = "ansible_operator_warm_tasks_total"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> WarmMetrics:
    return WarmMetrics(registry)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_runs_by_path_and_reason(metrics: WarmMetrics, registry: CollectorRegistry) -> None:
    metrics.warm_run()
    metrics.plain_run(reasons.NOT_READY)
    metrics.plain_run(reasons.NOT_READY)
    assert value(registry, PATH, path="warm", reason="") == 1
    assert value(registry, PATH, path="plain", reason="not_ready") == 2


def test_every_reason_is_there_from_the_start(metrics: WarmMetrics, registry: CollectorRegistry) -> None:
    assert [value(registry, PATH, path="plain", reason=reason) for reason in reasons.RUNS] == [0] * 6
    replaced = "ansible_operator_warm_parent_replacements_total"
    assert [value(registry, replaced, reason=reason) for reason in reasons.REPLACEMENTS] == [0] * 5
    metrics.restarted(reasons.GROWN)
    assert value(registry, replaced, reason="size") == 1


def test_tasks_by_where_they_ran(metrics: WarmMetrics, registry: CollectorRegistry) -> None:
    metrics.task("task", "ansible.builtin.debug", "")
    metrics.task("module", "kubernetes.core.k8s", "async")
    assert value(registry, TASKS, what="task", path="inline", reason="") == 1
    assert value(registry, TASKS, what="module", path="process", reason="async") == 1


def test_what_content_makes_up_is_no_label(metrics: WarmMetrics, registry: CollectorRegistry) -> None:
    metrics.task("nonsense", "x", "because I say so")
    assert value(registry, TASKS, what="module", path="process", reason="other") == 1


def test_the_reasons_of_tasks_are_all_known() -> None:
    """Else a reason would silently count as another."""
    said = {constant for module in (actions, inline) for constant in _texts_returned(module.__file__ or "")}
    assert said >= {"async", "hosts", "rlimit"}
    assert said <= reasons.TASKS


def _texts_returned(path: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name in {"needs_worker", "_module_for"}:
            for result in ast.walk(node):
                if isinstance(result, ast.Return):
                    texts = [
                        c.value for c in ast.walk(result) if isinstance(c, ast.Constant) and isinstance(c.value, str)
                    ]
                    found |= {text for text in texts if text not in {"", "."}}
    return found


def test_start_seconds(metrics: WarmMetrics, registry: CollectorRegistry) -> None:
    metrics.ready(1.5)
    assert value(registry, "ansible_operator_warm_parent_start_seconds") == 1.5
