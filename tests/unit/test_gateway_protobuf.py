"""Marks in protobuf. That real objects of real clients come out right is shown in tests/integration."""

import pytest

from runner.gateway.ownership import Marks
from runner.gateway.protobuf import BadProtobuf, with_dry_run, with_marks

MAGIC = b"k8s\0"


def field(number: int, value: bytes) -> bytes:
    """A field of the length-delimited type; values stay below 128 bytes unless a test says otherwise."""
    size = bytes([len(value)]) if len(value) < 128 else bytes([len(value) & 0x7F | 0x80, len(value) >> 7])
    return bytes([number << 3 | 2]) + size + value


def flag(number: int, value: int) -> bytes:
    return bytes([number << 3, value])


def owner(uid: bytes, *flags: bytes) -> bytes:
    return field(1, b"Echo") + field(3, b"x") + field(4, uid) + field(5, b"g/v1") + b"".join(flags)


def envelope(raw: bytes, *more: bytes) -> bytes:
    return MAGIC + field(1, field(1, b"v1") + field(2, b"ConfigMap")) + field(2, raw) + b"".join(more)


NAME = field(1, b"child")
DATA = field(2, field(1, b"key") + field(2, b"value"))
REFERENCE = {"apiVersion": "g/v1", "kind": "Echo", "name": "x", "uid": "u-1"}
CONTROLLER = REFERENCE | {"controller": True, "blockOwnerDeletion": True}


def check(metadata: bytes, marks: Marks, expected: bytes) -> None:
    """Marking changes the metadata, and nothing else but lengths."""
    assert with_marks(envelope(field(1, metadata) + DATA), marks) == envelope(field(1, expected) + DATA)


def test_a_reference_is_added():
    check(NAME, Marks(reference=REFERENCE), NAME + field(13, owner(b"u-1")))


def test_flags_of_a_controller_reference():
    check(NAME, Marks(reference=CONTROLLER), NAME + field(13, owner(b"u-1", flag(6, 1), flag(7, 1))))


def test_a_reference_with_our_uid_stays_as_it_is():
    metadata = NAME + field(13, owner(b"u-1", flag(6, 0)))
    check(metadata, Marks(reference=CONTROLLER), metadata)


@pytest.mark.parametrize(("value", "ours"), [(1, (flag(7, 1),)), (0, (flag(6, 1), flag(7, 1)))])
def test_a_second_managing_controller_is_not_made(value: int, ours: tuple[bytes, ...]):
    metadata = NAME + field(13, owner(b"u-2", flag(6, value)))
    check(metadata, Marks(reference=CONTROLLER), metadata + field(13, owner(b"u-1", *ours)))


def test_annotations_are_added_last_so_that_they_win():
    stale = field(12, field(1, b"a") + field(2, b"stale"))
    expected = NAME + stale + field(12, field(1, b"a") + field(2, b"b"))
    check(NAME + stale, Marks(annotations={"a": "b"}), expected)


def test_long_objects_keep_their_lengths():
    data = field(2, b"x" * 5000)
    result = with_marks(envelope(field(1, NAME) + data), Marks(reference=REFERENCE))
    assert data in result
    assert result == envelope(field(1, NAME + field(13, owner(b"u-1"))) + data)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"kind": "x"}',
        envelope(b""),
        envelope(DATA),
        envelope(flag(1, 1) + DATA),
        envelope(field(1, field(200 >> 3, b"x"))),
        envelope(field(1, NAME)[:-1]),
        envelope(field(1, NAME), field(3, b"gzip")),
        MAGIC + b"\xff" * 20,
        MAGIC + b"\x0b",
        MAGIC + field(2, field(1, NAME))[:-3],
    ],
)
def test_what_has_no_place_for_a_mark_is_refused(body: bytes):
    with pytest.raises(BadProtobuf):
        with_marks(body, Marks(reference=REFERENCE))


def test_a_deletes_options_become_a_dry_run():
    options = field(4, b"Background")
    assert with_dry_run(envelope(options + field(5, b"x"))) == envelope(options + field(5, b"All"))
