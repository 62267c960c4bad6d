"""What the API server's answers tell, as far as the gateway wants to know. Pure."""

import json
from collections.abc import Mapping

from runner.gateway import bodies, protobuf
from runner.objects import Raw

__all__ = ["names_an_object", "object_in"]


def object_in(headers: Mapping[str, str], body: bytes) -> Raw | None:
    """Read an answer's object; `None`: it has none, or one in a format that is not read here."""
    if "Content-Encoding" in headers or bodies.media_type(headers.get("Content-Type", "")) != "application/json":
        return None
    try:
        obj = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return obj if isinstance(obj, dict) else None


def names_an_object(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a 404 is about an object: where the kind is not served, the API server names none."""
    if bodies.media_type(headers.get("Content-Type", "")) == protobuf.MEDIA_TYPE:
        return True  # it can't be told, and objects are what is mostly asked for
    details = (object_in(headers, body) or {}).get("details")
    return isinstance(details, dict) and bool(details.get("name"))
