"""The command as a person or a program uses it: exit codes, table, JSON; and our own project is fine."""

import json
import re
from pathlib import Path

import pytest

from doctor_rig import write
from runner import cli

ROOT = Path(__file__).resolve().parents[2]
BAD = {"roles/memcached/tasks/main.yml": "- debug: {}\n  when: inventory_hostname\n"}


def test_our_own_project_needs_no_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", str(ROOT)]) == 0, capsys.readouterr().out
    assert "nothing needs a change" in capsys.readouterr().out


def test_information_alone_is_no_reason_to_fail(tmp_path: Path) -> None:
    write(tmp_path, {"requirements.yml": "collections: [operator_sdk.util]\n"})
    assert cli.main(["doctor", str(tmp_path)]) == 0


def test_what_needs_a_change_ends_with_1_and_is_shown_by_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, BAD)
    assert cli.main(["doctor", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert "roles/memcached/tasks/main.yml\n" in text
    assert re.search(r"2:9 +error +`when: inventory_hostname` gives text.*\[conditional-not-boolean\]", text)
    assert "-> say what is meant" in text
    assert text.endswith("1 will not work, 0 behave differently, 0 to know\n")
    assert "\033" not in text


def test_colours_are_for_terminals_that_want_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def __init__(self) -> None:
            self.text = ""

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

        def isatty(self) -> bool:
            return True

        def flush(self) -> None: ...

    write(tmp_path, BAD)
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured, plain = Terminal(), Terminal()
    monkeypatch.setattr("sys.stdout", coloured)
    cli.main(["doctor", str(tmp_path)])
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout", plain)
    cli.main(["doctor", str(tmp_path)])
    assert "\033[31merror" in coloured.text
    assert "\033" not in plain.text


def test_programs_get_json_with_all_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, BAD)
    assert cli.main(["doctor", "--output", "json", str(tmp_path)]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["counts"] == {"error": 1, "change": 0, "info": 0}
    (finding,) = report["findings"]
    assert finding | {"what": "", "remedy": ""} == {
        "file": "roles/memcached/tasks/main.yml",
        "line": 2,
        "column": 9,
        "rule": "conditional-not-boolean",
        "severity": "error",
        "what": "",
        "remedy": "",
    }
    assert finding["what"]
    assert finding["remedy"]


def test_what_is_no_project_ends_with_2_and_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", str(tmp_path / "none")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"{tmp_path / 'none'}: no such directory; name the one that holds watches.yaml\n"


def test_help_says_what_it_reads_and_how_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--help"])
    text = capsys.readouterr().out
    for word in ("watches.yaml", "Nothing of the project is executed", "error", "change", "info", "exit codes", "json"):
        assert word in text


def test_nothing_of_a_project_is_executed(tmp_path: Path) -> None:
    """Doctor is run on other people's projects."""
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w').close()\n"
    files = {
        "roles/memcached/library/trap.py": trap,
        "roles/memcached/filter_plugins/trap.py": trap,
        "ansible.cfg": "[defaults]\nlibrary = roles/memcached/library\n",
        "roles/memcached/tasks/main.yml": "- trap: {}\n  when: \"lookup('pipe', 'touch sprung')\"\n",
    }
    write(tmp_path, files)
    cli.main(["doctor", str(tmp_path)])
    assert not (tmp_path / "sprung").exists()
