"""What request bodies say, read as the API server reads them; and what is refused because it can't be."""

import json
from typing import Any

import pytest

from runner.gateway.answers import Refusal
from runner.gateway.bodies import decode, media_type, with_dry_run, with_marks
from runner.gateway.ownership import Marks

APPLY = "application/apply-patch+yaml"
MARKS = Marks(annotations={"a": "b"})


@pytest.mark.parametrize(
    ("header", "expected"),
    [("", ""), ("application/JSON; charset=utf-8", "application/json"), (" text/plain ", "text/plain")],
)
def test_media_types(header: str, expected: str):
    assert media_type(header) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("day: 2026-01-01", "2026-01-01"),
        ("at: 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("time: 12:30", "12:30"),
        ("time: 12:30:45.5", "12:30:45.5"),
        ("mode: 0644", 420),
        ("mode: 0o644", 420),
        ("hex: 0x10", 16),
        ("big: 1_000", 1000),
        ("e: 1e3", 1000.0),
        ("f: 1.5", 1.5),
        ("n: -7", -7),
        ("zero: 0", 0),
        ("yes: on", True),
        ("v: v1.2.3", "v1.2.3"),
        ("v: 1.2.3", "1.2.3"),
        ("eq: =", "="),
        ("none: ~", None),
        ("quoted: '1'", "1"),
    ],
)
def test_yaml_scalars_are_those_of_gos_library(text: str, expected: Any):
    """Python's YAML would make dates and base-60 numbers of some, and text of `1e3`."""
    (value,) = decode(text.encode(), APPLY).values()
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize("kind", ["application/json", "", "application/yaml", APPLY])
def test_json_is_read_under_every_type(kind: str):
    assert decode(b'{"a": {"b": 1}}', kind) == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"{", "application/json"),
        (b'{"a": "\xff"}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"a: [", APPLY),
        (b"a: 1\n---\nb: 2", APPLY),
        (b"!!python/object/apply:os.system [x]", APPLY),
        (b"just text", APPLY),
    ],
)
def test_what_is_no_object_is_refused(body: bytes, kind: str):
    """Passing it on would create an object without owner, should the server be able to read it."""
    with pytest.raises(Refusal) as caught:
        decode(body, kind)
    assert caught.value.code == 400


def test_an_alias_bomb_is_refused_quickly():
    """A few hundred bytes of YAML that stand for gigabytes of JSON."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(Refusal, match="aliases"):
        decode("\n".join(lines).encode(), APPLY)


def test_other_formats_are_refused_with_the_remedy():
    with pytest.raises(Refusal, match="send application/json") as caught:
        with_marks(b"", "application/cbor", MARKS)
    assert caught.value.code == 415


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("", "application/json"),
        ("application/json", "application/json"),
        ("application/yaml", "application/json"),
        (APPLY, APPLY),
    ],
)
def test_marked_objects_are_sent_as_json(kind: str, expected: str):
    body, sent_as = with_marks(b'{"spec": {"n": 12345678901234567890, "t": "\\ud800"}}', kind, MARKS)
    assert sent_as == expected
    assert json.loads(body) == {
        "spec": {"n": 12345678901234567890, "t": "\ud800"},
        "metadata": {"annotations": {"a": "b"}},
    }


def test_metadata_of_a_wrong_shape_is_named():
    with pytest.raises(Refusal, match="metadata must be a mapping") as caught:
        with_marks(b'{"metadata": 1}', "application/json", MARKS)
    assert caught.value.code == 400


def test_a_deletes_options_become_a_dry_run():
    body, kind = with_dry_run(b'{"dryRun": [], "propagationPolicy": "Background"}', "application/json")
    assert (json.loads(body), kind) == ({"dryRun": ["All"], "propagationPolicy": "Background"}, "application/json")
