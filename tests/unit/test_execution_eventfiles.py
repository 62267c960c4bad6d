"""Files of events: written in one piece, and what ansible-runner would have written."""

import io
import json
from types import ModuleType
from typing import Any

import ansible_runner.runner
import pytest

from runner.execution import eventfiles


@pytest.fixture
def doorway() -> ModuleType:
    """What is replaced, in a copy: other tests use the real one."""
    copy = ModuleType("doorway")
    vars(copy).update(vars(ansible_runner.runner))
    eventfiles.write_at_once(copy)
    return copy


class Pieces(io.StringIO):
    """A file that counts how often it is written to."""

    count = 0

    def write(self, text: str) -> int:
        self.count += 1
        return super().write(text)


def test_file_has_the_text_that_json_dump_writes_and_has_it_in_one_piece(doorway: ModuleType) -> None:
    event: dict[str, Any] = {"uuid": "1", "n": [1, 2.5, None, True], "nested": {"text": 'Hola, 世界! "quoted"\n'}}
    plain, ours = Pieces(), Pieces()
    json.dump(event, plain)
    doorway.json.dump(event, ours)
    assert ours.getvalue() == plain.getvalue()
    assert (plain.count > 1, ours.count) == (True, 1)


def test_ansible_runner_writes_events_by_it(doorway: ModuleType) -> None:
    names = ansible_runner.runner.Runner.event_callback.__code__.co_names
    assert {"json", "dump"} <= set(names)
    assert doorway.json.loads is json.loads
