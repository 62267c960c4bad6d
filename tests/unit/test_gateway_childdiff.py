"""When two writes are the same change, and which fields are named."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.fieldpaths import FieldPath
from runner.gateway.childdiff import Change, between, making


def deployment(replicas: int = 1, *, image: str = "a", status: Any = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "n", "uid": "u", "resourceVersion": "1", **metadata},
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"containers": [{"name": "c", "image": image, "imagePullPolicy": "Always"}]}},
        },
        "status": status or {},
    }


WISH = {"spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "c", "image": "a"}]}}}}


def names(change: Change | None) -> list[str]:
    assert change is not None
    return [str(path) for path in change.fields]


def test_a_field_that_is_put_back_is_named_alone():
    """The body says more than what differed, and says less of a container than the server keeps."""
    assert names(between(deployment(2), WISH, deployment(1))) == ["spec.replicas"]
    assert names(between(deployment(image="b"), WISH, deployment())) == ["spec.template.spec.containers[0].image"]


def test_the_same_from_the_same_is_the_same_whatever_else_the_object_says():
    """Versions, managers and status are other ones at each round of a loop."""
    first = between(deployment(2), WISH, deployment(1, resourceVersion="2"))
    noise: dict[str, Any] = {"resourceVersion": "7", "generation": 9, "managedFields": [{"time": "now"}]}
    assert between(deployment(2, status={"x": 1}, **noise), WISH, deployment(1, status={"x": 2}, **noise)) == first


def test_other_values_are_another_change():
    """Somebody who scales to 2, to 3 and to 4 edits; somebody who scales to 2 again and again insists."""
    changes = [between(deployment(count), WISH, deployment(1)) for count in (2, 3, 4)]
    assert len({change.digest for change in changes if change}) == 3


@pytest.mark.parametrize(
    ("found", "answered"),
    [
        (deployment(), deployment()),
        (deployment(), deployment(resourceVersion="2", status={"ready": 1})),
        (deployment(status={"active": [1]}), deployment(managedFields=[{"manager": "ansible"}], generation=2)),
    ],
)
def test_a_write_that_changes_nothing_of_weight_is_no_change(found: Any, answered: Any):
    """A controller counts in a CronJob's status while the role applies what is there already."""
    assert between(found, WISH, answered) is None


def test_what_is_ignored_is_no_change():
    """Its events wake nobody, so there is no loop."""
    ignore = [FieldPath.parse("spec.replicas")]
    assert between(deployment(2), WISH, deployment(1), ignore=ignore) is None
    assert names(between(deployment(2, image="b"), WISH, deployment(), ignore=ignore)) == [
        "spec.template.spec.containers[0].image"
    ]


def test_a_field_that_a_webhook_refuses_is_named_though_another_one_changed():
    """It stamps each write, so each is an event; the stamp alone would never be the same twice."""
    rounds = [
        between(
            deployment(2, annotations={"stamp": str(count)}),
            WISH,
            deployment(2, annotations={"stamp": str(count + 1)}),
        )
        for count in range(2)
    ]
    assert rounds[0] == rounds[1]
    assert names(rounds[0]) == ["spec.replicas"]


def test_a_field_that_a_replace_takes_away_is_named():
    """The body of a replace does not mention what it takes away."""
    wish = deployment()
    assert names(between(deployment(labels={"a": "b"}), wish, deployment())) == ["metadata.labels"]
    two, one = deployment(labels={"a": "b", "c": "d"}), deployment(labels={"c": "d"})
    assert names(between(two, one, one)) == ["metadata.labels.a"]


def test_a_write_in_steps_is_known_by_what_came_of_it():
    assert names(between(deployment(2), None, deployment(1))) == ["spec.replicas"]


def test_what_was_made_is_known_by_what_was_sent():
    """Made again with the same content: somebody deletes it each time."""
    assert making(deployment()) == making(deployment(resourceVersion="9"))
    assert making(deployment()) != making(deployment(2))
    assert making(None).fields == making(deployment()).fields == ()


SCALARS = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from("ab")
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
SPECS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3).map(lambda spec: {"spec": {**spec, "x": 1}})


@given(SPECS, SPECS | st.none(), SPECS)
def test_a_change_is_told_exactly_when_something_differs(found: Any, sent: Any, answered: Any):
    """And it names a field, whatever was sent; and it depends on nothing but what it is given."""
    before = copy.deepcopy((found, sent, answered))
    change = between(found, sent, answered)
    assert (change is None) == (found == answered or _without_nulls(found) == _without_nulls(answered))
    assert change is None or change.fields
    assert change == between(*before)
    assert (found, sent, answered) == before


def _without_nulls(value: Any) -> Any:
    """As the API: a field that is null is a field that is not there."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
