"""Events are found in Ansible's output however it is cut up; forged markers and floods do no harm."""

import base64
import json

import pytest

from runner.execution.stream import EventStream, last_lines


def marker(payload: dict[str, object] | bytes, width: int = 78) -> bytes:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    text = base64.b64encode(data)
    parts = [text[at : at + width] for at in range(0, len(text), width)]
    return b"\x1b[K" + b"".join(b"%s\x1b[%dD" % (part, len(part)) for part in parts) + b"\x1b[K"


BEGIN = marker({"uuid": "1b4e28ba-2fa1-11d2-883f-0016d3cca427"})
END = marker({})


class Sink:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.stream = EventStream(lambda event_id, text: self.seen.append((event_id, text)), keep=1000)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_any_cut_of_the_stream_gives_the_same_events(size: int) -> None:
    output = b"before\n" + BEGIN + b"ok: [localhost]\n" + END + b"between\n" + marker({"uuid": "b" * 36}, 9) + END
    sink = Sink()
    for at in range(0, len(output), size):
        sink.stream.feed(output[at : at + size])
    sink.stream.close()
    assert sink.seen == [("1b4e28ba-2fa1-11d2-883f-0016d3cca427", "ok: [localhost]"), ("b" * 36, "")]
    assert sink.stream.tail == b"before\nok: [localhost]\nbetween\n"


@pytest.mark.parametrize(
    "forged",
    [
        {"uuid": "../../../etc/passwd"},
        {"uuid": "a/b"},
        {"uuid": ""},
        {"uuid": 7},
        {"event": "playbook_on_stats"},
        b"no json",
        b"[1]",
    ],
)
def test_a_forged_marker_is_no_event(forged: dict[str, object] | bytes) -> None:
    """What a task prints may hold the same control sequences."""
    sink = Sink()
    sink.stream.feed(marker(forged) + b"text" + END)
    sink.stream.close()
    assert sink.seen == []


def test_an_event_that_was_cut_off_still_comes() -> None:
    sink = Sink()
    sink.stream.feed(BEGIN + b"fatal: ")
    sink.stream.close()
    assert [text for _, text in sink.seen] == ["fatal:"]


def test_output_without_end_is_held_in_little_memory() -> None:
    sink = Sink()
    sink.stream.feed(BEGIN)
    for _ in range(1000):
        sink.stream.feed(b"x" * 10_000 + b"\x1b[Kabc")
    sink.stream.feed(END)
    assert len(sink.seen[0][1]) <= 4096
    assert len(sink.stream.tail) == 1000
    assert len(sink.stream._tail) <= 2000


def test_an_endless_marker_is_taken_for_text() -> None:
    sink = Sink()
    sink.stream.feed(b"\x1b[K" + b"A" * 100_000)
    assert len(sink.stream._held) <= 4096
    sink.stream.close()
    assert sink.stream.tail == b"A" * 1000


def test_last_lines_are_whole_and_without_control_sequences() -> None:
    output = b"first\r\n\x1b[0;31mERROR!\x1b[0m\x07 here\r\nlast \xff\n"
    assert last_lines(output, 1000) == "first\nERROR! here\nlast \ufffd"
    assert last_lines(output, 12) == "last \ufffd"
    assert last_lines(b"x" * 50, 10) == "x" * 10
