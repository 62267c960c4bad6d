"""Names and references are what everything else is keyed by."""

from datetime import UTC, datetime

import pytest

from runner.objects import GroupVersionKind, Meta, ObjectRef, OwnerReference, Resource, Uid, format_time, parse_time

ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")


def test_core_group_is_empty() -> None:
    assert GroupVersionKind.parse("v1", "Pod") == GroupVersionKind("", "v1", "Pod")
    assert GroupVersionKind.parse("batch/v1", "Job") == GroupVersionKind("batch", "v1", "Job")
    assert GroupVersionKind("", "v1", "Pod").api_version == "v1"


def test_kind_is_shown_as_the_go_runtime_shows_it() -> None:
    """The metric label GVK and users' dashboards depend on this spelling."""
    assert str(ECHO) == "mmontes.io/v1alpha1, Kind=Echo"


@pytest.mark.parametrize(
    ("namespaced", "ref", "options", "path"),
    [
        (True, ObjectRef("a", "x"), {}, "/apis/mmontes.io/v1alpha1/namespaces/a/echos/x"),
        (
            True,
            ObjectRef("a", "x"),
            {"subresource": "status"},
            "/apis/mmontes.io/v1alpha1/namespaces/a/echos/x/status",
        ),
        (True, None, {}, "/apis/mmontes.io/v1alpha1/echos"),
        (True, None, {"namespace": "a"}, "/apis/mmontes.io/v1alpha1/namespaces/a/echos"),
        (False, ObjectRef("", "x"), {}, "/apis/mmontes.io/v1alpha1/echos/x"),
        (False, None, {"namespace": "a"}, "/apis/mmontes.io/v1alpha1/echos"),
    ],
)
def test_paths_are_the_api_servers(namespaced: bool, ref: ObjectRef | None, options: dict, path: str) -> None:
    resource = Resource(gvk=ECHO, plural="echos", namespaced=namespaced)
    assert resource.path(ref, **options) == path


def test_core_group_is_served_below_api() -> None:
    pods = Resource(gvk=GroupVersionKind("", "v1", "Pod"), plural="pods", namespaced=True)
    assert pods.path(ObjectRef("a", "x")) == "/api/v1/namespaces/a/pods/x"


def test_metadata_of_an_empty_object_has_zero_values() -> None:
    """A watch line without metadata must not end the informer."""
    assert Meta.of({}) == Meta(ref=ObjectRef("", ""), labels={}, annotations={})


def test_metadata_is_read_whole() -> None:
    owner = {"apiVersion": "mmontes.io/v1alpha1", "kind": "Echo", "name": "x", "uid": "u", "controller": True}
    meta = Meta.of(
        {
            "metadata": {
                "name": "x",
                "namespace": "a",
                "uid": "u2",
                "resourceVersion": "7",
                "generation": 3,
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "creationTimestamp": "2025-01-01T00:00:00Z",
                "labels": {"l": "1"},
                "annotations": {"n": "2"},
                "finalizers": ["f"],
                "ownerReferences": [owner],
            }
        }
    )
    assert meta == Meta(
        ref=ObjectRef("a", "x"),
        uid=Uid("u2"),
        resource_version="7",
        generation=3,
        deleting=True,
        created="2025-01-01T00:00:00Z",
        labels={"l": "1"},
        annotations={"n": "2"},
        finalizers=("f",),
        owners=(OwnerReference(gvk=ECHO, name="x", uid=Uid("u"), controller=True),),
    )
    assert meta.owners[0].as_raw() == owner


def test_owner_reference_leaves_false_flags_out() -> None:
    """The Go runtime writes four keys; a fifth would show as a difference in every comparison."""
    reference = OwnerReference(gvk=ECHO, name="x", uid=Uid("u"))
    assert reference.as_raw() == {"apiVersion": "mmontes.io/v1alpha1", "kind": "Echo", "name": "x", "uid": "u"}


def test_times_are_kubernetes_times() -> None:
    instant = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert format_time(instant) == "2026-01-02T03:04:05Z"
    assert parse_time("2026-01-02T03:04:05.678901Z") == instant
    assert parse_time("2026-01-02T05:04:05+02:00") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
