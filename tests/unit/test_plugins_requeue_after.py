"""operator_sdk.util.requeue_after: what it takes for a period."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from runner.durations import parse_duration

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))
requeue_after = import_module("ansible_collections.operator_sdk.util.plugins.modules.requeue_after")


def call(capsys, **arguments):
    """Return the exit code and the result that Ansible would read."""
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        requeue_after.main()
    return ended.value.code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("time", "seconds"), [("24h", 86400), ("30m", 1800), ("5s", 5), ("1h30m5s", 5405), ("0s", 0)])
def test_period_is_handed_on_as_the_operator_reads_it(capsys, time, seconds):
    code, result = call(capsys, time=time)
    assert (code, result["period"], result["changed"]) == (0, time, False)
    assert parse_duration(result["period"]) == seconds


@pytest.mark.parametrize("time", ["", "5", "h", "5 s", "5s ", "-5s", "1.5h", "5d", "5s5", "\u0665s"])
def test_what_is_no_period_is_refused_in_words(capsys, time):
    """The older module let `5` and the empty text through, and the operator could not read them."""
    code, result = call(capsys, time=time)
    assert (code, result["failed"]) == (1, True)
    assert result["msg"].startswith("invalid time input")
    assert repr(time) in result["msg"]
    assert "30s" in result["msg"]


def test_it_runs_in_check_mode(capsys):
    code, result = call(capsys, time="5s", _ansible_check_mode=True)
    assert (code, result.get("skipped"), result["period"]) == (0, None, "5s")
