"""Whose a child is: the marks it gets, keeps, and never gets."""

import copy
from typing import Any

import pytest

from runner.gateway.ownership import BadMetadata, Marks, Owner, held_marks, kept_marks, owner_marks, with_owner
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource, Uid

ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")
OWNER = Owner(gvk=ECHO, ref=ObjectRef("n", "x"), uid=Uid("u-1"), namespaced=True)
CLUSTER_OWNER = Owner(gvk=ECHO, ref=ObjectRef("", "x"), uid=Uid("u-1"), namespaced=False)
CORE_OWNER = Owner(gvk=GroupVersionKind("", "v1", "ConfigMap"), ref=ObjectRef("n", "x"), uid=Uid("u"), namespaced=True)
JOB = Resource(gvk=GroupVersionKind("batch", "v1", "Job"), plural="jobs", namespaced=True)
ROLE = Resource(gvk=GroupVersionKind("rbac", "v1", "ClusterRole"), plural="clusterroles", namespaced=False)

REFERENCE = {"apiVersion": "mmontes.io/v1alpha1", "kind": "Echo", "name": "x", "uid": "u-1"}
OTHER = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u-2"}
ANNOTATIONS = {
    "operator-sdk/primary-resource": "n/x",
    "operator-sdk/primary-resource-type": "Echo.mmontes.io",
}


def job(**metadata: Any) -> Raw:
    return {"kind": "Job", "metadata": {"name": "j", **metadata}, "spec": {}}


@pytest.mark.parametrize(
    ("owner", "child", "namespace", "expected"),
    [
        (OWNER, JOB, "n", Marks(reference=REFERENCE)),
        (OWNER, JOB, "elsewhere", Marks(annotations=ANNOTATIONS)),
        (OWNER, ROLE, "", Marks(annotations=ANNOTATIONS)),
        (CLUSTER_OWNER, JOB, "n", Marks(reference=REFERENCE)),
        (CLUSTER_OWNER, ROLE, "", Marks(reference=REFERENCE)),
        (
            CORE_OWNER,
            ROLE,
            "",
            Marks(
                annotations={
                    "operator-sdk/primary-resource": "n/x",
                    "operator-sdk/primary-resource-type": "ConfigMap",
                }
            ),
        ),
    ],
)
def test_matrix(owner: Owner, child: Resource, namespace: str, expected: Marks):
    assert owner_marks(owner, child, namespace) == expected


def test_a_controller_reference_blocks_the_owners_deletion():
    marks = owner_marks(OWNER, JOB, "n", controller=True)
    assert marks.reference == REFERENCE | {"controller": True, "blockOwnerDeletion": True}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, [REFERENCE]),
        ({"ownerReferences": None}, [REFERENCE]),
        ({"ownerReferences": [OTHER]}, [OTHER, REFERENCE]),
        ({"ownerReferences": [REFERENCE]}, [REFERENCE]),
        ({"ownerReferences": [REFERENCE | {"controller": True}]}, [REFERENCE | {"controller": True}]),
    ],
)
def test_a_reference_is_added_once(metadata: Raw, expected: list[Raw]):
    body = job(**metadata)
    before = copy.deepcopy(body)
    marked = with_owner(body, Marks(reference=REFERENCE))
    assert marked["metadata"]["ownerReferences"] == expected
    assert marked["spec"] == {}
    assert body == before


def test_a_second_managing_controller_is_not_made():
    """The API server refuses it."""
    ours = REFERENCE | {"controller": True, "blockOwnerDeletion": True}
    marked = with_owner(job(ownerReferences=[OTHER | {"controller": True}]), Marks(reference=ours))
    assert marked["metadata"]["ownerReferences"][1] == REFERENCE | {"blockOwnerDeletion": True}
    marked = with_owner(job(ownerReferences=[OTHER | {"controller": False}]), Marks(reference=ours))
    assert marked["metadata"]["ownerReferences"][1] == ours


@pytest.mark.parametrize("annotations", [None, {"a": "b"}, {"operator-sdk/primary-resource": "m/stale"}])
def test_annotations_are_added_and_overwrite(annotations: Any):
    marked = with_owner(job(annotations=annotations), Marks(annotations=ANNOTATIONS))
    assert marked["metadata"]["annotations"] == (annotations or {}) | ANNOTATIONS
    assert "ownerReferences" not in marked["metadata"]


@pytest.mark.parametrize("body", [{"kind": "Job"}, {"kind": "Job", "metadata": None}])
def test_an_object_without_metadata_gets_some(body: Raw):
    assert with_owner(body, Marks(reference=REFERENCE))["metadata"] == {"ownerReferences": [REFERENCE]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"metadata": []}, "metadata"),
        ({"metadata": {"ownerReferences": {}}}, "ownerReferences"),
        ({"metadata": {"ownerReferences": [], "annotations": "x"}}, "annotations"),
    ],
)
def test_metadata_of_another_shape_is_refused(body: Raw, field: str):
    with pytest.raises(BadMetadata, match=field):
        with_owner(body, Marks(reference=REFERENCE, annotations=ANNOTATIONS))


HELD = REFERENCE | {"controller": False, "blockOwnerDeletion": True}
NEW = Marks(reference=REFERENCE)


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        (None, NEW),
        (job(), None),
        (job(ownerReferences=[OTHER]), None),
        (job(ownerReferences=[REFERENCE | {"uid": "u-of-a-namesake-deleted-since"}]), None),
        (job(ownerReferences=[OTHER, HELD]), Marks(reference=HELD)),
        (job(annotations=ANNOTATIONS), Marks(annotations=ANNOTATIONS)),
        (job(annotations=ANNOTATIONS | {"operator-sdk/primary-resource": "n/y"}), None),
        (job(annotations={"operator-sdk/primary-resource": "n/x"}), None),
        (job(ownerReferences=[HELD], annotations=ANNOTATIONS), Marks(reference=HELD, annotations=ANNOTATIONS)),
    ],
)
def test_what_is_there_decides_what_a_replace_carries(existing: Raw | None, expected: Marks | None):
    """Absent: ours from now on. Ours: repeated to the letter. Not ours: never adopted."""
    assert kept_marks(existing, OWNER, NEW) == expected


def test_an_object_without_any_metadata_is_not_ours():
    assert held_marks({"metadata": None}, OWNER) is None
