"""Why a run takes the plain path, and a sample of a run.  The values are stable: metrics and logs use them."""

from collections.abc import Mapping
from pathlib import Path

from runner.content import Content
from runner.execution.run import RunSpec
from runner.objects import GroupVersionKind, ObjectRef, RunId

__all__ = [
    "HUNG", "LOST", "MOST_TOLD", "NOT_READY", "REFUSED", "RUNS", "SETTINGS", "SWITCHED_OFF", "sample_spec",
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
RUNS = (SWITCHED_OFF, NOT_READY, REFUSED, SETTINGS, LOST)
HUNG = "hung"
MOST_TOLD = 200


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
