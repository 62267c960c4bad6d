"""operator_sdk.util.k8s_status: what it writes over a status, and that it does not write in vain."""

import copy
import json
import os
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

COLLECTIONS = Path(__file__).resolve().parents[2] / "collections"
sys.path.insert(0, str(COLLECTIONS))
k8s_status = import_module("ansible_collections.operator_sdk.util.plugins.modules.k8s_status")
api = import_module("ansible_collections.operator_sdk.util.plugins.module_utils.api")

NOW = "2026-02-02T00:00:00Z"
OLD = "2026-01-01T00:00:00Z"
READY = {"type": "Ready", "status": "True", "reason": "Done", "message": "m", "lastTransitionTime": OLD}
RUNNING = {"type": "Running", "status": "True", "reason": "", "message": "", "lastTransitionTime": OLD, "extra": 1}
RESOURCES = {
    "resources": [
        {"name": "things/status", "kind": "Thing", "namespaced": True},
        {"name": "things", "singularName": "thing", "kind": "Thing", "shortNames": ["th"], "namespaced": True},
        {"name": "plains", "singularName": "plain", "kind": "Plain", "namespaced": False},
    ]
}


def ready(**changes):
    return {key: value for key, value in (READY | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([], [ready(lastTransitionTime=None)], [ready(lastTransitionTime=NOW)]),
        ([RUNNING, READY], [ready(lastTransitionTime=None)], [RUNNING, READY]),
        ([RUNNING, READY], [ready(lastTransitionTime=NOW)], [RUNNING, READY]),
        (
            [READY, RUNNING],
            [ready(message="other", lastTransitionTime=None)],
            [ready(message="other"), RUNNING],
        ),
        (
            [READY],
            [ready(status="False", lastTransitionTime=None)],
            [ready(status="False", lastTransitionTime=NOW)],
        ),
        ([READY], [ready(status="False", lastTransitionTime=OLD)], [ready(status="False")]),
        ([READY], [{"type": "Ready", "status": "True"}], [READY]),
        ([], [READY, ready(message="last")], [ready(message="last")]),
    ],
    ids=["new", "same", "only-time", "text-keeps-time", "flip-stamps", "given-time", "subset", "twice"],
)
def test_conditions_are_merged_by_type(old, new, expected):
    """Others' conditions stay, and the time of the last flip is that of the last flip."""
    before = copy.deepcopy(old)
    assert k8s_status.merged_conditions(old, new, NOW) == expected
    assert old == before


@pytest.mark.parametrize(
    ("old", "wanted", "exact", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, False, None),
        ({"a": 1}, {"a": 2}, False, {"a": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, False, None),
        ({"a": [1, 2]}, {"a": [2]}, False, None),
        ({"a": [1, 2]}, {"a": [2]}, True, {"a": [2]}),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [2]}}, True, {"a": {"b": [2]}}),
        ({"a": [1]}, {"a": [1, 2]}, False, {"a": [1, 2]}),
        ({}, {"a": None}, False, None),
        ({"a": 1}, {"a": None}, False, {"a": None}),
        ({"conditions": [READY]}, {}, False, None),
        ({"conditions": [READY]}, {"conditions": [ready(lastTransitionTime=NOW)]}, False, None),
        ({"conditions": [RUNNING], "a": 1}, {"conditions": [READY]}, False, {"conditions": [RUNNING, READY]}),
    ],
)
def test_only_what_differs_is_written(old, wanted, exact, expected):
    """`None`: nothing is written. That is what keeps an operator from waking itself up."""
    assert k8s_status.change_for(old, wanted, replace=False, exact_lists=exact, now=NOW) == expected


@pytest.mark.parametrize(
    ("old", "wanted", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 1}, None),
        ({"conditions": [RUNNING, READY]}, {"conditions": [ready(lastTransitionTime=None)]}, {"conditions": [READY]}),
        ({"conditions": [READY]}, {"conditions": [ready(lastTransitionTime=None)]}, None),
    ],
)
def test_replace_leaves_nothing_else(old, wanted, expected):
    assert k8s_status.change_for(old, wanted, replace=True, exact_lists=False, now=NOW) == expected


class FakeServer:
    """One object behind a status subresource; refuses the first writes with a conflict."""

    def __init__(self, status, conflicts=0):
        self.object = {
            "apiVersion": "example.com/v1",
            "kind": "Thing",
            "metadata": {"name": "t", "namespace": "n", "resourceVersion": "5"},
            "status": status,
        }
        self.conflicts = conflicts
        self.calls = []

    def get(self, path):
        self.calls.append(("GET", path))
        return copy.deepcopy(self.object)

    def patch(self, path, body):
        self._write("PATCH", path)
        assert body["metadata"] == {"name": "t", "resourceVersion": self.object["metadata"]["resourceVersion"]}
        self.object["status"] = k8s_status.merge_patched(self.object["status"], body["status"])
        return self.object

    def put(self, path, body):
        self._write("PUT", path)
        self.object = body
        return body

    def _write(self, method, path):
        self.calls.append((method, path))
        if self.conflicts:
            self.conflicts -= 1
            self.object["status"]["by_somebody_else"] = True
            self.object["metadata"]["resourceVersion"] += "1"
            raise api.ApiError(409, "Conflict", "{}")


RESOURCE = {"name": "things", "prefix": "/apis/example.com/v1", "namespaced": True}
PATH = "/apis/example.com/v1/namespaces/n/things/t"


def write(server, wanted, *, replace=False, check_mode=False):
    params = {"name": "t", "namespace": "n", "replace": replace, "replace_lists": False}
    return k8s_status.write(server, RESOURCE, params, wanted, check_mode)


def test_conflict_is_read_again_and_nobodys_write_is_lost(monkeypatch):
    monkeypatch.setattr(k8s_status, "_PAUSE_S", 0.0)
    server = FakeServer({"a": 1}, conflicts=2)
    result = write(server, {"a": 2})
    assert result["changed"] is True
    assert server.object["status"] == {"a": 2, "by_somebody_else": True}
    assert server.calls == [("GET", PATH), ("PATCH", f"{PATH}/status")] * 3


def test_endless_conflict_is_reported(monkeypatch):
    monkeypatch.setattr(k8s_status, "_PAUSE_S", 0.0)
    with pytest.raises(api.ApiError) as caught:
        write(FakeServer({"a": 1}, conflicts=99), {"a": 2})
    assert caught.value.status == 409


@pytest.mark.parametrize("replace", [False, True])
def test_equal_status_is_not_written(replace):
    server = FakeServer({"a": 1})
    assert write(server, {"a": 1}, replace=replace)["changed"] is False
    assert server.calls == [("GET", PATH)]


@pytest.mark.parametrize(("replace", "status"), [(False, {"a": 2, "b": 1}), (True, {"a": 2})])
def test_check_mode_says_what_would_be_and_writes_nothing(replace, status):
    server = FakeServer({"a": 1, "b": 1})
    result = write(server, {"a": 2}, replace=replace, check_mode=True)
    assert (result["changed"], result["result"]["status"]) == (True, status)
    assert server.calls == [("GET", PATH)]


def test_replace_puts_the_whole_object():
    server = FakeServer({"a": 1, "b": 1})
    result = write(server, {"a": 2}, replace=True)
    assert result["result"]["status"] == {"a": 2}
    assert server.calls[-1] == ("PUT", f"{PATH}/status")
    assert server.object["metadata"]["resourceVersion"] == "5", "guards against a write in between"


class Answers(api.Api):
    """An `Api` that knows the answers to some paths and refuses all else."""

    def __init__(self, answers):
        super().__init__(None, None)
        self.answers = answers

    def request(self, method, path, body=None, content_type="application/json"):
        assert (method, body) == ("GET", None), "these tests end before a write"
        if path not in self.answers:
            raise api.ApiError(404, "Not Found", json.dumps({"message": "no such thing"}))
        return self.answers[path]


@pytest.mark.parametrize("kind", ["Thing", "things", "thing", "th"])
def test_kind_is_found_by_any_of_its_names(kind):
    found = Answers({"/apis/example.com/v1": RESOURCES}).find("example.com/v1", kind)
    assert (found["name"], found["subresources"], found["prefix"]) == ("things", {"", "status"}, "/apis/example.com/v1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kind": "Nope"},
            "Failed to find exact match for example.com/v1.Nope by [kind, name, singularName, shortNames]",
        ),
        ({"kind": "Plain"}, "Resource example.com/v1.Plain does not support the status subresource"),
        ({"kind": "Thing"}, "Failed to retrieve requested object"),
        (
            {"status": {"conditions": [READY]}, "conditions": [READY]},
            "You cannot specify conditions in both the 'status' and 'conditions' parameters",
        ),
        ({"conditions": [ready(reason="Two words")]}, "The specified conditions failed to validate"),
        ({"conditions": [ready(lastTransitionTime="yesterday")]}, "The specified conditions failed to validate"),
        ({"conditions": [{"type": "Ready"}]}, "missing required arguments: status found in conditions"),
        ({"conditions": [ready(status="Maybe")]}, "value of status must be one of: True, False, Unknown"),
    ],
    ids=["no-kind", "no-subresource", "gone", "both", "reason", "time", "incomplete", "value"],
)
def test_failures_say_what_the_older_module_said(monkeypatch, capsys, arguments, message):
    """Rescue blocks in existing roles match on these texts."""
    monkeypatch.setattr(api.Api, "of", classmethod(lambda _cls, _params: Answers({"/apis/example.com/v1": RESOURCES})))
    full = {"api_version": "example.com/v1", "kind": "Thing", "name": "t", "namespace": "n", **arguments}
    with patch_module_args(full), pytest.raises(SystemExit) as ended:
        k8s_status.main()
    result = json.loads(capsys.readouterr().out)
    assert (ended.value.code, result["failed"]) == (1, True)
    assert message in result["msg"]
    if message == "Failed to retrieve requested object":
        assert (result["error"]["status"], result["error"]["reason"]) == (404, "Not Found")


KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://run:secret@127.0.0.1:1234/"}}]
users: [{name: u, user: {token: from-file}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


@pytest.mark.parametrize(
    ("options", "environment", "host", "token"),
    [
        ({"kubeconfig": "FILE"}, {}, "http://run:secret@127.0.0.1:1234", "Bearer from-file"),
        ({}, {"K8S_AUTH_KUBECONFIG": "FILE"}, "http://run:secret@127.0.0.1:1234", "Bearer from-file"),
        ({"host": "https://h/", "api_key": "k"}, {"K8S_AUTH_KUBECONFIG": "FILE"}, "https://h", "Bearer k"),
        ({}, {"K8S_AUTH_HOST": "https://h", "K8S_AUTH_API_KEY": "k"}, "https://h", "Bearer k"),
        ({"host": "https://h", "username": "u", "password": "p"}, {}, "https://h", "Basic dTpw"),
        ({"host": "https://h", "kubeconfig": "FILE"}, {}, "https://h", "Bearer from-file"),
    ],
)
def test_configuration_comes_from_options_then_environment(monkeypatch, tmp_path, options, environment, host, token):
    """As `kubernetes.core` has it, so that both sorts of task in one play talk to the same server."""
    file = tmp_path / "kubeconfig"
    file.write_text(KUBECONFIG, encoding="utf-8")
    for name in [name for name in os.environ if name.startswith("K8S_AUTH_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("FILE", str(file)))
    given = {name: value.replace("FILE", str(file)) for name, value in options.items()}

    configuration = api._configuration(api._settings(given))

    assert configuration.host == host
    assert configuration.auth_settings()["BearerToken"]["value"] == token


def test_missing_configuration_is_one_clear_line(monkeypatch, tmp_path):
    with pytest.raises(api.ConnectionFailed, match="no usable Kubernetes configuration"):
        api._configuration({"kubeconfig": str(tmp_path / "none")})


def test_documentation_names_every_option():
    """`ansible-doc` and the code say the same."""
    documented = set(yaml.safe_load(k8s_status.DOCUMENTATION)["options"])
    for fragment in ("osdk_auth_options", "osdk_name_options"):
        module = import_module(f"ansible_collections.operator_sdk.util.plugins.doc_fragments.{fragment}")
        documented |= set(yaml.safe_load(module.ModuleDocFragment.DOCUMENTATION)["options"])
    assert documented == set(k8s_status.ARGUMENTS)
    conditions = yaml.safe_load(k8s_status.DOCUMENTATION)["options"]["conditions"]["suboptions"]
    assert set(conditions) == set(k8s_status.ARGUMENTS["conditions"]["options"])


def test_plugins_know_nothing_of_the_runtime():
    """Roles and plugins meet the operator in data only; an import would tie them to one Python and one version."""
    for file in (COLLECTIONS.parent / "plugins").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) runner\b", file.read_text(encoding="utf-8"), re.MULTILINE), file
