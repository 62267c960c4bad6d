"""All measurements of one call, with what they were made on, as a JSON file that `picture` can draw again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.measurement import Measurement

__all__ = ["Report", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was measured, when and on what."""

    scenario_set: str
    """`default`, `all`, or the scenarios' names."""
    at: datetime
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    measurements: Sequence[Measurement]
    missing: Mapping[str, str]
    """Why a scenario of the set, as `name variant`, has no measurement."""

    @property
    def name(self) -> str:
        """Of its files, without ending."""
        return f"{self.at.astimezone(UTC):%Y-%m-%dT%H%M%SZ}-{self.scenario_set}"

    def write(self, directory: Path) -> Path:
        """Write the JSON file; return its path."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.name}.json"
        path.write_text(json.dumps(self._body(), indent=2) + "\n", encoding="utf-8")
        return path

    def _body(self) -> dict[str, Any]:
        return {
            "scenario_set": self.scenario_set,
            "at": self.at.astimezone(UTC).isoformat(timespec="seconds"),
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "measurements": [_rounded(asdict(one)) for one in self.measurements],
            "missing": dict(self.missing),
        }


def read(path: Path) -> Report:
    """The report in a file that `write` made, its figures rounded to 4 digits."""
    body = json.loads(path.read_text(encoding="utf-8"))
    return Report(
        scenario_set=body["scenario_set"],
        at=datetime.fromisoformat(body["at"]),
        machine=body["machine"],
        versions=body["versions"],
        measurements=[Measurement(**one) for one in body["measurements"]],
        missing=body["missing"],
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    return value
