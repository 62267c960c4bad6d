"""Go's duration strings (`1h30m`, `300ms`), which watches.yaml, annotations and flags use."""

import re

__all__ = ["format_duration", "parse_duration"]

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Return float seconds. The rules are Go's `time.ParseDuration`: every number needs a unit, but `0` does not.

    Raises:
        ValueError: not a Go duration; the message names the remedy.
    """
    sign, body = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if body == "0":
        return 0.0
    seconds, position = 0.0, 0
    while position < len(body):
        part = _PART.match(body, position)
        if part is None:
            break
        seconds += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    if not body or position < len(body):
        raise ValueError(f"{text!r} is no duration: write numbers with units, as 30s, 5m or 1h30m")
    return sign * seconds


def format_duration(seconds: float) -> str:
    """Write seconds the way Go does, dropping zero units: 5400 is `1h30m0s`, 0.25 is `250ms`."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if 0 < seconds < 1:
        return f"{round(seconds * 1000, 3):g}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{int(hours)}h" if hours else ""
    if hours or minutes:
        text += f"{int(minutes)}m"
    return f"{text}{round(rest, 3):g}s"
