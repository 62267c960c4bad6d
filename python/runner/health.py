"""What `/healthz` and `/readyz` say: named checks, answered in the words of Kubernetes' own components.

Promises: an answer names checks and whether they passed, and nothing else, because anybody may ask. Does not serve
(`httpserver` does), remember, or wait: a check looks at what is known already.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from runner.clock import Clock

__all__ = [
    "Check",
    "Electing",
    "Probe",
    "Report",
    "Watching",
    "clock_kept",
    "informers_healthy",
    "leader_known",
    "ping",
]

Check = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An answer to a probe."""

    status: HTTPStatus
    text: str


class Probe:
    """One endpoint with its checks; without any it passes."""

    def __init__(self, name: str, checks: Mapping[str, Check]) -> None:
        """Args:
        name: the path without its slash: `healthz`, `readyz`.
        """
        self.name = name
        self._checks = dict(checks)

    def report(self, *, verbose: bool = False, exclude: Collection[str] = ()) -> Report:
        """Run all checks but the excluded ones. A failure is told in full, success only if `verbose`."""
        lines, passed = [], True
        for name, check in self._checks.items():
            if name in exclude:
                lines.append(f"[+]{name} excluded: ok\n")
            elif check():
                lines.append(f"[+]{name} ok\n")
            else:
                lines.append(f"[-]{name} failed: reason withheld\n")
                passed = False
        if not passed:
            return Report(status=HTTPStatus.INTERNAL_SERVER_ERROR, text=f"{''.join(lines)}{self.name} check failed\n")
        return Report(status=HTTPStatus.OK, text=f"{''.join(lines)}{self.name} check passed\n" if verbose else "ok")

    def report_one(self, name: str) -> Report | None:
        """Run one check; `None`: there is none of that name."""
        check = self._checks.get(name)
        if check is None:
            return None
        if check():
            return Report(status=HTTPStatus.OK, text="ok")
        return Report(status=HTTPStatus.INTERNAL_SERVER_ERROR, text=f"{name} failed: reason withheld\n")


class Watching(Protocol):
    """The part of an `Informer` that readiness asks for."""

    @property
    def healthy(self) -> bool: ...


class Electing(Protocol):
    """The part of a `LeaderElector` that readiness asks for."""

    @property
    def leader(self) -> str | None: ...


def ping() -> bool:
    """Check that the event loop answers: it does if this runs."""
    return True


def informers_healthy(informers: Collection[Watching]) -> Check:
    """Check that each informer has its first list and heard from the API server lately.

    The collection is looked at anew each time, so informers may be added later.
    """
    return lambda: all(informer.healthy for informer in informers)


def leader_known(elector: Electing) -> Check:
    """Check that the Lease was seen; who holds it does not matter, for a standby is ready too."""
    return lambda: elector.leader is not None


def clock_kept(clock: Clock, *, limit_s: float = 300.0) -> Check:
    """Check that the wall clock has not moved more than `limit_s` against the monotonic one since now.

    Nothing in the operator depends on the wall clock, so this is for those who want a restart nonetheless.
    """
    start = clock.now().timestamp() - clock.monotonic()
    return lambda: abs(clock.now().timestamp() - clock.monotonic() - start) <= limit_s
