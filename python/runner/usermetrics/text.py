"""Writes the metrics that roles keep in both text formats (pure).

The client library's own classes are not used for them: it would expose a counter `restarts` as `restarts_total`, and
dashboards made for the Go runtime look for the name that the role gave.
"""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.utils import floatToGoString

from runner.usermetrics.registry import Family, Value

__all__ = ["render"]

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


def render(families: Mapping[str, Family], *, openmetrics: bool) -> bytes:
    """Return all series, without an end mark."""
    lines: list[str] = []
    for name, family in families.items():
        shown, kind = _declared(name, family, openmetrics=openmetrics)
        lines.append(f"# HELP {shown} {family.help.translate(_ESCAPES if openmetrics else _HELP_ESCAPES)}")
        lines.append(f"# TYPE {shown} {kind}")
        for values, value in family.series.items():
            labels = list(zip(family.label_names, values, strict=True))
            lines.extend(_samples(name, family, labels, value))
    return "".join(f"{line}\n" for line in lines).encode()


def _declared(name: str, family: Family, *, openmetrics: bool) -> tuple[str, str]:
    """The family's name and type. OpenMetrics has no counter whose name does not end in `_total`."""
    if openmetrics and family.kind == "counter":
        return (name.removesuffix("_total"), "counter") if name.endswith("_total") else (name, "unknown")
    return name, family.kind


def _samples(name: str, family: Family, labels: Sequence[tuple[str, str]], value: Value) -> Iterator[str]:
    if family.kind in {"counter", "gauge"}:
        yield _line(name, labels, value.total)
        return
    if family.kind == "histogram":
        below = 0
        bounds = [*map(_number, family.bounds), "+Inf"]
        for bound, count in zip(bounds, value.buckets, strict=True):
            below += count
            yield _line(f"{name}_bucket", [*labels, ("le", bound)], below)
    yield _line(f"{name}_sum", labels, value.total)
    yield _line(f"{name}_count", labels, value.count)


def _line(name: str, labels: Sequence[tuple[str, str]], value: float) -> str:
    shown = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels)
    return f"{name}{{{shown}}} {_number(value)}" if shown else f"{name} {_number(value)}"


def _number(value: float) -> str:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # the library's own
    return text
