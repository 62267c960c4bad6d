"""How ansible-runner writes the file of an event, made cheap.

It uses `json.dump`, which encodes in Python, piece by piece. `json.dumps` makes the same text at once and in C.
"""

import json
from types import ModuleType
from typing import IO, Any

__all__ = ["write_at_once"]


def write_at_once(doorway: ModuleType) -> None:
    """`doorway`: the module `ansible_runner.runner`, which gets a `json` of its own, for this process."""
    own = ModuleType(json.__name__)
    vars(own).update(vars(json), dump=_dump)
    vars(doorway)["json"] = own


def _dump(value: Any, file: IO[str], **options: Any) -> None:
    file.write(json.dumps(value, **options))
