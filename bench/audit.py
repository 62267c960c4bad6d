"""What a user wrote, as the API server's audit log saw it: the witness that is not ourselves."""

import json
from collections import Counter
from pathlib import Path

__all__ = ["writes_of"]

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def writes_of(log: Path, user: str, *, start: int = 0) -> tuple[Counter[str], int]:
    """Count a user's successful writes by `verb resource`, from a byte offset on; return the offset to go on from.

    Leases are left out: they tick whether there is work or not.
    """
    counts: Counter[str] = Counter()
    with log.open("rb") as file:
        file.seek(start)
        for line in file:
            event = json.loads(line)
            target = event.get("objectRef") or {}
            if event["verb"] not in _WRITES or event["user"].get("username") != user:
                continue
            if target.get("resource") == "leases" or event.get("responseStatus", {}).get("code", 500) >= 300:
                continue
            subresource = f"/{target['subresource']}" if target.get("subresource") else ""
            counts[f"{event['verb']} {target.get('resource')}{subresource}"] += 1
        return counts, file.tell()
