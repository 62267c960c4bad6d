"""Why a run takes the plain path, a task a process of its own, a warm parent its leave; and a sample of a run.

The values are stable: metrics and logs use them.
"""

from collections.abc import Mapping
from pathlib import Path

from runner.content import Content
from runner.execution.run import RunSpec
from runner.objects import GroupVersionKind, ObjectRef, RunId

__all__ = [
    "BESIDE", "CONTENT", "DIED", "GROWN", "HUNG", "LOST", "NOT_READY", "REFUSED", "REPLACEMENTS", "RUNS", "SETTINGS",
    "SWITCHED_OFF", "TASKS", "USED_UP", "sample_spec",
]  # fmt: skip

SWITCHED_OFF = "switched_off"
"""`warmModules: false` or `--no-warm`."""
NOT_READY = "not_ready"
"""The warm parent is still loading, or could not be started."""
REFUSED = "refused"
"""The warm parent said that it is not made for this project; the log says why."""
SETTINGS = "settings"
"""The run's environment sets up Ansible or Python differently from the warm parent's."""
LOST = "lost"
"""The warm parent died or hung just when the run was to start."""
BESIDE = "collections_beside"
"""Collections lie right beside the playbook, where Ansible looks before all paths that the warm parent has."""
RUNS = (SWITCHED_OFF, NOT_READY, REFUSED, SETTINGS, LOST, BESIDE)

TASKS = frozenset({
    "action", "async", "become", "connection", "hosts", "interpreter", "keep_remote_files", "module_utils",
    "not_listed", "other_module", "rlimit", "strategy", "throttle",
})  # fmt: skip
"""Why a task or its module gets a process (`inline.needs_worker`, `actions`)."""

CONTENT = "content"
"""A file that the warm parent has loaded is not as it was."""
USED_UP = "runs"
GROWN = "size"
DIED = "died"
HUNG = "hung"
REPLACEMENTS = (CONTENT, USED_UP, GROWN, DIED, HUNG)


def sample_spec(number: int, environment: Mapping[str, str]) -> RunSpec:
    """A run of nothing."""
    return RunSpec(
        run_id=RunId(f"rehearsal{number}"),
        gvk=GroupVersionKind("", "v1", "Rehearsal"),
        ref=ObjectRef("", "rehearsal"),
        content=Content(playbook=Path("/nonexistent")),
        extra_vars={},
        kubeconfig="",
        environment=environment,
    )
