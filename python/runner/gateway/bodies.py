"""Objects in request bodies: read as the API server reads them, changed, and written again. Pure.

What cannot be read is refused, never passed on: the server might read it after all, and make an object without owner.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import yaml

from runner.gateway import ownership, protobuf
from runner.gateway.answers import Refusal
from runner.gateway.ownership import BadMetadata, Marks
from runner.gateway.protobuf import BadProtobuf
from runner.objects import Raw

__all__ = ["decode", "media_type", "with_dry_run", "with_marks"]

_JSON = frozenset({"", "application/json"})
"""Without a content type the API server takes a body for JSON."""
_YAML = frozenset({"application/yaml", "application/apply-patch+yaml"})
_REMEDY = (
    "send application/json (client-go: ContentType of rest.Config),"
    " or application/apply-patch+yaml for a server-side apply"
)
_MAX_NODES = 1_000_000


def media_type(header: str) -> str:
    """Return a Content-Type without its parameters, lower case."""
    return header.partition(";")[0].strip().lower()


def with_marks(body: bytes, kind: str, marks: Marks) -> tuple[bytes, str]:
    """Add an owner's marks to an object; return the new body and its media type.

    Args:
        body: the object.
        kind: its media type.
        marks: see `ownership.with_owner`.

    Raises:
        Refusal: it is no object, or in a format that cannot be changed here.
    """
    if kind == protobuf.MEDIA_TYPE:
        return _protobuf(lambda: protobuf.with_marks(body, marks)), kind
    try:
        return _encode(ownership.with_owner(decode(body, kind), marks)), _written_as(kind)
    except BadMetadata as error:
        raise Refusal.bad_request(f"the request body's {error}") from error


def with_dry_run(body: bytes, kind: str) -> tuple[bytes, str]:
    """Make the options in the body of a delete a dry run: where there is a body, the server ignores the query.

    Raises:
        Refusal: as of `with_marks`.
    """
    if kind == protobuf.MEDIA_TYPE:
        return _protobuf(lambda: protobuf.with_dry_run(body)), kind
    return _encode({**decode(body, kind), "dryRun": ["All"]}), _written_as(kind)


def _written_as(kind: str) -> str:
    return kind if kind == "application/apply-patch+yaml" else "application/json"  # JSON is YAML too


def _protobuf(change: Callable[[], bytes]) -> bytes:
    try:
        return change()
    except BadProtobuf as error:
        raise Refusal.unsupported(f"a body in protobuf that can't be given an owner: {error}; {_REMEDY}") from error


def decode(body: bytes, kind: str) -> Raw:
    """Read an object; `kind` is its media type.

    Raises:
        Refusal: it is no object, or in a format that cannot be read here.
    """
    if kind not in _JSON | _YAML:
        raise Refusal.unsupported(f"a body of type {kind[:100]} can't be given an owner; {_REMEDY}")
    try:
        obj = _json(body) if kind in _JSON else _yaml(body)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        words = " ".join(str(error).split())[:200]
        raise Refusal.bad_request(f"the request body is not valid {kind or 'JSON'}: {words}") from error
    if not isinstance(obj, dict):
        raise Refusal.bad_request(f"the request body must be an object, not {type(obj).__name__}")
    return obj


def _encode(obj: Raw) -> bytes:
    return json.dumps(obj, separators=(",", ":")).encode()


def _json(body: bytes) -> Any:
    return json.loads(body)


def _yaml(body: bytes) -> Any:
    try:
        return json.loads(body)  # what clients send under this content type, and a hundred times quicker to read
    except ValueError:
        obj = yaml.load(body, Loader=_Loader)  # noqa: S506 - a SafeLoader with fewer types
    if _nodes(obj, _MAX_NODES) >= _MAX_NODES:
        raise ValueError("too many nodes once aliases are expanded")
    return obj


def _nodes(value: Any, limit: int) -> int:
    """Count what a value holds, shared parts each time they appear; stop at the limit."""
    count, left = 0, [value]
    while left and count < limit:
        value = left.pop()
        count += 1
        if isinstance(value, dict):
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
    return count


class _Loader(yaml.CSafeLoader):
    """YAML as Go's library reads it: no dates, no numbers to the base of 60, exponents without a point."""


_TAG = "tag:yaml.org,2002:"
_REPLACED = frozenset({f"{_TAG}timestamp", f"{_TAG}int", f"{_TAG}float", f"{_TAG}value"})
_INT = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _end(pattern: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern.pattern})\Z")


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}int", _end(_INT), list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", _end(_FLOAT), list("-+.0123456789"))
