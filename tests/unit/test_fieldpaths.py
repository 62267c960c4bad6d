"""Paths of fields: one meaning for each text, and a cut that takes exactly what is named."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.fieldpaths import EACH, FieldPath

KEYS = st.sampled_from(["a", "b", "a/b.c", 'q"u', "", "ü"])
PATHS = st.builds(
    lambda first, rest: FieldPath((first, *rest)),
    st.sampled_from("ab"),
    st.lists(KEYS | st.sampled_from([0, 1, EACH]), max_size=3),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
FILLED = VALUES.filter(lambda value: value not in (None, {}, []))


def cut(value: Any, *paths: str) -> Any:
    return FieldPath.cut(value, [FieldPath.parse(path) for path in paths])


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("status", ("status",)),
        ("spec.replicas", ("spec", "replicas")),
        ('metadata.annotations["example.com/a.b"]', ("metadata", "annotations", "example.com/a.b")),
        ("metadata.annotations['a/b']", ("metadata", "annotations", "a/b")),
        ('data["a\\"b"].c', ("data", 'a"b', "c")),
        ("data['']", ("data", "")),
        ("webhooks[*].clientConfig", ("webhooks", EACH, "clientConfig")),
        ("spec.ports[0]", ("spec", "ports", 0)),
        ("spec.x-y_z", ("spec", "x-y_z")),
    ],
)
def test_a_path_is_read_step_by_step(text: str, steps: tuple[str | int, ...]):
    assert FieldPath.parse(text).steps == steps


@pytest.mark.parametrize(
    "text", ["", ".", ".a", "a.", "a..b", "a b", "a[", "a[]", "a[-1]", "a[b]", 'a["b]', 'a["\\x"]', "[*]", "a\n", "a.ü"]
)
def test_what_is_no_path_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match=r"spec\.replicas") as caught:
        FieldPath.parse(text)
    assert repr(text) in str(caught.value)


@given(PATHS)
def test_what_is_written_reads_the_same(path: FieldPath):
    """Events name fields in the very form that watches.yaml takes."""
    assert FieldPath.parse(str(path)) == path


@pytest.mark.parametrize(
    ("value", "paths", "expected"),
    [
        ({"spec": {"replicas": 1, "x": 2}}, ["spec.replicas"], {"spec": {"x": 2}}),
        ({"a": {"b": {"c": 1}}, "d": 1}, ["a.b.c"], {"d": 1}),
        ({"a": {"b": {}}, "d": 1}, ["a.b.c"], {"d": 1}),
        ({"a": {"b": 1}}, ["a.b.c", "x.y"], {"a": {"b": 1}}),
        ({"a": [{"b": 1, "c": 2}, {"b": 3}, 4]}, ["a[*].b"], {"a": [{"c": 2}, {}, 4]}),
        ({"a": [{"b": 1}, {"b": 3}]}, ["a[1].b"], {"a": [{"b": 1}, {}]}),
        ({"a": [1, 2]}, ["a[0]"], {"a": [None, 2]}),
        ({"a": [1]}, ["a[1]"], {"a": [1]}),
        ({"a": [1, 2], "b": 1}, ["a[*]"], {"b": 1}),
        ({"a": {"b": 1, "c": 2}}, ["a.b", "a.c"], {}),
    ],
)
def test_cut_takes_what_is_named_and_what_is_empty_without_it(value: Any, paths: list[str], expected: Any):
    before = copy.deepcopy(value)
    assert cut(value, *paths) == expected
    assert value == before


def put(obj: dict[str, Any], path: FieldPath, value: Any) -> dict[str, Any]:
    """Set a field, and make the mappings on the way to it where there are none."""
    obj = copy.deepcopy(obj)
    *way, last = path.steps
    here = obj
    for step in way:
        if not isinstance(here.get(step), dict):
            here[step] = {}
        here = here[step]
    here[last] = value
    return obj


KEY_PATHS = st.lists(KEYS, max_size=3).map(lambda rest: FieldPath(("a", *rest)))


@given(OBJECTS, KEY_PATHS, FILLED, FILLED)
def test_whatever_a_field_that_is_cut_held_the_rest_is_the_same(obj: Any, path: FieldPath, one: Any, other: Any):
    """Set first, set anew or taken away: none of it may look like a change."""
    with_one, with_other = put(obj, path, one), put(obj, path, other)
    gone = FieldPath.cut(with_one, [path])
    assert gone == FieldPath.cut(with_other, [path])
    assert gone == FieldPath.cut(gone, [path])


@given(OBJECTS, KEY_PATHS, FILLED)
def test_the_first_and_the_last_of_a_field_are_no_change_either(obj: Any, path: FieldPath, value: Any):
    """With it come and go the mappings on the way: the first annotation brings `annotations`."""
    never = {key: inner for key, inner in obj.items() if key != path.steps[0]}
    assert FieldPath.cut(put(never, path, value), [path]) == never


@given(OBJECTS, KEY_PATHS, KEY_PATHS, FILLED, FILLED)
def test_a_change_elsewhere_is_still_seen(obj: Any, path: FieldPath, elsewhere: FieldPath, one: Any, other: Any):
    """A path that took more than it names would hide drift."""
    shorter = min(len(path.steps), len(elsewhere.steps))
    if path.steps[:shorter] == elsewhere.steps[:shorter] or one == other:
        return
    objects = [put(put(obj, path, 1), elsewhere, value) for value in (one, other)]
    left = [FieldPath.cut(each, [path]) for each in objects]
    assert left[0] != left[1]
    assert left[0] == FieldPath.cut(put(left[0], path, 2), [path])
