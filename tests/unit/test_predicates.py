"""Which changes count: too few and work is lost, too many and the operator wakes itself for ever."""

import sys
from typing import Any

import pytest

from runner.fieldpaths import FieldPath
from runner.labelselector import Selector
from runner.objects import GroupVersionKind, OwnerReference, Uid
from runner.predicates import Dependent, Primary, changed, dependent_changed, dependents_of


def primary(*, annotations_count: bool = False, **values: Any) -> Primary:
    meta = {"name": "a", "namespace": "n", "uid": "u", "generation": 1, "resourceVersion": "1", **values}
    return Primary.of({"metadata": meta}, annotations=annotations_count)


def job(*, status: Any = None, annotations: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1", "generation": 1, **metadata},
        "spec": {"template": {"spec": {"containers": [{"image": "busybox"}]}}},
    }
    if annotations:
        obj["metadata"]["annotations"] = annotations
    return obj | ({"status": status} if status is not None else {})


def condition(kind: str, status: str = "True") -> dict[str, Any]:
    return {"conditions": [{"type": "Suspended", "status": "False"}, {"type": kind, "status": status}]}


COMPLETE = condition("Complete")
RUNNING = {"active": 1}


def test_creation_and_deletion_of_a_primary_always_count():
    """At start each object is a creation; an object that is gone may have metrics and runs to clean up."""
    assert changed(None, primary())
    assert changed(primary(), None)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({}, {"resourceVersion": "2"}, False, id="status written"),
        pytest.param({}, {"labels": {"a": "b"}}, False, id="labels"),
        pytest.param({}, {"generation": 2}, True, id="spec"),
        pytest.param({}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, True, id="deletion began"),
        pytest.param({"generation": 0}, {"generation": 0, "resourceVersion": "2"}, True, id="kind without generation"),
        pytest.param({"generation": 0}, {"generation": 1}, True, id="generation began"),
        pytest.param({}, {"uid": "other"}, True, id="another object"),
        pytest.param({}, {"annotations": {"a": "b"}}, False, id="annotations"),
    ],
)
def test_an_update_counts_when_its_author_meant_something(old, new, expected):
    """Our own status write must not wake us again; what a user wrote must."""
    assert changed(primary(**old), primary(**new)) is expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, {"a": "b"}, True, id="added"),
        pytest.param({"a": "b"}, {"a": "c"}, True, id="changed"),
        pytest.param({"a": "b"}, None, True, id="removed"),
        pytest.param({"a": "b", "c": "d"}, {"c": "d", "a": "b"}, False, id="same"),
        pytest.param({}, None, False, id="none and empty"),
    ],
)
def test_annotations_count_where_the_watch_asks_for_them(old, new, expected):
    """`watchAnnotationsChanges`."""
    before = primary(annotations=old, annotations_count=True)
    after = primary(annotations=new, annotations_count=True, resourceVersion="2")
    assert changed(before, after) is expected


CHOSEN = Selector.parse({"matchLabels": {"app": "x"}})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, {}, False, id="unselected from the start"),
        pytest.param({}, {"generation": 2}, False, id="unselected and edited"),
        pytest.param({"generation": 0}, {"generation": 0}, False, id="unselected, of a kind without generation"),
        pytest.param({}, {"labels": {"app": "x"}}, True, id="entered"),
        pytest.param({"labels": {"app": "x"}}, {"labels": {"app": "x", "other": "y"}}, False, id="stayed"),
        pytest.param({"labels": {"app": "x"}}, {}, False, id="left"),
        pytest.param({}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, True, id="left before, deletion begins"),
        pytest.param(None, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, True, id="left and deleted before we came"),
        pytest.param({}, None, True, id="left and gone"),
    ],
)
def test_an_object_counts_from_when_it_is_selected_and_again_when_it_is_deleted(old, new, expected):
    """A label is edited without a new generation; and what left the selector may still wait for our finalizer."""
    before, after = (value if value is None else chosen(**value) for value in (old, new))
    assert changed(before, after) is expected


def chosen(**values: Any) -> Primary:
    meta = {"name": "a", "namespace": "n", "uid": "u", "generation": 1, **values}
    return Primary.of({"metadata": meta}, annotations=True, selector=CHOSEN)


def test_dependent_of_keeps_what_predicates_and_handlers_need():
    """Everything else of ten thousand Jobs would only cost memory."""
    owner = {"apiVersion": "mmontes.io/v1alpha1", "kind": "Echo", "name": "a", "uid": "o", "controller": True}
    annotations = {"operator-sdk/primary-resource": "n/a", "operator-sdk/primary-resource-type": "Echo.mmontes.io"}
    dependent = Dependent.of(job(ownerReferences=[owner], annotations=annotations, status=COMPLETE))
    assert dependent == Dependent(
        uid=Uid("u"),
        owners=(
            OwnerReference(
                gvk=GroupVersionKind("mmontes.io", "v1alpha1", "Echo"), name="a", uid=Uid("o"), controller=True
            ),
        ),
        primary="n/a",
        primary_type="Echo.mmontes.io",
        digest=dependent.digest,
        status_digest=dependent.status_digest,
        finished="Complete",
    )
    assert sum(sys.getsizeof(value) for value in (dependent.digest, dependent.status_digest)) < 100


def test_digest_ignores_what_the_server_counts_by_itself():
    """Else each status write of a Job would look like somebody's edit, and wake its owner."""
    plain = Dependent.of(job())
    noisy = job(resourceVersion="9", generation=7, managedFields=[{"manager": "x"}], status=RUNNING)
    assert Dependent.of(noisy).digest == plain.digest


def test_digest_is_the_same_from_a_list_and_from_a_watch():
    """The items of a built-in kind's list lack apiVersion and kind; a relist must not look like ten thousand edits."""
    listed = {key: value for key, value in job().items() if key not in ("apiVersion", "kind")}
    assert Dependent.of(listed).digest == Dependent.of(job()).digest


def test_digest_does_not_depend_on_the_order_of_keys():
    """Servers need not send keys in the same order twice."""
    obj = job(labels={"a": "1", "b": "2"})
    turned = {key: obj[key] for key in reversed(obj)} | {"metadata": dict(reversed(obj["metadata"].items()))}
    turned["metadata"]["labels"] = {"b": "2", "a": "1"}
    assert Dependent.of(turned) == Dependent.of(obj)


@pytest.mark.parametrize("edit", [{"labels": {"a": "b"}}, {"finalizers": ["x/y"]}, {"deletionTimestamp": "2026"}])
def test_digest_sees_edits_of_metadata(edit):
    """Drift that a role would put back."""
    assert Dependent.of(job(**edit)).digest != Dependent.of(job()).digest


def test_digest_sees_edits_outside_spec():
    """ConfigMaps have no spec."""
    assert Dependent.of({"data": {"a": "1"}}).digest != Dependent.of({"data": {"a": "2"}}).digest


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        pytest.param(job(), "", id="no status"),
        pytest.param(job(status=RUNNING), "", id="running"),
        pytest.param(job(status=COMPLETE), "Complete", id="complete"),
        pytest.param(job(status=condition("Failed")), "Failed", id="failed"),
        pytest.param(job(status=condition("Complete", "False")), "", id="not complete"),
        pytest.param(job(status=condition("FailureTarget")), "", id="about to fail"),
        pytest.param(job(status={"conditions": None}), "", id="null conditions"),
        pytest.param(job(status={"conditions": ["?"]}), "", id="odd conditions"),
        pytest.param(job(status="odd"), "", id="odd status"),
        pytest.param({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Succeeded"}}, "Succeeded", id="pod done"),
        pytest.param({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Failed"}}, "Failed", id="pod failed"),
        pytest.param({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Running"}}, "", id="pod running"),
        pytest.param({"apiVersion": "v1", "kind": "PersistentVolume", "status": {"phase": "Failed"}}, "", id="volume"),
        pytest.param({"apiVersion": "x/v1", "kind": "Y", "status": condition("Complete")}, "Complete", id="any kind"),
    ],
)
def test_finished_names_the_end_of_a_dependent(obj, expected):
    """What `watchDependentStatus: terminal` waits for; a status of an odd shape must not break the informer."""
    assert Dependent.of(obj).finished == expected


@pytest.mark.parametrize(
    ("ignore", "changes"),
    [
        ("metadata.annotations['a/b']", {"annotations": {"a/b": "1"}}),
        ("metadata.annotations", {"annotations": {"a": "1"}}),
        ("metadata", {"labels": {"a": "1"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}),
        ("status", {"status": COMPLETE}),
        ("status.conditions", {"status": COMPLETE}),
    ],
)
def test_a_change_of_ignored_fields_only_leaves_a_dependent_as_it_was(ignore, changes):
    """What an autoscaler or an injector writes is none of the owner's business."""
    owner = {"apiVersion": "mmontes.io/v1alpha1", "kind": "Echo", "name": "a", "uid": "o"}
    paths = (FieldPath.parse(ignore),)
    old = Dependent.of(job(ownerReferences=[owner]), ignore=paths)
    new = Dependent.of(job(ownerReferences=[owner], **changes), ignore=paths)
    assert [dependent_changed(old, new, status=rule) for rule in ALL_RULES] == [False] * 3
    assert new.owners == (OwnerReference.of(owner),), "whose it is must be known whatever is ignored"
    assert dependent_changed(old, Dependent.of(job(labels={"x": "y"}), ignore=paths), status="false") is (
        ignore != "metadata"
    )


ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"ownerReferences": [{"apiVersion": "mmontes.io/v1alpha1", "kind": "Echo"}]}, id="reference"),
        pytest.param({"ownerReferences": [{"apiVersion": "mmontes.io/v2", "kind": "Echo"}]}, id="other version"),
        pytest.param({"annotations": {"operator-sdk/primary-resource-type": "Echo.mmontes.io"}}, id="annotation"),
    ],
)
def test_what_names_an_owner_that_is_watched_is_kept(metadata):
    """However it names it: this is the only way to hear of its end."""
    assert dependents_of([ECHO])(job(**metadata)) == Dependent.of(job(**metadata))


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({}, id="nobody's"),
        pytest.param({"ownerReferences": [{"apiVersion": "mmontes.io/v1alpha1", "kind": "Other"}]}, id="other kind"),
        pytest.param({"ownerReferences": [{"apiVersion": "other.io/v1", "kind": "Echo"}]}, id="other group"),
        pytest.param({"annotations": {"operator-sdk/primary-resource-type": "Echo"}}, id="annotation of core kind"),
    ],
)
def test_all_that_is_not_ours_is_kept_as_one_value(metadata):
    """A cluster has a hundred times more Secrets and Pods than ours."""
    project = dependents_of([ECHO])
    assert project(job(**metadata)) is project(job())


def test_what_becomes_ours_or_ceases_to_be_is_a_change():
    """An owner that was given a child, or lost one, looks again; the rest of its life a stranger is no news."""
    project = dependents_of([ECHO])
    ours = project(job(ownerReferences=[{"apiVersion": "mmontes.io/v1alpha1", "kind": "Echo", "name": "a"}]))
    strangers = project(job()), project(job(labels={"edited": "yes"}, status=COMPLETE))
    assert dependent_changed(strangers[0], ours, status="false")
    assert dependent_changed(ours, strangers[0], status="false")
    assert not dependent_changed(*strangers, status="all")


ALL_RULES = ("false", "terminal", "all")


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        pytest.param(None, job(), (), id="created"),
        pytest.param(None, job(status=RUNNING), ("all",), id="first seen running"),
        pytest.param(None, job(status=COMPLETE), ("terminal", "all"), id="first seen finished"),
        pytest.param(job(status=COMPLETE), None, ALL_RULES, id="deleted"),
        pytest.param(job(), job(labels={"a": "b"}), ALL_RULES, id="edited"),
        pytest.param(job(), job(resourceVersion="2"), (), id="nothing"),
        pytest.param(job(), job(status={}), (), id="empty status appeared"),
        pytest.param(job(), job(status=RUNNING), ("all",), id="began to run"),
        pytest.param(job(status=RUNNING), job(status=COMPLETE), ("terminal", "all"), id="finished"),
        pytest.param(job(status=COMPLETE), job(status=COMPLETE | {"x": 1}), ("all",), id="status after the end"),
        pytest.param(job(status=COMPLETE), job(status=RUNNING), ("all",), id="runs again"),
        pytest.param(job(), job(uid="other"), ALL_RULES, id="another object"),
    ],
)
def test_a_dependent_counts_by_the_rule_of_its_watch(old, new, rules):
    """Status changes that do not count would make each Pod restart run a role; the end of a Job must be seen."""
    of = [Dependent.of(obj) if obj else None for obj in (old, new)]
    assert tuple(rule for rule in ALL_RULES if dependent_changed(*of, status=rule)) == rules
