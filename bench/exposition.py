"""Reads metrics in Prometheus' text format, as much of it as counters, gauges and histogram sums need.

Only the series asked for are looked at: an API server's page has tens of thousands of lines.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["Sample", "samples", "total"]

_LINE = re.compile(r"(?P<name>[^\s{]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    labels: Mapping[str, str]
    value: float


def samples(text: str, name: str) -> Iterator[Sample]:
    """Yield the samples of exactly that name."""
    for line in text.splitlines():
        if not line.startswith(name):
            continue
        found = _LINE.match(line)
        if found is not None and found["name"] == name:
            labels = {key: _unescape(value) for key, value in _LABEL.findall(found["labels"] or "")}
            yield Sample(labels=labels, value=float(found["value"]))


def total(text: str, name: str, **labels: str) -> float:
    """The sum over all samples of that name that carry these labels; 0 where there is none."""
    wanted = labels.items()
    return math.fsum(sample.value for sample in samples(text, name) if wanted <= sample.labels.items())


def _unescape(text: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPED.get(match[0], match[0]), text)
