"""Log lines: a constant message and fields, as JSON or for a terminal.

Never pass a spec, an environment or extra variables as a field. Control characters of values are escaped in both
formats, so a message that came from a cluster cannot forge a line.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

__all__ = ["TIME_ENCODINGS", "configure", "fields"]

_LEVEL_NAMES = {"WARNING": "warn", "CRITICAL": "fatal"}


def _utc(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))


_TIMES: dict[str, Callable[[logging.LogRecord], Any]] = {
    "iso8601": lambda record: f"{_utc(record)}.{int(record.msecs):03d}Z",
    "rfc3339": lambda record: f"{_utc(record)}Z",
    "rfc3339nano": lambda record: f"{_utc(record)}.{int(record.created % 1 * 1e6):06d}Z",
    "epoch": lambda record: record.created,
    "millis": lambda record: record.created * 1e3,
    "nano": lambda record: int(record.created * 1e6) * 1000,
}
TIME_ENCODINGS = tuple(_TIMES)
"""How a line may tell its time; the names are zap's."""


def fields(**values: Any) -> dict[str, Any]:
    """Wrap structured fields for `extra=`: `log.info("run finished", extra=fields(run=run_id, rc=0))`."""
    return {"fields": values}


class _JsonFormatter(logging.Formatter):
    def __init__(self, time_encoding: str) -> None:
        super().__init__()
        self._time = _TIMES[time_encoding]

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "level": _LEVEL_NAMES.get(record.levelname, record.levelname.lower()),
            "ts": self._time(record),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["stacktrace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False).translate(_TERMINAL_CONTROLS)


class _ConsoleFormatter(logging.Formatter):
    def __init__(self, time_encoding: str, *, colour: bool) -> None:
        super().__init__()
        self._time = _TIMES[time_encoding]
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname:<7}"
        if self._colour:
            level = f"{_COLOURS.get(record.levelno, '')}{level}\x1b[0m"
        values = getattr(record, "fields", {})
        tail = "".join(f" {key}={_console_value(value)}" for key, value in values.items())
        line = f"{self._time(record)} {level} {record.name} {record.getMessage()}{tail}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


_COLOURS = {logging.DEBUG: "\x1b[2m", logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m"}
# JSON escapes C0 already; DEL and the C1 range can still steer a terminal.
_TERMINAL_CONTROLS = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def _console_value(value: Any) -> str:
    text = str(value)
    if text and text.isprintable() and " " not in text and '"' not in text:
        return text
    return json.dumps(text, ensure_ascii=False).translate(_TERMINAL_CONTROLS)


def configure(*, level: str, json_lines: bool, time_encoding: str = "iso8601", stream: TextIO | None = None) -> None:
    """Set up the root logger once, at start; `level` is one of Python's level names."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    colour = stream.isatty()
    handler.setFormatter(
        _JsonFormatter(time_encoding) if json_lines else _ConsoleFormatter(time_encoding, colour=colour)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
