"""From a child to its owners: by reference, by annotation, across versions, scopes and changes of owner."""

import pytest

from runner.handlers import owners_in_event, owners_of
from runner.objects import GroupVersionKind, ObjectRef, OwnerReference, Uid, WatchEvent
from runner.predicates import Dependent

ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")


def owner(name="a", *, uid="o", api_version="mmontes.io/v1alpha1", kind="Echo") -> OwnerReference:
    return OwnerReference(gvk=GroupVersionKind.parse(api_version, kind), name=name, uid=Uid(uid))


def child(*owners: OwnerReference, primary: str = "", primary_type: str = "Echo.mmontes.io") -> Dependent:
    return Dependent(uid=Uid("c"), owners=owners, primary=primary, primary_type=primary_type)


@pytest.mark.parametrize(
    ("dependent", "expected"),
    [
        pytest.param(child(), set(), id="nobody's"),
        pytest.param(child(owner()), {ObjectRef("n", "a")}, id="one owner"),
        pytest.param(child(owner("a"), owner("b")), {ObjectRef("n", "a"), ObjectRef("n", "b")}, id="two owners"),
        pytest.param(child(owner(api_version="mmontes.io/v2")), {ObjectRef("n", "a")}, id="other version"),
        pytest.param(child(owner(api_version="example.com/v1")), set(), id="other group"),
        pytest.param(child(owner(kind="ScheduledEcho")), set(), id="other kind"),
        pytest.param(child(owner(name="")), set(), id="nameless"),
        pytest.param(child(primary="other/b"), {ObjectRef("other", "b")}, id="annotation"),
        pytest.param(child(owner(), primary="m/b"), {ObjectRef("n", "a"), ObjectRef("m", "b")}, id="both"),
        pytest.param(child(primary="m/b", primary_type="Echo.example.com"), set(), id="annotation of other group"),
        pytest.param(child(primary="m/b", primary_type="Echo"), set(), id="annotation of core kind"),
        pytest.param(child(primary="b"), set(), id="annotation without namespace"),
        pytest.param(child(primary="/b"), set(), id="annotation with empty namespace"),
        pytest.param(child(primary="m/"), set(), id="annotation without name"),
        pytest.param(child(primary="a/b/c"), set(), id="annotation with two slashes"),
    ],
)
def test_namespaced_owners(dependent, expected):
    """Owner references stay within a namespace; annotations cross it."""
    assert owners_of(dependent, "n", ECHO, owner_namespaced=True) == expected


@pytest.mark.parametrize(
    ("dependent", "child_namespace", "expected"),
    [
        pytest.param(child(owner()), "n", {ObjectRef("", "a")}, id="namespaced child"),
        pytest.param(child(owner()), "", {ObjectRef("", "a")}, id="cluster-scoped child"),
        pytest.param(child(primary="/b"), "", {ObjectRef("", "b")}, id="annotation as the Go runtime writes it"),
        pytest.param(child(primary="b"), "", {ObjectRef("", "b")}, id="annotation as its documentation has it"),
        pytest.param(child(primary="m/b"), "", set(), id="annotation with a namespace"),
    ],
)
def test_cluster_scoped_owners(dependent, child_namespace, expected):
    """Their keys have no namespace, wherever the child lives."""
    assert owners_of(dependent, child_namespace, ECHO, owner_namespaced=False) == expected


def test_a_cluster_scoped_child_has_no_namespaced_owner_by_reference():
    """Such a reference is void in Kubernetes, and its key would name no object."""
    assert owners_of(child(owner()), "", ECHO, owner_namespaced=True) == set()
    assert owners_of(child(owner(), primary="n/a"), "", ECHO, owner_namespaced=True) == {ObjectRef("n", "a")}


def test_core_kinds_as_owners():
    """The type annotation of a core kind has no dot."""
    secret = GroupVersionKind("", "v1", "Secret")
    dependent = child(owner(api_version="v1", kind="Secret"), primary="m/b", primary_type="Secret")
    assert owners_of(dependent, "n", secret, owner_namespaced=True) == {ObjectRef("n", "a"), ObjectRef("m", "b")}


def test_the_uid_of_an_owner_does_not_matter():
    """When a child of the deleted namesake goes away, the new owner of that name waits for just this event."""
    assert owners_of(child(owner(uid="of the dead")), "n", ECHO, owner_namespaced=True) == {ObjectRef("n", "a")}


def test_an_update_concerns_old_and_new_owners():
    """Who lost a child makes another one."""
    event = WatchEvent(ref=ObjectRef("n", "c"), old=child(owner("a")), new=child(owner("b"), primary="m/c"))
    owners = owners_in_event(event, ECHO, owner_namespaced=True)
    assert owners == {ObjectRef("n", "a"), ObjectRef("n", "b"), ObjectRef("m", "c")}


def test_a_deletion_concerns_the_last_owners():
    """The event of a deletion has no new object to read them from."""
    event = WatchEvent(ref=ObjectRef("n", "c"), old=child(owner("a")), new=None)
    assert owners_in_event(event, ECHO, owner_namespaced=True) == {ObjectRef("n", "a")}
