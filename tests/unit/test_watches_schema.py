"""The schema that editors check watches.yaml with says the same as the operator, or it would be worse than none."""

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from runner.content import SearchPath
from runner.watches import Finalizer, Watch, WatchesError, parse

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "config" / "schema" / "watches.schema.json"
SCHEMA: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
WATCH = SCHEMA["definitions"]["watch"]["properties"]
FINALIZER = SCHEMA["definitions"]["finalizer"]["properties"]


@pytest.fixture
def search(tmp_path: Path) -> SearchPath:
    (tmp_path / "roles" / "echo").mkdir(parents=True)
    (tmp_path / "play.yml").write_text("[]")
    return SearchPath(project=tmp_path)


def accepted(watch: Any, search: SearchPath) -> bool:
    """Whether the operator starts with this one watch, without a word."""
    try:
        loaded = parse(json.dumps([watch]), name="w", search=search, environment={"ON": "true"})
    except WatchesError:
        return False
    return not loaded.warnings


def known(watch: dict[str, Any], search: SearchPath) -> set[str]:
    """The keys that the operator names when it meets one that it does not know."""
    loaded = parse(json.dumps([watch]), name="w", search=search, environment={})
    (listed,) = re.findall(r"known here: (.*)", "\n".join(loaded.warnings))
    return set(listed.split(", "))


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_keys_are_those_that_the_operator_reads(search: SearchPath) -> None:
    watch = {"version": "v1", "kind": "X", "role": "echo"}
    assert set(WATCH) == known({**watch, "qqqqqqqq": 1}, search)
    finalizer = {"name": "f", "role": "echo", "qqqqqqqq": 1}
    assert set(FINALIZER) == known({**watch, "finalizer": finalizer}, search)


def test_defaults_are_the_operators() -> None:
    """And a key without one here has none there."""
    snake = {re.sub("([A-Z])", r"_\1", key).lower(): key for key in WATCH}
    named = {"reconcile_period_s": "reconcilePeriod", "run_timeout_s": "runTimeout"}
    for field in fields(Watch):
        key = named.get(field.name) or snake.get(field.name)
        if key is None or field.name == "selector":
            assert field.name in {"gvk", "content", "selector"}
            continue
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        plain = sorted(default) if isinstance(default, frozenset | tuple) else default
        assert WATCH[key].get("default") == plain, key


def test_every_key_tells_what_it_is_for() -> None:
    definitions = SCHEMA["definitions"]
    for key, found in {**WATCH, **FINALIZER}.items():
        text = found.get("description") or definitions[found["$ref"].rsplit("/", 1)[-1]].get("description")
        assert text or key in {"version", "kind"}, key
    assert {field.name for field in fields(Finalizer)} <= {*FINALIZER, "content"}


SAMPLES: list[tuple[str, Any]] = [
    *((key, value) for key in ("group", "version", "kind", "role", "playbook") for value in ("echo", "", 1, None)),
    *(
        (key, value)
        for key in WATCH
        if WATCH[key].get("$ref", "").endswith("/boolean")
        for value in (True, "false", "${ON}", "yes", 1)
    ),
    *(
        (key, value)
        for key in ("reconcilePeriod", "runTimeout")
        for value in ("1h30m", "0", "0s", "1.5s", "-5s", "5", 5)
    ),
    *(
        (key, value)
        for key in ("maxRunnerArtifacts", "maxConcurrentReconciles")
        for value in (0, 3, -1, "3", True, 1.5)
    ),
    *(("vars", value) for value in ({}, {"a": [1]}, [], "x")),
    *(("runEnv", value) for value in ([], ["HOME"], [1], "HOME")),
    *(
        ("dependentIgnore", value)
        for value in (
            [],
            ["status", 'metadata.annotations["a/b"]', "spec.ports[0]", "spec.containers[*].image", "a['b.c']"],
            [".spec"],
            ["spec..a"],
            ["spec[x]"],
            [1],
            "status",
        )
    ),
    *(("watchDependentStatus", value) for value in (False, "false", "terminal", "all", True, "none")),
    *(("blacklist", value) for value in ([], [{"version": "v1", "kind": "Pod"}], [{"version": "v1"}], ["Pod"], {})),
    *(
        ("selector", value)
        for value in (
            {},
            {"matchLabels": {"a": "b"}},
            {"matchLabels": {"a": 1}},
            {"matchlabels": {}},
            {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
            {"matchExpressions": [{"key": "a", "operator": "Like"}]},
            {"matchExpressions": [{"operator": "Exists"}]},
            [],
        )
    ),
    *(
        ("finalizer", value)
        for value in (
            {"name": "f", "vars": {"a": 1}},
            {"name": "f", "role": "echo"},
            {"name": "f"},
            {"role": "echo"},
            {"name": "f", "role": "echo", "colour": 1},
            "f",
        )
    ),
    ("colour", "blue"),
]


@pytest.mark.parametrize(("key", "value"), SAMPLES, ids=[f"{key}={json.dumps(value)}" for key, value in SAMPLES])
def test_editor_and_operator_agree(search: SearchPath, key: str, value: Any) -> None:
    watch = {"version": "v1", "kind": "X", "role": "echo", key: value}
    if key == "playbook":
        watch = {"version": "v1", "kind": "X", key: "play.yml" if value == "echo" else value}
    if value is None:
        del watch[key]  # an editor has no null to offer
    assert Draft7Validator(SCHEMA).is_valid([watch]) is accepted(watch, search)


def test_our_own_file_names_the_schema_and_passes() -> None:
    text = (ROOT / "watches.yaml").read_text(encoding="utf-8")
    assert f"# yaml-language-server: $schema={FILE.relative_to(ROOT)}" in text
    Draft7Validator(SCHEMA).validate(yaml.safe_load(text))
