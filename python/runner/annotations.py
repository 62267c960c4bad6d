"""What an object's annotations say about how it is run.

Promises: a value that means nothing never stops an object, nor lets it spin. It is told of once, and what the
annotation last said well goes on to count; that is kept in memory alone, so after a restart it is as if the annotation
were not there. Knows nothing of watches and flags, which count where an annotation is absent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runner.durations import parse_duration
from runner.objects import Meta, ObjectRef, Uid

__all__ = ["ARTIFACTS", "PERIOD", "VERBOSITY", "Annotations", "Wishes", "read"]

_PREFIX = "ansible.sdk.operatorframework.io/"
PERIOD = _PREFIX + "reconcile-period"
VERBOSITY = _PREFIX + "verbosity"
ARTIFACTS = _PREFIX + "max-runner-artifacts"
_SHOWN = 100
"""Characters of a bad value that are repeated to its author."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What an object asks for; `None`: nothing."""

    period_s: float | None = None
    verbosity: int | None = None
    max_artifacts: int | None = None


_NONE = Wishes()


def read(annotations: Mapping[str, str], last: Wishes = _NONE) -> tuple[Wishes, tuple[str, ...]]:
    """Read what is there; in place of what means nothing put `last`.

    Returns:
        The wishes, and one sentence for each bad value that names annotation, value and rule.
    """
    complaints: list[str] = []

    def one[T](name: str, convert: Callable[[str], T], kept: T | None) -> T | None:
        text = annotations.get(name)
        if text is None:
            return None
        try:
            return convert(text)
        except ValueError as error:
            stays = "the last good value stays" if kept is not None else "it is as if it were not there"
            complaints.append(f"annotation {name}: {error}, found {text[:_SHOWN]!r}; {stays}")
            return kept

    wishes = Wishes(
        period_s=one(PERIOD, _period, last.period_s),
        verbosity=one(VERBOSITY, _verbosity, last.verbosity),
        max_artifacts=one(ARTIFACTS, _artifacts, last.max_artifacts),
    )
    return wishes, tuple(complaints)


def _period(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ValueError("must be a duration with units, as 30s, 5m or 1h30m") from error
    if seconds < 0 or 0 < seconds < 1:
        raise ValueError("must be 0s, which is never, or at least 1s")
    return seconds


def _verbosity(text: str) -> int:
    return _whole(text, highest=7)


def _artifacts(text: str) -> int:
    return _whole(text, highest=1000)


def _whole(text: str, *, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(highest)) and int(text) <= highest):
        raise ValueError(f"must be a whole number from 0 to {highest}")
    return int(text)


@dataclass(frozen=True, slots=True)
class _Known:
    uid: Uid
    wishes: Wishes
    complaints: tuple[str, ...] = ()


class Annotations:
    """Remembers what the annotations of one kind's objects last said well, and what was told of them."""

    def __init__(self) -> None:
        self._known: dict[ObjectRef, _Known] = {}

    def look(self, meta: Meta) -> tuple[Wishes, tuple[str, ...]]:
        """Return what an object wishes now, and those complaints that nobody has heard yet."""
        before = self._known.get(meta.ref)
        if before is None or before.uid != meta.uid:
            before = _Known(meta.uid, _NONE)
        wishes, complaints = read(meta.annotations, before.wishes)
        if wishes == _NONE and not complaints:
            self._known.pop(meta.ref, None)
        else:
            self._known[meta.ref] = _Known(meta.uid, wishes, complaints)
        return wishes, tuple(complaint for complaint in complaints if complaint not in before.complaints)

    def forget(self, ref: ObjectRef) -> None:
        """An object is gone, or no longer ours to look after."""
        self._known.pop(ref, None)
