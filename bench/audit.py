"""What a user asked of the API server, as its audit log saw it: the witness that is not ourselves."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Request", "read", "requests_of"]

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request for resources that was answered."""

    verb: str
    """`get`, `list`, `watch`, `create`, ..."""
    resource: str
    """With its subresource: `echos/status`."""
    agent: str
    """What the client called itself: by it the operator's own requests differ from its roles'."""

    @property
    def is_write(self) -> bool:
        return self.verb in _WRITES

    @property
    def what(self) -> str:
        return f"{self.verb} {self.resource}"


def read(log: Path, user: str, *, start: int = 0) -> list[Request]:
    """The requests of a user in an audit log from a byte offset on."""
    with log.open("rb") as file:
        file.seek(start)
        return requests_of(file, user)


def requests_of(lines: Iterable[bytes], user: str) -> list[Request]:
    """The requests of a user among lines of an audit log, refused ones too.

    Leases are left out, because they tick whether there is work or not; so are paths that are no resources.
    """
    events = (json.loads(line) for line in lines)
    found = [_request(event) for event in events if event["user"].get("username") == user and event.get("objectRef")]
    return [request for request in found if not request.resource.startswith("leases")]


def _request(event: Mapping[str, Any]) -> Request:
    target = event["objectRef"]
    subresource = f"/{target['subresource']}" if target.get("subresource") else ""
    return Request(
        verb=event["verb"], resource=f"{target.get('resource', '')}{subresource}", agent=event.get("userAgent", "")
    )
