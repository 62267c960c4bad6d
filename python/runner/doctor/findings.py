"""What doctor has to say: one finding is one place in a file, what is the matter there, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Place", "Severity", "worst"]


class Severity(StrEnum):
    """How much a finding matters; the order is from worst to least."""

    ERROR = "error"
    """It will not work."""
    CHANGE = "change"
    """It works, and behaves differently."""
    INFO = "info"
    """Good to know; nothing has to be done."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where: `file` is relative to the project, with slashes; `line` and `column` count from 1."""

    file: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to know. `what` and `remedy` are one sentence each, without a full stop."""

    place: Place
    rule: str
    severity: Severity
    what: str
    remedy: str

    def key(self) -> tuple[Place, str, str]:
        """Order of a report: by place, then by rule."""
        return (self.place, self.rule, self.what)


def worst(findings: tuple[Finding, ...]) -> Severity | None:
    """Return the gravest severity; `None` where there are no findings."""
    return next((severity for severity in Severity if any(found.severity is severity for found in findings)), None)
