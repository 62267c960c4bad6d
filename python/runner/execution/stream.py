"""Ansible's output as ansible-runner's display callback writes it: text with event markers between.

A marker is only a hint. The event itself lies in a file that the callback wrote under a random name, so text that a
task prints can at most point at an event that exists, never make one up. Memory is bounded whatever is printed.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable

__all__ = ["EventStream", "last_lines"]

_MARKER = re.compile(rb"\x1b\[K((?:[A-Za-z0-9+/=]+\x1b\[\d+D)+)\x1b\[K")
_MARKER_BEGINS = re.compile(rb"\x1b(?:\[(?:K(?:[A-Za-z0-9+/=]+\x1b\[\d+D)*[A-Za-z0-9+/=]*(?:\x1b(?:\[\d*)?)?)?)?\Z")
_CURSOR_BACK = re.compile(rb"\x1b\[\d+D")
_EVENT_ID = re.compile(r"[0-9A-Za-z_-]{1,80}")
_MAX_MARKER = 4096
_MAX_EVENT_TEXT = 4096
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class EventStream:
    """Takes bytes in any portions; calls back once per event, when its text is complete."""

    def __init__(self, on_event: Callable[[str, str], None], *, keep: int) -> None:
        """`on_event` gets an event's id and what was displayed for it; `keep` is how many bytes of output to keep."""
        self._on_event = on_event
        self._keep = keep
        self._tail = bytearray()
        self._held = b""
        self._current = ""
        self._text = bytearray()

    def feed(self, data: bytes) -> None:
        data = self._held + data
        position = 0
        for marker in _MARKER.finditer(data):
            self._take(data[position : marker.start()])
            self._mark(marker[1])
            position = marker.end()
        rest = data[position:]
        hold = _unfinished(rest)
        self._take(rest[: len(rest) - hold])
        self._held = rest[len(rest) - hold :]

    def close(self) -> None:
        """No more output comes."""
        self._take(self._held)
        self._held = b""
        self._finish()

    @property
    def tail(self) -> bytes:
        """The last of the output, without markers."""
        return bytes(self._tail[-self._keep :])

    def note(self, text: str) -> None:
        """Add a line that did not come from the stream."""
        self._take(text.encode("utf-8", "replace") + b"\n")

    def _take(self, text: bytes) -> None:
        self._tail += text[-self._keep :]
        if len(self._tail) > 2 * self._keep:
            del self._tail[: -self._keep]
        if self._current:
            self._text += text[: _MAX_EVENT_TEXT - len(self._text)]

    def _mark(self, payload: bytes) -> None:
        self._finish()
        try:
            record = json.loads(base64.b64decode(_CURSOR_BACK.sub(b"", payload)))
        except (ValueError, binascii.Error):
            return
        event_id = record.get("uuid") if isinstance(record, dict) else None
        if isinstance(event_id, str) and _EVENT_ID.fullmatch(event_id):
            self._current = event_id

    def _finish(self) -> None:
        if self._current:
            self._on_event(self._current, self._text.decode("utf-8", "replace").strip())
        self._current = ""
        self._text.clear()


def _unfinished(data: bytes) -> int:
    """How many bytes at the end may be the first part of a marker."""
    begin = _MARKER_BEGINS.search(data, max(0, len(data) - _MAX_MARKER))
    return len(data) - begin.start() if begin else 0


def last_lines(output: bytes, limit: int) -> str:
    """The end of an output for people: no control sequences, whole lines, at most that many bytes."""
    text = _CONTROL.sub("", output.decode("utf-8", "replace").replace("\r\n", "\n")).strip()
    data = text.encode()
    if len(data) <= limit:
        return text
    cut = data[-limit:].decode("utf-8", "ignore")
    _, newline, whole = cut.partition("\n")
    return whole if newline and whole else cut
