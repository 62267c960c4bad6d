"""Whether what was reconciled is right: no figure is printed before. Pure but `until`."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

__all__ = ["Object", "Unmeasured", "WrongResult", "demand", "job_problems", "reconciled", "same_objects", "until"]

_SHOWN = 10

type Object = Mapping[str, Any]


class WrongResult(Exception):  # noqa: N818 - what it names is the error
    """What the operator made is not what was asked for, or it took far too long; the message says what."""


class Unmeasured(Exception):  # noqa: N818 - as above
    """The scenario is nothing for this machine; the message says why."""


def demand(problems: Sequence[str]) -> None:
    """Raises:
    WrongResult: there are problems.
    """
    if problems:
        rest = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise WrongResult("; ".join([*problems[:_SHOWN], *rest]))


def reconciled(echo: Object) -> bool:
    """Whether the last run succeeded, and was one of the present generation.

    The Go runtime does not say of which generation it was: there, nothing may be edited while this is asked.
    """
    status = echo.get("status") or {}
    if status.get("observedGeneration", echo["metadata"]["generation"]) != echo["metadata"]["generation"]:
        return False
    conditions = {entry["type"]: entry for entry in status.get("conditions") or []}
    return bool(conditions.get("Successful", {}).get("status") == "True")


def job_problems(echoes: Iterable[Object], jobs: Iterable[Object]) -> list[str]:
    """What is wrong, given all Echoes and Jobs of a namespace: each Echo has one Job, which is its and prints it."""
    by_name = {job["metadata"]["name"]: job for job in jobs}
    problems = []
    for echo in echoes:
        name = echo["metadata"]["name"]
        job = by_name.pop(name, None)
        if job is None:
            problems.append(f"Echo {name} has no Job")
            continue
        owners = [owner["uid"] for owner in job["metadata"].get("ownerReferences", [])]
        command = job["spec"]["template"]["spec"]["containers"][0]["command"]
        if owners != [echo["metadata"]["uid"]]:
            problems.append(f"Job {name} belongs to {owners}")
        if command != ["printf", "%s\\n", echo["spec"]["message"]]:
            problems.append(f"Job {name} runs {command}")
    return [*problems, *(f"Job {name} has no Echo" for name in by_name)]


def same_objects(before: Iterable[Object], after: Iterable[Object], *, by: Sequence[str]) -> list[str]:
    """What differs in these fields of `metadata`, between two looks at the same objects."""

    def marks(objects: Iterable[Object]) -> dict[str, list[Any]]:
        return {obj["metadata"]["name"]: [obj["metadata"].get(field) for field in by] for obj in objects}

    old, new = marks(before), marks(after)
    return [f"{name} was touched" for name in sorted(old | new) if old.get(name) != new.get(name)]


async def until[T](look: Callable[[], Awaitable[T | None]], *, within_s: float, what: str, every_s: float = 0.1) -> T:
    """Return the first thing that `look` finds.

    Raises:
        WrongResult: there is none within so many seconds.
    """
    end = time.monotonic() + within_s
    while not (found := await look()):
        if time.monotonic() > end:
            raise WrongResult(f"not within {within_s:g} s: {what}")
        await asyncio.sleep(every_s)
    return found
