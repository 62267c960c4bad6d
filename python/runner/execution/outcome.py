"""What a run of Ansible came to: the values, and the verdict over them (pure).

The verdict looks at the return code and the final statistics together, because neither tells all: a rescued failure
has failed tasks and is a success, an unreachable host has none and is a failure, a killed play has no statistics.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from runner.objects import RunId

__all__ = ["RunOutcome", "Stats", "TaskFailure", "Verdict", "judge"]


class Verdict(StrEnum):
    """Why a run counts as it does. Only `SUCCEEDED` is success. The values are stable: metrics and Events use them."""

    SUCCEEDED = "Succeeded"
    FAILED = "TaskFailed"
    UNREACHABLE = "HostUnreachable"
    NO_STATS = "RunBroken"
    """Ansible ended without final statistics: a syntax error, a missing role, a crash."""
    KILLED = "RunKilled"
    """Ansible or its supervisor was killed by something other than us, the memory limit for example."""
    TIMED_OUT = "RunTimeout"
    CANCELLED = "RunCancelled"
    """We killed it: shutdown, or the lease is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """One task that failed and was neither ignored nor rescued."""

    task: str
    """The task's name as shown by Ansible, `role : name` included."""
    action: str
    """Resolved action, such as `kubernetes.core.k8s`."""
    path: str
    """`file:line` of the task; empty if Ansible did not say."""
    message: str
    """`res.msg`, at most 1 KiB; a fixed text where the task has `no_log`."""
    items: tuple[str, ...] = ()
    """Of a loop: what its failed items said, the first three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Final statistics of the play: per host name, how many tasks."""

    ok: Mapping[str, int] = field(default_factory=dict)
    changed: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    dark: Mapping[str, int] = field(default_factory=dict)
    """Unreachable hosts."""
    rescued: Mapping[str, int] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)

    @property
    def no_hosts(self) -> bool:
        """No host did anything: `hosts:` matched nothing, or the play ended itself at once."""
        return not (self.ok or self.failures or self.dark or self.skipped)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """All that is kept of a run once its process tree is gone."""

    run_id: RunId
    verdict: Verdict
    return_code: int | None
    """Ansible's own; `None` if it never got to exit by itself."""
    stats: Stats | None
    failures: tuple[TaskFailure, ...] = ()
    requeue_after_s: float | None = None
    """What the last `requeue_after` task asked for, float seconds; `None`: no such task ran."""
    completion: str = ""
    """Time stamp of the last event in ansible-runner's own spelling, for `ansibleResult.completion`."""
    detail: str = ""
    """Last lines of the run's output where there is no failed task to quote, at most 1 KiB."""
    seconds: float = 0.0
    rescued: int = 0
    """How many task failures a `rescue` caught; they are not in `failures`."""

    @property
    def succeeded(self) -> bool:
        return self.verdict is Verdict.SUCCEEDED


def judge(*, return_code: int | None, stats: Stats | None, timed_out: bool, cancelled: bool) -> Verdict:
    """Decide what a run counts as, from how its processes ended and what Ansible counted."""
    if timed_out:
        return Verdict.TIMED_OUT
    if cancelled:
        return Verdict.CANCELLED
    if return_code is None or return_code < 0:
        return Verdict.KILLED
    if stats is None:
        return Verdict.NO_STATS
    if stats.dark:
        return Verdict.UNREACHABLE
    if stats.failures or return_code:
        return Verdict.FAILED
    return Verdict.SUCCEEDED
