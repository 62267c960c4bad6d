"""What code that passes for a program of its own leaves behind: its exit code, and nothing of its surroundings."""

import os
from pathlib import Path

import pytest

from runner.execution.warm import interpreter


@pytest.mark.parametrize(
    ("given", "code"), [(None, 0), (0, 0), (3, 3), (True, 1), (256, 0), (-1, 255), ("it broke", 1)], ids=repr
)
def test_an_exit_code_is_what_a_process_would_have_ended_with(given: object, code: int) -> None:
    assert interpreter.exit_code(given) == code


def test_what_is_no_number_is_told_as_the_interpreter_does(capsys: pytest.CaptureFixture[str]) -> None:
    interpreter.exit_code("it broke")
    assert capsys.readouterr() == ("", "it broke\n")


def test_surroundings_are_put_back_whatever_happened_in_them(tmp_path: Path) -> None:
    before = surroundings()
    with pytest.raises(ZeroDivisionError):
        spoil(tmp_path)
    assert surroundings() == before


def surroundings() -> tuple[dict[str, str], Path, int]:
    umask = os.umask(0o077)
    os.umask(umask)
    return dict(os.environ), Path.cwd(), umask


@interpreter.put_back()
def spoil(directory: Path) -> None:
    os.environ["SPOILT"] = "yes"
    del os.environ["PATH"]
    os.chdir(directory)
    os.umask(0o777)
    raise ZeroDivisionError
