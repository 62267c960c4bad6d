"""The doorway to Ansible: a run's specification in, a `RunOutcome` out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from runner.content import Content
from runner.execution.outcome import RunOutcome
from runner.objects import GroupVersionKind, ObjectRef, RunId

__all__ = ["Execute", "RunSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run of Ansible for one object."""

    run_id: RunId
    gvk: GroupVersionKind
    ref: ObjectRef
    content: Content
    extra_vars: Mapping[str, Any]
    """JSON-ready, strings from the cluster already marked unsafe (`extravars.build`)."""
    kubeconfig: str
    """Text of the kubeconfig that leads to the gateway; written 0600 into the run's directory."""
    timeout_s: float | None = None
    """`None`: the run may take for ever."""
    verbosity: int = 2
    ansible_args: str = ""
    """Verbatim arguments for `ansible-playbook`, from `--ansible-args`."""
    max_artifacts: int = 0
    """How many finished runs of this object to keep on disk; 0: none."""
    check: bool = False
    """Dry run: `--check --diff`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The run's whole environment but for what execution itself sets (kubeconfig, collections, temp dirs)."""


class Execute(Protocol):
    """Runs a specification to its end. The plain path is one implementation, the warm path another.

    Cancelling the call kills the run's whole process tree before `CancelledError` is raised on.
    """

    async def __call__(self, spec: RunSpec) -> RunOutcome: ...
