"""From requests and answers that pass the gateway to what a run did to a child."""

import json
from typing import Any

import pytest

from fakes import FakeClock
from runner.fieldpaths import FieldPath
from runner.gateway.access import Access, Grant, Session
from runner.gateway.childwrites import ChildWrites, Sent, Shown
from runner.gateway.loopbreaker import TIMES, LoopBreaker
from runner.gateway.policy import parse_request
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource, RunId, Uid

MAPS = "/api/v1/namespaces/n/configmaps"
MAP = Resource(gvk=GroupVersionKind("", "v1", "ConfigMap"), plural="configmaps", namespaced=True)
WISH = {"metadata": {"name": "c"}, "data": {"colour": "blue"}}


def config_map(colour: str, **changes: Any) -> Raw:
    meta = {"name": "c", "namespace": "n", "uid": "c-1"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"colour": colour}} | changes


class Rig:
    """Runs of one owner, one after the other."""

    def __init__(self, **grant: Any) -> None:
        self.breaker = LoopBreaker(clock=FakeClock())
        self.writes = ChildWrites(self.breaker)
        self.grant = grant
        self.ran = 0
        self.begin()

    def begin(self) -> None:
        """Begin the next run."""
        self.ran += 1
        run_id = RunId(str(self.ran))
        self.access = Access(run_id=run_id, token="t", url="", server="")
        values: dict[str, Any] = {
            "run_id": run_id,
            "owner_gvk": GroupVersionKind("mmontes.io", "v1alpha1", "Echo"),
            "owner_ref": ObjectRef("n", "x"),
            "owner_uid": Uid("u"),
            "owner_namespaced": True,
        }
        self.session = Session(Grant(**values | self.grant), self.access)

    def pass_on(self, method: str, obj: Raw, *, kind: str = "", sent: bytes | None = None, status: int = 200) -> None:
        path = MAPS if method == "POST" else f"{MAPS}/c"
        body = (b"" if method == "GET" else json.dumps(WISH).encode()) if sent is None else sent
        whole = json.dumps(obj).encode()
        self.writes.saw(self.session, parse_request(method, path, ""), Sent(body, kind), Shown(MAP, status, whole, obj))

    def told(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(loop.child, loop.fields) for loop in self.access.usage.loops]


MERGE = "application/merge-patch+json"


@pytest.mark.parametrize(
    ("method", "kind", "sent"),
    [
        ("PATCH", MERGE, None),
        ("PATCH", "application/strategic-merge-patch+json", None),
        ("PATCH", "application/json-patch+json", b'[{"op": "replace", "path": "/data/colour", "value": "blue"}]'),
        ("PATCH", "application/apply-patch+yaml", b"data: {colour: blue}\n"),
        ("PATCH", "application/apply-patch+cbor", b"\xa0"),
        ("PUT", "application/json", None),
        ("PUT", "application/vnd.kubernetes.protobuf", b"k8s\x00"),
    ],
)
def test_a_field_put_back_by_others_is_found_whatever_way_it_is_written(method: str, kind: str, sent: bytes | None):
    rig = Rig()
    for _ in range(TIMES):
        assert rig.told() == []
        rig.begin()
        rig.pass_on("GET", config_map("red"))
        rig.pass_on(method, config_map("blue"), kind=kind, sent=sent)
    assert rig.told() == [("ConfigMap n/c", ("data.colour",))]


def test_a_child_that_others_delete_is_found():
    rig = Rig()
    for _ in range(TIMES):
        rig.begin()
        rig.pass_on("POST", config_map("blue"), status=201)
    assert rig.told() == [("ConfigMap n/c", ())]


def test_two_tasks_of_one_role_that_undo_each_other_are_found():
    """What the run last saw is what it wrote itself."""
    rig = Rig()
    for _ in range(TIMES):
        rig.begin()
        rig.pass_on("GET", config_map("red"))
        rig.pass_on("PATCH", config_map("blue"), kind=MERGE)
        rig.pass_on("PATCH", config_map("red"), kind=MERGE, sent=b'{"data": {"colour": "red"}}')
    assert rig.told() == [("ConfigMap n/c", ("data.colour",))] * 2


def test_applying_what_is_there_is_nothing_however_often():
    """As each run of a role does that applies without looking, while the controller counts in the status."""
    rig = Rig()
    for count in range(3 * TIMES):
        rig.begin()
        rig.pass_on("GET", config_map("blue", status={"seen": count}))
        rig.pass_on("PATCH", config_map("blue", status={"seen": count + 1}), kind=MERGE)
    assert rig.told() == []


def test_keys_that_are_no_text_in_yaml_are_read_as_the_server_reads_them():
    rig = Rig()
    for _ in range(TIMES):
        rig.begin()
        rig.pass_on("GET", config_map("red"))
        rig.pass_on("PATCH", config_map("blue"), kind="application/apply-patch+yaml", sent=b"data: {1: a, b: 2}")
    assert rig.told() == [("ConfigMap n/c", ("data.1", "data.b"))]


@pytest.mark.parametrize("depth", [300, 900, 5000])
def test_an_object_as_deep_as_an_author_likes_breaks_nothing(depth: int):
    """It comes from a resource's spec, perhaps; what is too deep to compare is not judged."""
    rig = Rig()
    deep: Any = "end"
    for _ in range(depth):
        deep = {"d": deep}
    deep_text = '{"d":' * depth + '"end"' + "}" * depth
    before, after = (f'{{"metadata": {{"name": "c"}}, "data": {deep_text}, "x": {n}}}'.encode() for n in (1, 2))
    for _ in range(TIMES):
        rig.begin()
        for method, text in (("GET", before), ("PATCH", after)):
            obj = {"metadata": {"name": "c"}, "data": deep, "x": 1 if method == "GET" else 2}
            asked = parse_request(method, f"{MAPS}/c", "")
            rig.writes.saw(rig.session, asked, Sent(after, MERGE), Shown(MAP, 200, text, obj))
    assert len(rig.told()) <= 1


def test_reads_alone_are_nothing():
    rig = Rig()
    for colour in ("red", "blue") * TIMES:
        rig.pass_on("GET", config_map(colour))
    assert rig.told() == []


def test_a_write_without_a_look_before_it_is_not_judged():
    """Nobody knows what it changed."""
    rig = Rig()
    for _ in range(TIMES):
        rig.begin()
        rig.pass_on("PATCH", config_map("blue"), kind=MERGE)
    assert rig.told() == []


def test_what_a_client_saw_of_a_table_is_no_look():
    rig = Rig()
    for _ in range(TIMES):
        rig.begin()
        rig.pass_on("GET", {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", **_meta("red")})
        rig.pass_on("PATCH", config_map("blue"), kind=MERGE)
    assert rig.told() == []


def _meta(colour: str) -> Raw:
    return {"metadata": config_map(colour)["metadata"]}


def test_ignored_fields_are_nothing():
    rig = Rig(dependent_ignore=(FieldPath.parse("data.colour"),))
    for _ in range(TIMES):
        rig.begin()
        rig.pass_on("GET", config_map("red"))
        rig.pass_on("PATCH", config_map("blue"), kind=MERGE)
    assert rig.told() == []


def test_each_generation_begins_anew():
    """A role that writes what the resource says each time it is edited to and fro does its work."""
    rig = Rig()
    for count in range(3 * TIMES):
        rig.grant["owner_generation"] = count
        rig.begin()
        rig.pass_on("GET", config_map("red"))
        rig.pass_on("PATCH", config_map("blue"), kind=MERGE)
    assert rig.told() == []


def test_a_run_that_sees_many_children_keeps_the_texts_of_few():
    """A megabyte for each run; what was forgotten is not judged."""
    session = Rig().session
    for count in range(300):
        session.showed(str(count), b"x" * 10_000)
    kept = [str(count) for count in range(300) if session.showed(str(count), b"")]
    assert kept == [str(count) for count in range(300 - 1024 * 1024 // 10_000, 300)]
    assert session.showed("huge", b"x" * 2_000_000) is None
    assert session.showed("huge", b"") is None
