"""What forks tell the warm parent, and what it makes of it: no Ansible here, only the telling."""

from collections.abc import Iterator

import pytest

from runner.execution.warm import lessons
from runner.execution.warm.lessons import Lessons


class Pupil:
    def __init__(self) -> None:
        self.learned: list[tuple[object, ...]] = []

    def __call__(self, *values: object) -> None:
        self.learned.append(values)
        if values[0] == "nonsense":
            raise ValueError("no such template")


@pytest.fixture
def pupil() -> Pupil:
    return Pupil()


@pytest.fixture
def heard(pupil: Pupil, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lessons]:
    monkeypatch.setattr(lessons, "_channel", None)
    monkeypatch.setattr(lessons, "_run", 0)
    parent = Lessons({"template": pupil})
    yield parent
    parent.close()
    assert lessons._channel is not None
    lessons._channel.close()


def told(heard: Lessons, *values: object, run: int, subject: str = "template") -> None:
    lessons.begin(run)
    lessons.tell(subject, *values)
    heard.take()


def test_what_two_runs_told_is_learned_once(heard: Lessons, pupil: Pupil) -> None:
    for run in (1, 2, 3, 4):
        told(heard, "{{ a }}", True, run=run)
    assert pupil.learned == [("{{ a }}", True)]
    assert heard.learned == 1


def test_what_only_one_run_told_is_peculiar_to_it(heard: Lessons, pupil: Pupil) -> None:
    """However often: the text may come from its resource."""
    for _ in range(3):
        told(heard, "{{ a }}", run=1)
    told(heard, "{{ b }}", run=2)
    assert pupil.learned == []


def test_what_cannot_be_learned_is_tried_once_and_does_no_harm(heard: Lessons, pupil: Pupil) -> None:
    for run in (1, 2, 3):
        told(heard, "nonsense", run=run)
        told(heard, "?", run=run, subject="unheard of")
    assert pupil.learned == [("nonsense",)]
    assert heard.learned == 0


def test_what_is_too_long_is_not_told(heard: Lessons, pupil: Pupil) -> None:
    for run in (1, 2):
        told(heard, "x" * 40_000, run=run)
    assert pupil.learned == []


def test_there_is_an_end_to_what_is_learned(heard: Lessons, pupil: Pupil, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lessons, "_MOST", 3)
    for number in range(9):
        for run in (1, 2):
            told(heard, str(number), run=run)
    assert pupil.learned == [("0",), ("1",), ("2",)]


def test_there_is_an_end_to_the_text_that_is_kept(
    heard: Lessons, pupil: Pupil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lessons, "_MOST_BYTES", 2500)
    for number in range(9):
        for run in (1, 2):
            told(heard, str(number), "x" * 1000, run=run)
    assert len(pupil.learned) == 2


def test_what_was_told_longest_ago_is_forgotten_first(
    heard: Lessons, pupil: Pupil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lessons, "_MOST_HEARD", 2)
    for text in ("a", "b", "c"):
        told(heard, text, run=1)
    for text in ("a", "c"):
        told(heard, text, run=2)
    assert pupil.learned == [("c",)]


def test_telling_neither_waits_nor_fails_when_nobody_listens(heard: Lessons) -> None:
    lessons.begin(1)
    for number in range(5000):
        lessons.tell("template", str(number), "x" * 1000)


def test_the_parent_tells_itself_nothing(heard: Lessons, pupil: Pupil) -> None:
    """What it compiles in a rehearsal is no run's."""
    for _ in range(2):
        told(heard, "{{ a }}", run=0)
    assert pupil.learned == []
