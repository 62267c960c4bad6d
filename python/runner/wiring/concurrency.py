"""How many reconciles go on at once: of one kind, and of all kinds together. Pure."""

from collections.abc import Mapping, Sequence

from runner.settings import Settings
from runner.settings.perkind import workers_of
from runner.watches import Watch

__all__ = ["limit", "workers"]

_A_CPU = 2
"""A run waits for the API server about half of its time."""


def workers(watch: Watch, settings: Settings, environment: Mapping[str, str]) -> int:
    """Return how many objects of a watch's kind are reconciled at once: the watch's word, its variable, the flag."""
    return watch.max_concurrent_reconciles or workers_of(
        watch.gvk.kind, watch.gvk.group, default=settings.max_concurrent_reconciles, environment=environment
    )


def limit(
    watches: Sequence[Watch], settings: Settings, environment: Mapping[str, str], *, cpus: float, machine_cpus: int
) -> int:
    """Return how many are reconciled at once over all kinds.

    Unless it is set: as many as the CPUs keep busy, and no fewer than somebody has asked for for any one kind. At least
    two, so that one long run does not stop everything.

    Args:
        cpus: those that the container may use.
        machine_cpus: those there are, and so the default for a kind: nobody asked for that many.
    """
    if settings.max_concurrent_runs:
        return settings.max_concurrent_runs
    wanted = (workers(watch, settings, environment) for watch in watches)
    return max(2, int(_A_CPU * cpus), *(count for count in wanted if count != machine_cpus))
