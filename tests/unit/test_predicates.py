"""Which changes count: too few and work is lost, too many and the operator wakes itself for ever."""

import sys
from typing import Any

import pytest

from runner.objects import GroupVersionKind, Meta, OwnerReference, Uid
from runner.predicates import Dependent, Requirement, Selector, SelectorError, changed, dependent_changed


def meta(**values: Any) -> Meta:
    return Meta.of(
        {"metadata": {"name": "a", "namespace": "n", "uid": "u", "generation": 1, "resourceVersion": "1", **values}}
    )


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


@pytest.mark.parametrize("annotations", [False, True])
def test_creation_and_deletion_of_a_primary_always_count(annotations):
    """At start each object is a creation; an object that is gone may have metrics and runs to clean up."""
    assert changed(None, meta(), annotations=annotations)
    assert changed(meta(), None, annotations=annotations)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(meta(), meta(resourceVersion="2"), False, id="status written"),
        pytest.param(meta(), meta(resourceVersion="2", labels={"a": "b"}), False, id="labels"),
        pytest.param(meta(), meta(generation=2), True, id="spec"),
        pytest.param(meta(), meta(deletionTimestamp="2026-01-01T00:00:00Z"), True, id="deletion began"),
        pytest.param(meta(generation=0), meta(generation=0, resourceVersion="2"), True, id="kind without generation"),
        pytest.param(meta(generation=0), meta(generation=1), True, id="generation began"),
        pytest.param(meta(), meta(uid="other"), True, id="another object"),
        pytest.param(meta(), meta(annotations={"a": "b"}), False, id="annotations"),
    ],
)
def test_an_update_counts_when_its_author_meant_something(old, new, expected):
    """Our own status write must not wake us again; what a user wrote must."""
    assert changed(old, new, annotations=False) is expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, {"a": "b"}, True, id="added"),
        pytest.param({"a": "b"}, {"a": "c"}, True, id="changed"),
        pytest.param({"a": "b"}, None, True, id="removed"),
        pytest.param({"a": "b"}, {"a": "b"}, False, id="same"),
        pytest.param({}, None, False, id="none and empty"),
    ],
)
def test_annotations_count_where_the_watch_asks_for_them(old, new, expected):
    """`watchAnnotationsChanges`."""
    assert changed(meta(annotations=old), meta(annotations=new, resourceVersion="2"), annotations=True) is expected


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
    assert sum(sys.getsizeof(value) for value in (dependent.digest, dependent.status_digest)) < 150


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


LABELS = {"app": "echo", "tier": "web", "empty": ""}


@pytest.mark.parametrize(
    ("raw", "text", "expected"),
    [
        (None, "", True),
        ({}, "", True),
        ({"matchLabels": None, "matchExpressions": None}, "", True),
        ({"matchLabels": {"app": "echo"}}, "app=echo", True),
        ({"matchLabels": {"tier": "web", "app": "echo"}}, "app=echo,tier=web", True),
        ({"matchLabels": {"app": "echo", "tier": "db"}}, "app=echo,tier=db", False),
        ({"matchLabels": {"empty": ""}}, "empty=", True),
        ({"matchLabels": {"missing": ""}}, "missing=", False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "echo"]}]}, "app in (echo,x)", True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "y"]}]}, "app in (x,y)", False),
        ({"matchExpressions": [{"key": "missing", "operator": "In", "values": ["x", "y"]}]}, "missing in (x,y)", False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}, "app notin (x)", True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["echo"]}]}, "app notin (echo)", False),
        ({"matchExpressions": [{"key": "missing", "operator": "NotIn", "values": ["x"]}]}, "missing notin (x)", True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, "app", True),
        ({"matchExpressions": [{"key": "missing", "operator": "Exists"}]}, "missing", False),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, "!app", False),
        ({"matchExpressions": [{"key": "missing", "operator": "DoesNotExist", "values": []}]}, "!missing", True),
        (
            {"matchLabels": {"example.com/app": "a"}, "matchExpressions": [{"key": "app", "operator": "Exists"}]},
            "app,example.com/app=a",
            False,
        ),
    ],
)
def test_selector_means_what_the_api_server_means(raw, text, expected):
    """The informer lets the server select, the reconciler checks again: both must agree."""
    selector = Selector.parse(raw)
    assert (str(selector), selector.matches(LABELS)) == (text, expected)


def test_equal_selectors_are_equal_values():
    """Watches are compared and hashed with their selectors."""
    one = Selector.parse({"matchLabels": {"a": "1", "b": "2"}})
    assert one == Selector.parse({"matchLabels": {"b": "2", "a": "1"}})
    assert one == Selector((Requirement("a", "In", ("1",)), Requirement("b", "In", ("2",))))


@pytest.mark.parametrize(
    ("raw", "problems"),
    [
        (["a"], ("selector: must be a mapping, not list",)),
        ({"matchLabel": {}}, ("matchLabel: unknown (have: matchExpressions, matchLabels)",)),
        ({"matchLabels": ["a"]}, ("matchLabels: must be a mapping, not list",)),
        ({"matchLabels": {"a": True}}, ("matchLabels.a: True must be a string; quote it",)),
        ({"matchLabels": {"a": "b c"}}, ("matchLabels.a: 'b c' is no label value",)),
        ({"matchLabels": {"a": "b" * 64}}, (f"matchLabels.a: '{'b' * 64}' is no label value",)),
        ({"matchLabels": {"a,b": "c"}}, ("matchLabels: 'a,b' is no label key",)),
        ({"matchLabels": {"/a": "c"}}, ("matchLabels: '/a' is no label key",)),
        ({"matchLabels": {"Up.per/a": "c"}}, ("matchLabels: 'Up.per/a' is no label key",)),
        ({"matchExpressions": {"key": "a"}}, ("matchExpressions: must be a list, not dict",)),
        (
            {"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "b", "operator": "Exists", "values": ["x"]}]},
            ("matchExpressions[0].values: In needs at least one", "matchExpressions[1].values: Exists takes none"),
        ),
        (
            {"matchExpressions": [{"operator": "in", "value": "x"}]},
            (
                "matchExpressions[0].value: unknown (have: key, operator, values)",
                "matchExpressions[0].key: None is no label key",
                "matchExpressions[0].operator: 'in' is none of In, NotIn, Exists, DoesNotExist",
            ),
        ),
    ],
)
def test_selector_errors_name_each_place(raw, problems):
    """Whoever writes watches.yaml mends all of it in one go."""
    with pytest.raises(SelectorError) as caught:
        Selector.parse(raw)
    assert caught.value.problems == problems
