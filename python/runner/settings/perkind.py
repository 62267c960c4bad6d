"""Variables of the environment that count for one kind alone, with Operator SDK's names."""

import re
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["verbosity_of", "workers_of"]


def workers_of(kind: str, group: str, *, default: int, environment: Mapping[str, str]) -> int:
    """Runs at the same time for one kind: `MAX_CONCURRENT_RECONCILES_<KIND>_<GROUP>`, or `WORKER_...` of old."""
    names = ("MAX_CONCURRENT_RECONCILES", "WORKER")
    return next((number for number in _of_kind(names, kind, group, environment) if number > 0), default)


def verbosity_of(kind: str, group: str, *, default: int, environment: Mapping[str, str]) -> int:
    """How many v for runs of one kind: `ANSIBLE_VERBOSITY_<KIND>_<GROUP>`, 0 to 7."""
    return next(
        (number for number in _of_kind(("ANSIBLE_VERBOSITY",), kind, group, environment) if number <= 7), default
    )


def _of_kind(names: Iterable[str], kind: str, group: str, environment: Mapping[str, str]) -> Iterator[int]:
    suffix = f"{kind}_{group.replace('.', '_')}".upper()
    for name in names:
        text = environment.get(f"{name}_{suffix}", "")
        if re.fullmatch(r"[0-9]+", text):
            yield int(text)
