"""operator_sdk.util.k8s_event: how an Event is made, counted and removed. tests/roles has it on a real API server."""

import copy
import json
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

COLLECTIONS = Path(__file__).resolve().parents[2] / "collections"
sys.path.insert(0, str(COLLECTIONS))
k8s_event = import_module("ansible_collections.operator_sdk.util.plugins.modules.k8s_event")
api = import_module("ansible_collections.operator_sdk.util.plugins.module_utils.api")

NOW = "2026-02-02T00:00:00Z"
OLD = "2026-01-01T00:00:00Z"
EVENTS = "/api/v1/namespaces/n/events"
THING = {"apiVersion": "example.com/v1", "kind": "Thing", "name": "t", "namespace": "n"}
PARAMS = {
    "name": "e",
    "namespace": "n",
    "message": "words",
    "reason": "Joined",
    "type": "Normal",
    "reportingComponent": "example.com/op",
    "source": {"component": "op"},
    "involvedObject": THING,
    "appendTimestamp": None,
}
PRIOR = {
    "metadata": {"name": "e", "namespace": "n", "resourceVersion": "7", "labels": {"a": "b"}},
    "reason": "Joined",
    "message": "before",
    "count": 3,
    "firstTimestamp": OLD,
    "lastTimestamp": OLD,
    "type": "Warning",
    "involvedObject": {**THING, "uid": "old-uid", "fieldPath": "spec"},
}


class Server(api.Api):
    """Holds Events and one Thing; refuses what it does not know."""

    def __init__(self, *events, conflicts=0, refuse=None):
        super().__init__(None, None)
        self.events = {event["metadata"]["name"]: copy.deepcopy(event) for event in events}
        self.conflicts = conflicts
        self.refuse = refuse
        self.calls = []

    def request(self, method, path, body=None, content_type="application/json"):
        self.calls.append((method, path))
        if path == "/apis/example.com/v1":
            return {"resources": [{"name": "things", "singularName": "thing", "kind": "Thing", "namespaced": True}]}
        if path == "/apis/example.com/v1/namespaces/n/things/t":
            if self.refuse:
                raise api.ApiError(self.refuse, "no", "{}")
            return {"metadata": {"uid": "u", "resourceVersion": "5"}}
        name = path.removeprefix(f"{EVENTS}/")
        if method != "GET" and self.conflicts:
            self.conflicts -= 1
            raise api.ApiError(409, "Conflict", "{}")
        if method == "POST":
            assert path == EVENTS
            self.events[body["metadata"]["name"]] = body
            return body
        if path == "/apis/other.com/v1" or name not in self.events:
            raise api.ApiError(404, "Not Found", "{}")
        if method == "DELETE":
            del self.events[name]
        elif method == "PATCH":
            assert content_type == api._MERGE_PATCH
            assert body["metadata"]["resourceVersion"] == self.events[name]["metadata"]["resourceVersion"]
            self.events[name] = k8s_event.merged(self.events[name], body)
        return self.events.get(name, {})


def write(server, *, check_mode=False, **changes):
    return k8s_event.write(server, PARAMS | changes, check_mode, lambda: NOW)


def test_a_new_one_is_made():
    result = write(Server())
    assert result == {
        "changed": True,
        "result": {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "e", "namespace": "n"},
            "message": "words",
            "reason": "Joined",
            "type": "Normal",
            "source": {"component": "op"},
            "reportingComponent": "example.com/op",
            "involvedObject": {**THING, "uid": "u", "resourceVersion": "5"},
            "count": 1,
            "firstTimestamp": NOW,
            "lastTimestamp": NOW,
        },
    }


def test_the_same_reason_is_counted_once_more():
    """And what others have put on it stays; of the former reference nothing does."""
    event = write(Server(PRIOR))["result"]
    assert (event["count"], event["firstTimestamp"], event["lastTimestamp"]) == (4, OLD, NOW)
    assert (event["message"], event["type"], event["metadata"]["labels"]) == ("words", "Normal", {"a": "b"})
    assert event["involvedObject"] == {**THING, "uid": "u", "resourceVersion": "5"}


def test_another_reason_begins_anew():
    event = write(Server(PRIOR), reason="Left")["result"]
    assert (event["reason"], event["count"], event["firstTimestamp"]) == ("Left", 1, NOW)


@pytest.mark.parametrize(
    ("prior", "count", "first"),
    [
        (
            {"count": None, "firstTimestamp": None, "eventTime": "2026-01-01T00:00:00.000000Z"},
            2,
            "2026-01-01T00:00:00.000000Z",
        ),
        ({"count": None, "firstTimestamp": None}, 2, NOW),
    ],
)
def test_one_made_by_newer_clients_has_no_count(prior, count, first):
    event = write(Server(PRIOR | prior))["result"]
    assert (event["count"], event["firstTimestamp"]) == (count, first)


def test_what_is_left_out_goes_too():
    event = write(Server(PRIOR), type=None, source=None, reportingComponent=None)["result"]
    assert not {"type", "source", "reportingComponent"} & set(event)


@pytest.mark.parametrize("conflicts", [1, 3])
def test_conflict_is_looked_at_again(monkeypatch, conflicts):
    """Two runs may count the same Event at once."""
    monkeypatch.setattr(k8s_event, "_PAUSE_S", 0.0)
    assert write(Server(PRIOR, conflicts=conflicts))["result"]["count"] == 4


@pytest.mark.parametrize("events", [(), (PRIOR,)])
def test_endless_conflict_is_reported(monkeypatch, events):
    monkeypatch.setattr(k8s_event, "_PAUSE_S", 0.0)
    with pytest.raises(api.ApiError) as caught:
        write(Server(*events, conflicts=99))
    assert caught.value.status == 409


@pytest.mark.parametrize(
    ("involved", "refuse"),
    [({**THING, "apiVersion": "other.com/v1"}, None), ({**THING, "kind": "Nope"}, None), (THING, 404), (THING, 403)],
    ids=["no-group", "no-kind", "gone", "hidden"],
)
def test_object_that_cannot_be_read_is_named_all_the_same(involved, refuse):
    """An Event often says that something has gone."""
    assert write(Server(refuse=refuse), involvedObject=involved)["result"]["involvedObject"] == involved


def test_trouble_with_the_object_is_no_excuse():
    with pytest.raises(api.ApiError):
        write(Server(refuse=500))


def test_without_an_object_the_namespaces_agree():
    """The API server refuses it otherwise, in every namespace but `default`."""
    assert write(Server(), involvedObject=None)["result"]["involvedObject"] == {"namespace": "n"}


@pytest.mark.parametrize(("events", "count"), [((), 1), ((PRIOR,), 4)])
def test_check_mode_says_what_would_be_and_writes_nothing(events, count):
    server = Server(*events)
    before = copy.deepcopy(server.events)
    result = write(server, check_mode=True)
    assert (result["changed"], result["result"]["count"], result["result"]["message"]) == (True, count, "words")
    assert server.events == before
    assert {method for method, _ in server.calls} == {"GET"}


@pytest.mark.parametrize(("check", "left"), [(False, []), (True, ["e"])])
def test_absent_deletes(check, left):
    """The older module took `absent`, and made the Event."""
    server = Server(PRIOR)
    assert k8s_event.remove(server, PARAMS, check) == {"changed": True, "result": {}}
    assert list(server.events) == left


def test_absent_of_none_changes_nothing():
    assert k8s_event.remove(Server(), PARAMS, False) == {"changed": False, "result": {}}


def call(monkeypatch, capsys, server, **arguments):
    monkeypatch.setattr(api.Api, "of", classmethod(lambda _cls, _params: server))
    full = {"name": "e", "namespace": "n", "message": "m", "reason": "R", **arguments}
    with patch_module_args(full), pytest.raises(SystemExit) as ended:
        k8s_event.main()
    return ended.value.code, json.loads(capsys.readouterr().out)


def test_each_with_a_time_in_its_name_is_one_of_its_own(monkeypatch, capsys):
    """The older module's names had blanks and colons in them, which are no names, and lost the object."""
    server = Server(PRIOR)
    code, result = call(monkeypatch, capsys, server, appendTimestamp=True, involvedObject=THING)
    name = result["result"]["metadata"]["name"]
    assert code == 0
    assert name.startswith("e.")
    assert int(name.removeprefix("e."), 16) > 1_600_000_000 * 1_000_000
    assert (result["result"]["count"], result["result"]["involvedObject"]["uid"]) == (1, "u")
    assert server.events["e"] == PRIOR


def test_refusal_says_what_the_older_module_said(monkeypatch, capsys):
    class Refusing(Server):
        def request(self, method, path, body=None, content_type="application/json"):
            raise api.ApiError(422, "Unprocessable Entity", json.dumps({"message": "not like this"}))

    code, result = call(monkeypatch, capsys, Refusing())
    assert (code, result["msg"]) == (1, "Unable to create event: 422 Unprocessable Entity: not like this")
    assert result["error"]["status"] == 422


def test_documentation_names_every_option():
    documented = yaml.safe_load(k8s_event.DOCUMENTATION)["options"]
    module = import_module("ansible_collections.operator_sdk.util.plugins.doc_fragments.osdk_auth_options")
    shared = yaml.safe_load(module.ModuleDocFragment.DOCUMENTATION)["options"]
    assert set(documented) | set(shared) == set(k8s_event.ARGUMENTS)
    for name in ("source", "involvedObject"):
        assert set(documented[name]["suboptions"]) == set(k8s_event.ARGUMENTS[name]["options"])
