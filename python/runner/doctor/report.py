"""How findings are shown: to people as lines by file, to programs as JSON."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby

from runner.doctor.findings import Finding, Severity

__all__ = ["as_json", "as_text"]

_COLOURS = {Severity.ERROR: "31", Severity.CHANGE: "33", Severity.INFO: "36"}
_WIDTH = max(len(severity) for severity in Severity)


def as_json(project: str, findings: Iterable[Finding]) -> str:
    """Return one JSON object: `project`, `counts` by severity, and `findings` in the order of files and lines."""
    shown = [
        {
            "file": found.place.file,
            "line": found.place.line,
            "column": found.place.column,
            "rule": found.rule,
            "severity": str(found.severity),
            "what": found.what,
            "remedy": found.remedy,
        }
        for found in findings
    ]
    counts = {str(severity): sum(found["severity"] == severity for found in shown) for severity in Severity}
    return json.dumps({"project": project, "counts": counts, "findings": shown}, indent=2, ensure_ascii=False)


def as_text(project: str, findings: tuple[Finding, ...], *, colours: bool) -> str:
    """Return a table by file, and a last line that says how many there are of what."""
    lines = [
        line for _, group in groupby(findings, lambda found: found.place.file) for line in _file(group, colours=colours)
    ]
    return "\n".join([*lines, _summary(project, findings, colours=colours)])


def _file(group: Iterator[Finding], *, colours: bool) -> Iterator[str]:
    findings = list(group)
    yield _paint(findings[0].place.file, "1", colours=colours)
    place = max(len(f"{found.place.line}:{found.place.column}") for found in findings)
    for found in findings:
        where = f"{found.place.line}:{found.place.column}".rjust(place)
        severity = _paint(found.severity.ljust(_WIDTH), _COLOURS[found.severity], colours=colours)
        yield f"  {where}  {severity}  {found.what}  {_paint(f'[{found.rule}]', '2', colours=colours)}"
        yield f"  {' ' * place}  {' ' * _WIDTH}  -> {found.remedy}"
    yield ""


def _summary(project: str, findings: tuple[Finding, ...], *, colours: bool) -> str:
    counts = {severity: sum(found.severity is severity for found in findings) for severity in Severity}
    if not counts[Severity.ERROR] and not counts[Severity.CHANGE]:
        return _paint(f"{project}: nothing needs a change ({counts[Severity.INFO]} to know)", "32", colours=colours)
    text = (
        f"{project}: {counts[Severity.ERROR]} will not work, {counts[Severity.CHANGE]} behave differently, "
        f"{counts[Severity.INFO]} to know"
    )
    return _paint(text, _COLOURS[Severity.ERROR if counts[Severity.ERROR] else Severity.CHANGE], colours=colours)


def _paint(text: str, code: str, *, colours: bool) -> str:
    return f"\033[{code}m{text}\033[0m" if colours else text
