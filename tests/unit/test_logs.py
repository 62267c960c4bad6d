"""A log line is one line, whatever a cluster's users put into it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from runner import logs


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def written(*, json_lines: bool, level: str = "info") -> tuple[io.StringIO, logging.Logger]:
    stream = io.StringIO()
    logs.configure(level=level, json_lines=json_lines, stream=stream)
    return stream, logging.getLogger("some.part")


def test_json_line_has_the_fields_beside_the_message() -> None:
    stream, logger = written(json_lines=True)
    logger.warning("run finished", extra=logs.fields(ref="a/x", rc=0))
    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["msg"]) == ("warn", "some.part", "run finished")
    assert (line["ref"], line["rc"]) == ("a/x", 0)


@pytest.mark.parametrize("json_lines", [True, False])
@pytest.mark.parametrize("value", ["a\nFAKE line", "\x1b[31mred", "\x9b31m", "tab\tand\rreturn"])
def test_control_characters_cannot_forge_a_line(json_lines: bool, value: str) -> None:
    stream, logger = written(json_lines=json_lines)
    logger.info("message", extra=logs.fields(value=value))
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text.rstrip("\n"))


def test_non_ascii_stays_readable() -> None:
    for json_lines in (True, False):
        stream, logger = written(json_lines=json_lines)
        logger.info("message", extra=logs.fields(value="Hola, 世界!"))
        assert "Hola, 世界!" in stream.getvalue()


def test_console_quotes_what_would_run_together() -> None:
    stream, logger = written(json_lines=False)
    logger.info("message", extra=logs.fields(plain="x", spaced="two words", empty=""))
    assert stream.getvalue().rstrip().endswith('plain=x spaced="two words" empty=""')


def test_level_is_honoured() -> None:
    stream, logger = written(json_lines=True, level="warning")
    logger.info("not this")
    assert stream.getvalue() == ""


def test_exception_is_part_of_the_line() -> None:
    stream, logger = written(json_lines=True)
    try:
        int("boom")
    except ValueError:
        logger.exception("failed")
    assert "ValueError: invalid literal" in json.loads(stream.getvalue())["stacktrace"]


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("iso8601", "2026-01-01T12:00:00.250Z"),
        ("rfc3339", "2026-01-01T12:00:00Z"),
        ("rfc3339nano", "2026-01-01T12:00:00.250000Z"),
        ("epoch", 1767268800.25),
        ("millis", 1767268800250.0),
        ("nano", 1767268800250000000),
    ],
)
def test_a_line_tells_its_time_as_asked(encoding: str, expected: object) -> None:
    """Whoever reads the Go runtime's logs by machine has one of these in their parser."""
    for json_lines in (True, False):
        stream = io.StringIO()
        logs.configure(level="info", json_lines=json_lines, time_encoding=encoding, stream=stream)
        record = logging.LogRecord("part", logging.INFO, "f", 1, "message", None, None)
        record.created, record.msecs = 1767268800.25, 250.0
        logging.getLogger().handle(record)
        line = stream.getvalue()
        assert json.loads(line)["ts"] == expected if json_lines else line.startswith(f"{expected} INFO")
