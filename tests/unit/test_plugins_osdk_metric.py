"""operator_sdk.util.osdk_metric: what it sends and where. It and the operator meet in this JSON only."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from runner.usermetrics.spec import _OPTIONS, Change, parse

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))
osdk_metric = import_module("ansible_collections.operator_sdk.util.plugins.modules.osdk_metric")

FORMER = "http://localhost:5050/metrics"
OWN = "http://run:t%2Fk@127.0.0.1:9/operator/metrics"


class Sent:
    """Stands for the network: what was posted, and an answer."""

    def __init__(self, status=200, text=""):
        self.posts = []
        self.answer = (status, text)

    def __call__(self, url, token, body):
        self.posts.append((url, token, json.loads(json.dumps(body))))
        if isinstance(self.answer[0], Exception):
            raise self.answer[0]
        return self.answer


def call(monkeypatch, capsys, sent, **arguments):
    monkeypatch.setattr(osdk_metric, "post", sent)
    with patch_module_args({"name": "m", "description": "d", **arguments}), pytest.raises(SystemExit) as ended:
        osdk_metric.main()
    return ended.value.code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"counter": {}}, Change(name="m", help="d", kind="counter")),
        ({"counter": {"increment": "yes"}}, Change(name="m", help="d", kind="counter", operation="add", amount=1)),
        ({"counter": {"add": "3.14"}}, Change(name="m", help="d", kind="counter", operation="add", amount=3.14)),
        ({"gauge": {"set": 0}}, Change(name="m", help="d", kind="gauge", operation="set", amount=0)),
        ({"gauge": {"subtract": 7}}, Change(name="m", help="d", kind="gauge", operation="add", amount=-7)),
        ({"gauge": {"set_to_current_time": True}}, Change(name="m", help="d", kind="gauge", operation="set_to_current_time")),
        ({"summary": {"observe": 2}}, Change(name="m", help="d", kind="summary", operation="observe", amount=2)),
        (
            {"histogram": {"observe": 0, "buckets": [1, "10"]}, "labels": {"b": 1, "a": True}},
            Change(
                name="m", help="d", kind="histogram", operation="observe", amount=0,
                bounds=(1.0, 10.0), labels=(("a", "true"), ("b", "1")),
            ),
        ),
    ],
)  # fmt: skip
def test_what_a_task_says_is_what_the_operator_reads(monkeypatch, capsys, arguments, expected):
    sent = Sent()
    code, result = call(monkeypatch, capsys, sent, **arguments)
    assert (code, result["changed"]) == (0, True)
    ((_, _, body),) = sent.posts
    assert parse(body) == expected


@pytest.mark.parametrize(
    ("address", "variable", "expected"),
    [
        (None, OWN, ("http://127.0.0.1:9/operator/metrics", "t/k")),
        (FORMER, OWN, ("http://127.0.0.1:9/operator/metrics", "t/k")),
        ("http://elsewhere/x", OWN, ("http://elsewhere/x", "")),
        (None, None, (FORMER, "")),
    ],
)
def test_address(monkeypatch, capsys, address, variable, expected):
    """Roles that name the older module's address mean the operator; nobody listens there."""
    monkeypatch.delenv("OSDK_METRICS_URL", raising=False)
    if variable:
        monkeypatch.setenv("OSDK_METRICS_URL", variable)
    sent = Sent()
    call(monkeypatch, capsys, sent, counter={}, **({"address": address} if address else {}))
    assert [post[:2] for post in sent.posts] == [expected]


def test_refusal_is_a_failed_task_in_the_operator_s_words(monkeypatch, capsys):
    code, result = call(monkeypatch, capsys, Sent(400, "cannot change metric type of m\n"), counter={})
    assert (code, result["msg"], result["status_code"]) == (1, "cannot change metric type of m", 400)


def test_no_answer_is_one_line_without_the_token(monkeypatch, capsys):
    monkeypatch.setenv("OSDK_METRICS_URL", OWN)
    code, result = call(monkeypatch, capsys, Sent(ConnectionRefusedError("refused")), counter={})
    assert (code, result["msg"]) == (1, "no answer from http://127.0.0.1:9/operator/metrics: refused")
    assert "t%2Fk" not in json.dumps(result)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "one of the following is required: counter, gauge, histogram, summary"),
        ({"counter": {}, "gauge": {}}, "mutually exclusive"),
        ({"counter": {"set": 1}}, "Unsupported parameters"),
        ({"counter": {}, "labels": {"a": ["x"]}}, "labels.a: must be a text, not list"),
    ],
)
def test_nonsense_is_not_sent(monkeypatch, capsys, arguments, words):
    sent = Sent()
    code, result = call(monkeypatch, capsys, sent, **arguments)
    assert code == 1
    assert words in result["msg"]
    assert sent.posts == []


def test_check_mode_asks_for_nothing(monkeypatch, capsys):
    sent = Sent()
    code, result = call(monkeypatch, capsys, sent, counter={"increment": True}, _ansible_check_mode=True)
    assert (code, result["changed"], sent.posts) == (0, True, [])


@pytest.mark.parametrize("url", ["ftp://x/", "file:///etc/passwd", "nonsense"])
def test_only_http(url):
    with pytest.raises(ValueError, match="not an http"):
        osdk_metric.post(url, "", {})


def test_documentation_names_every_option():
    documented = yaml.safe_load(osdk_metric.DOCUMENTATION)["options"]
    assert set(documented) == set(osdk_metric.ARGUMENTS)
    for kind, options in osdk_metric._KINDS.items():
        assert set(documented[kind]["suboptions"]) == set(options)


def test_options_are_those_that_the_operator_knows():
    assert {kind: frozenset(options) for kind, options in osdk_metric._KINDS.items()} == _OPTIONS
