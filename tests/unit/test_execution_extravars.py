"""A custom resource becomes variables: data only, in Operator SDK's order and spelling."""

import json
from typing import Any

import pytest

from runner.execution.extravars import BadParameters, ExtraVars, build
from runner.execution.snakecase import snake_case

GVK = {"apiVersion": "mmontes.io/v1alpha1", "kind": "Echo"}


def echo(spec: Any = None, **fields: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {**GVK, "metadata": {"name": "hello", "namespace": "default"}, **fields}
    return obj if spec is None else {**obj, "spec": spec}


def built(obj: dict[str, Any], **options: Any) -> ExtraVars:
    settings: dict[str, Any] = {"snake_case": True, "mark_unsafe": True, "watch_vars": {}, "finalizer_vars": None}
    return build(obj, **{**settings, **options})


def unsafe(text: str) -> dict[str, str]:
    return {"__ansible_unsafe": text}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("var", "var"),
        ("888", "888"),
        ("k8s_var", "k8s_var"),
        ("_k8s_var", "_k8s_var"),
        ("k8s var", "k8s_var"),
        ("ThisShouldHaveUnderscores", "_this_should_have_underscores"),
        ("sizeK8sBuckets", "size_k8s_buckets"),
        ("_CanYou_Handle_mixedVars", "_can_you_handle_mixed_vars"),
        ("this_should_be_a_noop", "this_should_be_a_noop"),
        ("egressIPs", "egress_ips"),
        ("egressIPsEgress", "egress_ips_egress"),
        ("egressIPsegress", "egress_ips_egress"),
        ("IPsegress", "_ips_egress"),
        ("egressIP", "egress_ip"),
        ("egressIPEgress", "egress_ip_egress"),
        ("egressIPegress", "egress_ip_egress"),
        ("URLegressIPEgressHTTP", "url_egress_ip_egress_http"),
        ("URLsegressIPsEgressHTTPs", "_urls_egress_ips_egress_https"),
        ("THIS_IS_SKIP_NOT_SK_IP", "_this_is_skip_not_sk_ip"),
        ("IP", "ip"),
        ("a-b c", "a_b_c"),
        ("a1b2", "a_1_b2"),
        ("  ", ""),
    ],
)
def test_names_follow_operator_sdks_table(name: str, expected: str) -> None:
    """Roles written for the Go runtime read exactly these names."""
    assert snake_case(name) == expected


def test_order_and_names_are_operator_sdks() -> None:
    obj = echo({"theMessage": "m", "list": [{"innerKey": "i"}]}, status={"a": "s"})
    variables = built(obj, mark_unsafe=False, watch_vars={"w": 1, "the_message": "watch"}, finalizer_vars={"w": 2})
    expected = {
        "the_message": "watch",
        "list": [{"inner_key": "i"}],
        "ansible_operator_meta": {"namespace": "default", "name": "hello"},
        "_mmontes_io_echo": obj,
        "_mmontes_io_echo_spec": {"theMessage": "m", "list": [{"innerKey": "i"}]},
        "w": 2,
    }
    assert variables == ExtraVars(values=expected)
    assert list(variables.values) == list(expected)


def test_keys_keep_their_case_when_asked() -> None:
    assert "theMessage" in built(echo({"theMessage": "m"}), snake_case=False).values


@pytest.mark.parametrize(
    ("api_version", "kind", "name"),
    [("v1", "Secret", "__secret"), ("cert-manager.k8s.io/v1", "Issuer", "_cert_manager_k8s_io_issuer")],
)
def test_the_object_is_named_after_group_and_kind(api_version: str, kind: str, name: str) -> None:
    variables = built({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}})
    assert {name, f"{name}_spec"} < set(variables.values)


@pytest.mark.parametrize("spec", [None, "text", ["list"]])
def test_an_object_without_spec_has_an_empty_one(spec: Any) -> None:
    variables = built(echo(spec), mark_unsafe=False)
    assert variables.values["_mmontes_io_echo_spec"] == {}
    assert variables.values["_mmontes_io_echo"] == echo(spec)


def test_every_string_from_the_cluster_is_marked_wherever_it_stands() -> None:
    obj = echo({"a": "x", "b": [{"c": "y"}, 1, None, True, 1.5]}, status={"s": "z"})
    obj["metadata"]["annotations"] = {"k": "v"}
    variables = built(obj, watch_vars={"w": "{{ trusted }}"}, finalizer_vars={"f": "plain"})
    marked_spec = {"a": unsafe("x"), "b": [{"c": unsafe("y")}, 1, None, True, 1.5]}
    assert variables.values == {
        **marked_spec,
        "ansible_operator_meta": {"namespace": "default", "name": "hello"},
        "_mmontes_io_echo": {
            "apiVersion": unsafe("mmontes.io/v1alpha1"),
            "kind": unsafe("Echo"),
            "metadata": {"name": unsafe("hello"), "namespace": unsafe("default"), "annotations": {"k": unsafe("v")}},
            "spec": marked_spec,
            "status": {"s": unsafe("z")},
        },
        "_mmontes_io_echo_spec": marked_spec,
        "w": "{{ trusted }}",
        "f": "plain",
    }


def test_a_name_that_could_be_a_template_is_marked_too() -> None:
    """Some built-in kinds allow nearly any character in a name."""
    obj = echo()
    obj["metadata"]["name"] = "{{ 1 }}"
    assert built(obj).values["ansible_operator_meta"] == {"namespace": "default", "name": unsafe("{{ 1 }}")}


def test_marked_text_that_looks_like_a_template_is_named() -> None:
    obj = echo({"message": "{{ a }}", "list": [{"x": "{% if %}"}], "fine": "{ {"}, status={"m": "{{ old }}"})
    obj["metadata"]["annotations"] = {
        "my.io/note": "{{ n }}",
        "kubectl.kubernetes.io/last-applied-configuration": '{"message": "{{ a }}"}',
    }
    suspicious = built(obj).suspicious
    assert set(suspicious) == {"spec.message", "spec.list[0].x", 'metadata.annotations["my.io/note"]'}
    assert built(obj, mark_unsafe=False).suspicious == ()


def test_a_flood_of_templates_is_named_in_part() -> None:
    assert len(built(echo({f"k{n}": "{{" for n in range(100)})).suspicious) == 20


def test_keywords_pass_and_are_named() -> None:
    variables = built(echo({"name": "n", "port": 1, "noLog": True, "image": "i"}))
    assert variables.reserved == ("name", "no_log", "port")
    assert variables.values["port"] == 1


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("ansible_python_interpreter", "ansible_python_interpreter"),
        ("ansiblePythonInterpreter", "ansible_python_interpreter"),
        ("ansible_operator_meta", "ansible_operator_meta"),
        ("hostvars", "hostvars"),
        ("inventoryHostname", "inventory_hostname"),
        ("group-names", "group_names"),
    ],
)
def test_keys_that_steer_ansible_are_refused(key: str, name: str) -> None:
    """Extra variables have the highest precedence; marking the value does not help (an interpreter is a plain string)."""
    with pytest.raises(BadParameters) as caught:
        built(echo({key: "x"}))
    error = caught.value
    assert (error.key, error.remedy) == (key, "rename the field or nest it in another one")
    assert name in str(error)
    assert error.field == f"spec.{key}"


def test_nested_keys_may_be_called_anything_but_a_marker() -> None:
    assert built(echo({"inner": {"ansible_host": 1, "hostvars": 2}})).values["inner"] == {
        "ansible_host": 1,
        "hostvars": 2,
    }


@pytest.mark.parametrize(
    ("obj", "field"),
    [
        (echo({"a": {"__ansible_unsafe": "x"}}), "spec.a.__ansible_unsafe"),
        (echo({"a": [{"__ansible_vault": "x"}]}), "spec.a[0].__ansible_vault"),
        (echo({"a": {"__ansible type": "x"}}), 'spec.a["__ansible type"]'),
        (echo({"__ansible_foo": 1}), "spec.__ansible_foo"),
        (echo({}, status={"__ansible_vault": "x"}), "status.__ansible_vault"),
        ({**echo({}), "metadata": {"labels": {"__ansible_x": "y"}}}, "metadata.labels.__ansible_x"),
    ],
)
def test_markers_of_ansibles_json_reader_are_refused_at_any_depth(obj: dict[str, Any], field: str) -> None:
    """`{"__ansible_vault": ...}` from a resource would make a variable that fails wherever it is used."""
    with pytest.raises(BadParameters) as caught:
        built(obj)
    assert caught.value.field == field


def test_ordinary_annotations_pass() -> None:
    obj = echo({})
    obj["metadata"]["annotations"] = {"ansible.sdk.operatorframework.io/verbosity": "5", "ansible_foo": "x"}
    assert "_mmontes_io_echo" in built(obj).values


def test_two_keys_that_become_one_are_refused() -> None:
    """The Go runtime takes either, at random."""
    with pytest.raises(BadParameters, match="'fooBar' and 'foo_bar' both become the variable foo_bar"):
        built(echo({"fooBar": 1, "foo_bar": 2}))
    with pytest.raises(BadParameters, match=r"spec\.deep\.a-b"):
        built(echo({"deep": {"a_b": 1, "a-b": 2}}))
    assert built(echo({"fooBar": 1, "foo_bar": 2}), snake_case=False).values["fooBar"] == 1


@pytest.mark.parametrize("spec", [{"": 1}, {"  ": 1}, {"a": {"": 1}}])
def test_empty_keys_are_refused(spec: dict[str, Any]) -> None:
    """They crash the Go runtime."""
    with pytest.raises(BadParameters, match="empty key"):
        built(echo(spec))


@pytest.mark.parametrize("mark_unsafe", [True, False])
@pytest.mark.parametrize("spec", [{"a": "x\ud800"}, {"a": {"k\udfff": 1}}])
def test_half_surrogates_are_refused(spec: dict[str, Any], mark_unsafe: bool) -> None:
    """Ansible would take the variables for YAML and fail on a file that nobody wrote."""
    with pytest.raises(BadParameters) as caught:
        built(echo(spec), mark_unsafe=mark_unsafe)
    str(caught.value).encode()
    caught.value.key.encode()


def test_a_bottomless_object_is_refused_without_recursion_error() -> None:
    spec: dict[str, Any] = {}
    inner = spec
    for _ in range(5000):
        inner["a"] = {}
        inner = inner["a"]
    with pytest.raises(BadParameters, match="levels deep"):
        built(echo(spec))


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(BadParameters) as caught:
        built(echo({"ansible_host": 1, "": 2, "hostvars": 3}))
    assert {problem.field for problem in caught.value.problems} == {"spec.ansible_host", "spec", "spec.hostvars"}
    assert len(str(caught.value).splitlines()) == 3


def test_a_big_object_goes_through_as_json() -> None:
    variables = built(echo({f"key{n}": "x" * 1000 for n in range(1000)}))
    assert len(json.dumps(variables.values)) > 2_000_000
