"""How the text of a flag or a variable becomes a value; each raises `ValueError` with the rule that the text breaks."""

import re
from collections.abc import Callable

from runner.durations import parse_duration

__all__ = [
    "boolean", "duration", "log_level", "names", "one_of", "positive", "positive_duration", "rate", "seconds", "size",
    "unquoted", "whole",
]  # fmt: skip


def boolean(text: str) -> bool:
    """Read a switch as Go does.

    Raises:
        ValueError: neither on nor off.
    """
    lowered = text.lower()
    if lowered in {"1", "t", "true"}:
        return True
    if lowered in {"0", "f", "false"}:
        return False
    raise ValueError("must be true or false")


def whole(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise ValueError("must be a whole number from 0")
    return int(text)


def positive(text: str) -> int:
    number = whole(text)
    if number < 1:
        raise ValueError("must be a whole number from 1")
    return number


def rate(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError("must be a number from 0")
    return float(text)


_UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,12})(Ki|Mi|Gi|)", text)
    if not found:
        raise ValueError("must be a number of bytes, as 512Mi or 2Gi")
    return int(found[1]) * _UNITS[found[2]]


def duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < 0:
        raise ValueError("must not be negative")
    return seconds


def positive_duration(text: str) -> float:
    seconds = duration(text)
    if not seconds:
        raise ValueError("must be longer than 0s")
    return seconds


def seconds(text: str) -> float:
    return float(positive(text))


def names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def unquoted(text: str) -> str:
    """Drop quotes round the whole, which a Deployment's list of arguments keeps and no shell takes away."""
    return text[1:-1] if len(text) > 1 and text.startswith("'") and text.endswith("'") else text


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choice or 'empty' for choice in choices)}")
        return text.lower()

    return parse


_LOGRUS = {"trace": "debug", "debug": "debug", "info": "info", "warn": "warning", "warning": "warning"}
_LOGRUS |= {"error": "error", "fatal": "critical", "panic": "critical"}


def log_level(text: str) -> str:
    # The Go runtime takes numbers too, for depths of debugging; here there is one.
    level = "debug" if re.fullmatch(r"0*[1-9][0-9]*", text) else _LOGRUS.get(text.lower())
    if level is None:
        raise ValueError("must be one of debug, info, warn, error")
    return level
