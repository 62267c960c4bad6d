"""What the operator tells a supervisor to do: one line of JSON over the channel between them, never on disk."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

__all__ = ["Job"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run as its supervisor sees it: only texts and paths, nothing left to decide."""

    run_id: str
    directory: str
    """To be made; removed at the end."""
    role: str = ""
    """Absolute path; empty: a playbook."""
    playbook: str = ""
    extra_vars: str
    """JSON text."""
    kubeconfig: str
    environment: Mapping[str, str]
    """The play's whole environment."""
    cmdline: str = ""
    verbosity: int = 0
    gather_facts: bool = True
    """Of a role; a playbook says so itself."""
    inventory: str = ""
    """A file or directory to copy; empty: localhost alone."""
    keep_in: str = ""
    """Where to move artifacts at the end; empty: keep none."""
    keep_count: int = 0

    def encode(self) -> bytes:
        return json.dumps(dataclasses.asdict(self), separators=(",", ":")).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        return cls(**json.loads(line))
