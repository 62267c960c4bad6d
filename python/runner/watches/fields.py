"""Reads the mappings of watches.yaml key by key, and reports whatever is wrong by its path."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runner.watches import readers

__all__ = ["Fields", "Report"]


@dataclass(slots=True)
class Report:
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Fields:
    """One YAML mapping being read: knows its path, remembers what was asked for, reports instead of raising."""

    def __init__(self, raw: Any, path: str, report: Report) -> None:
        self.path = path
        self.report = report
        self._asked: list[str] = []
        self._raw: dict[str, Any] = {}
        if isinstance(raw, dict):
            self._raw = {str(key): value for key, value in raw.items()}
        else:
            self.problem("", f"must be a mapping, found {readers.describe(raw)}")

    def problem(self, key: str, text: str) -> None:
        self.report.problems.append(f"{self.path}{'.' if key else ''}{key}: {text}")

    def read[T](self, key: str, convert: Callable[[Any], T], default: T) -> T:
        """Return the value of `key`, converted; a `ValueError` of the conversion becomes a problem."""
        self._asked.append(key)
        value = self._find(key)
        if value is None:
            return default
        try:
            return convert(value)
        except ValueError as error:
            self.problem(key, str(error))
            return default

    def nested(self, key: str) -> "Fields | None":
        self._asked.append(key)
        value = self._find(key)
        return None if value is None else Fields(value, f"{self.path}.{key}", self.report)

    def finish(self) -> None:
        """Warn about each key nobody asked for."""
        lowered = {key.lower() for key in self._asked}
        for key in self._raw:
            if key.lower() in lowered:
                continue
            near = difflib.get_close_matches(key.lower(), sorted(lowered), n=1)
            hint = next((f"did you mean {known!r}?" for known in self._asked if near == [known.lower()]), "")
            hint = hint or f"known here: {', '.join(sorted(self._asked))}"
            self.report.warnings.append(f"{self.path}.{key}: unknown key, ignored; {hint}")

    def _find(self, key: str) -> Any:
        # Go's JSON decoder matches keys without regard to case, so existing files may be written that way.
        if key in self._raw:
            return self._raw[key]
        return next((value for name, value in self._raw.items() if name.lower() == key.lower()), None)
