"""Marks in bodies that clients written in Go send as protobuf, `kubectl create configmap` among them. Pure.

Reads no more of the format than it takes to find `metadata`, which is field 1 of every object that the API server
stores. Numbers are those of `runtime.Unknown`, `ObjectMeta`, `OwnerReference` and `DeleteOptions`; they never change.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from runner.gateway.ownership import Marks

__all__ = ["MEDIA_TYPE", "BadProtobuf", "with_dry_run", "with_marks"]

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\0"
_RAW, _ENCODING = 2, 3  # of runtime.Unknown
_METADATA = 1  # of every object
_ANNOTATIONS, _OWNERS, _LAST = 12, 13, 17  # of ObjectMeta
_UID, _CONTROLLER = 4, 6  # of OwnerReference
_DRY_RUN = 5  # of DeleteOptions
_BYTES = 2
_WIDTHS = {1: 8, 5: 4}
_MAX_VARINT = 10


class BadProtobuf(ValueError):  # noqa: N818 - reads as what it is
    """Not what a Kubernetes client would send."""


class _Field(NamedTuple):
    number: int
    wire: int
    value: bytes
    """Of a varint its bytes."""
    whole: bytes
    """Tag, length and value."""


def with_marks(body: bytes, marks: Marks) -> bytes:
    """Add the marks to the object in an envelope; a reference with our UID that is there already stays as it is.

    Raises:
        BadProtobuf: there is no place to add them.
    """
    return _with_raw(body, lambda raw: _with_metadata(raw, marks))


def with_dry_run(body: bytes) -> bytes:
    """Make the `DeleteOptions` in an envelope a dry run.

    Raises:
        BadProtobuf: it is no envelope.
    """
    return _with_raw(body, lambda raw: _without(raw, _DRY_RUN) + _encoded(_DRY_RUN, b"All"))


def _with_raw(body: bytes, change: Callable[[bytes], bytes]) -> bytes:
    if not body.startswith(_MAGIC):
        raise BadProtobuf("it does not begin as Kubernetes' protobuf does")
    envelope = body[len(_MAGIC) :]
    fields = list(_fields(envelope))
    if any(field.number == _ENCODING and field.value for field in fields):
        raise BadProtobuf("the object in it is compressed")
    raw = b"".join(field.value for field in fields if field.number == _RAW)
    return _MAGIC + _without(envelope, _RAW) + _encoded(_RAW, change(raw))


def _with_metadata(raw: bytes, marks: Marks) -> bytes:
    found = [field for field in _fields(raw) if field.number == _METADATA]
    if len(found) != 1 or found[0].wire != _BYTES:
        raise BadProtobuf("the object in it has no metadata")
    metadata = list(_fields(found[0].value))
    if not all(1 <= field.number <= _LAST for field in metadata):
        raise BadProtobuf("the object's first field is no metadata")
    added = found[0].value + _reference(metadata, marks) + _annotations(marks)
    return _encoded(_METADATA, added) + _without(raw, _METADATA)


def _reference(metadata: list[_Field], marks: Marks) -> bytes:
    if marks.reference is None:
        return b""
    owners = [list(_fields(field.value)) for field in metadata if field.number == _OWNERS]
    uid = str(marks.reference["uid"]).encode()
    if any(field.number == _UID and field.value == uid for owner in owners for field in owner):
        return b""
    managed = any(field.number == _CONTROLLER and any(field.value) for owner in owners for field in owner)
    reference = b"".join(
        _encoded(number, str(marks.reference[key]).encode())
        for number, key in ((1, "kind"), (3, "name"), (_UID, "uid"), (5, "apiVersion"))
    )
    # The API server refuses a second managing controller.
    for number, key, left_out in ((_CONTROLLER, "controller", managed), (7, "blockOwnerDeletion", False)):
        if key in marks.reference and not left_out:
            reference += bytes((number << 3, bool(marks.reference[key])))
    return _encoded(_OWNERS, reference)


def _annotations(marks: Marks) -> bytes:
    """Of two entries of a map with the same key the last counts, so these win."""
    return b"".join(
        _encoded(_ANNOTATIONS, _encoded(1, key.encode()) + _encoded(2, value.encode()))
        for key, value in marks.annotations.items()
    )


def _without(message: bytes, number: int) -> bytes:
    return b"".join(field.whole for field in _fields(message) if field.number != number)


def _encoded(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | _BYTES,)) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _fields(message: bytes) -> Iterator[_Field]:
    at = 0
    while at < len(message):
        tag, after = _read_varint(message, at)
        wire, start = tag & 7, after
        if wire == 0:
            _, end = _read_varint(message, after)
        elif wire == _BYTES:
            size, start = _read_varint(message, after)
            end = start + size
        elif wire in _WIDTHS:
            end = after + _WIDTHS[wire]
        else:
            raise BadProtobuf("it holds a field of a type that is not in use")
        if end > len(message) or not tag >> 3:
            raise BadProtobuf("it is cut off or garbled")
        yield _Field(tag >> 3, wire, message[start:end], message[at:end])
        at = end


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(message[at : at + _MAX_VARINT]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at + shift + 1
    raise BadProtobuf("it is cut off or garbled")
