"""Conditions that stop working with ansible-core 2.19: what is reported, on which line, and what is not."""

from pathlib import Path

import pytest

from doctor_rig import all_of, found

TASKS = "roles/memcached/tasks/main.yml"
DEFAULTS = "roles/memcached/defaults/main.yml"

VARIABLES = """
name_of_it: memcached
size: 3
flag: true
words: "true"
empty:
names: [a, b]
options: {tls: false, cipher: ""}
computed: "{{ names | length > 1 }}"
joined: "{{ names | join(',') }}"
"""
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: cache.example.com
  names: {kind: Memcached}
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          properties:
            spec:
              properties:
                imageName: {type: string}
                useTLS: {type: boolean}
                anything: {}
"""


def tasks_with(condition: str, keyword: str = "when") -> str:
    return f"""
- name: look
  kubernetes.core.k8s_info: {{kind: Pod}}
  register: pods
- name: ask
  command: uptime
  register: answer
- name: act
  debug: {{msg: x}}
  {keyword}: {condition}
"""


def judged(root: Path, condition: str, keyword: str = "when") -> list[tuple[str, int, str, str]]:
    files = {TASKS: tasks_with(condition, keyword), DEFAULTS: VARIABLES, "config/crd/bases/memcached.yaml": CRD}
    return [line for line in found(root, files) if line[2].startswith("conditional")]


@pytest.mark.parametrize(
    "condition",
    [
        "names | length",
        "name_of_it",
        "size",
        "words",
        "empty",
        "names",
        "options",
        "options.cipher",
        "joined",
        "pods",
        "pods.resources",
        "pods.resources | length",
        "answer.stdout",
        "answer['rc']",
        "unheard_of | default('')",
        "unheard_of | default([])",
        "unheard_of is defined and unheard_of | length",
        "flag and name_of_it",
        "flag or name_of_it",
        "name_of_it and flag",
        "name_of_it if flag else flag",
        "lookup('env', 'HOME')",
        "name_of_it | regex_search('mem')",
        "name_of_it.split('-')",
        "size + 1",
        "name_of_it ~ 'd'",
        '"[flag]"',
        "flag | ternary('a', 'b')",
        "image_name",
        "_cache_example_com_memcached_spec.imageName",
        "ansible_operator_meta.name",
        "inventory_hostname",
        '"{{ names | length }}"',
        '"{{ size }}"',
    ],
)
def test_what_gives_no_boolean_is_an_error_on_its_line(tmp_path: Path, condition: str) -> None:
    assert judged(tmp_path, condition) == [(TASKS, 9, "conditional-not-boolean", "error")]


@pytest.mark.parametrize(
    "condition",
    [
        "names | length > 0",
        "flag",
        "not name_of_it",
        "name_of_it is defined",
        "size == 3",
        "words | bool",
        "options.tls",
        "options.unknown",
        "computed",
        "pods is changed",
        "pods.failed",
        "pods.resources[0].status.ready",
        "'x' in answer.stdout",
        "answer.stdout.startswith('x')",
        "unheard_of",
        "unheard_of | default(false)",
        "unheard_of | default(flag)",
        "flag | default('')",
        "unheard_of | default({}) == {}",
        "(unheard_of | default({})).member",
        "unheard_of | from_json",
        "unheard_of | our_own_filter",
        "lookup('vars', 'flag')",
        "item",
        "use_tls",
        "anything",
        "not answer.stdout or (answer.stdout and answer.stdout != 'x')",
        "flag if size > 1 else false",
        "true",
        '"{{ flag }}"',
        '"{{ unheard_of }}"',
        "\"name_of_it == '{{ size }}'\"",
    ],
)
def test_what_gives_or_may_give_a_boolean_is_not_reported(tmp_path: Path, condition: str) -> None:
    assert judged(tmp_path, condition) == []


@pytest.mark.parametrize("keyword", ["when", "until", "failed_when", "changed_when"])
def test_every_keyword_and_each_member_of_a_list_is_judged(tmp_path: Path, keyword: str) -> None:
    assert judged(tmp_path, "[flag, size]", keyword) == [(TASKS, 9, "conditional-not-boolean", "error")]


def test_assert_loop_control_and_blocks_are_judged_too(tmp_path: Path) -> None:
    tasks = """
    - block:
        - ansible.builtin.assert:
            that:
              - names | length
              - names | length == 2
        - debug: {msg: x}
          loop: [1]
          loop_control:
            break_when: names
      when: name_of_it
    """
    assert found(tmp_path, {TASKS: tasks, DEFAULTS: VARIABLES}) == [
        (TASKS, 4, "conditional-not-boolean", "error"),
        (TASKS, 9, "conditional-not-boolean", "error"),
        (TASKS, 10, "conditional-not-boolean", "error"),
    ]


def test_roles_of_a_play_and_dependencies_of_a_role_are_judged(tmp_path: Path) -> None:
    files = {
        "playbooks/memcached.yml": "- hosts: localhost\n  roles:\n    - {role: memcached, when: inventory_hostname}\n",
        "roles/memcached/meta/main.yml": "dependencies:\n  - role: other\n    when: role_name\n",
    }
    assert found(tmp_path, files) == [
        ("playbooks/memcached.yml", 3, "conditional-not-boolean", "error"),
        ("roles/memcached/meta/main.yml", 3, "conditional-not-boolean", "error"),
    ]


@pytest.mark.parametrize("condition", ["", "''", "1", "{answer.stdout == 'a': b}"])
def test_a_condition_that_is_no_text_is_an_error(tmp_path: Path, condition: str) -> None:
    assert [line[2] for line in judged(tmp_path, condition)] == ["conditional-not-text"]


@pytest.mark.parametrize("condition", ['"{{ size }} == 3"', '"size == {{ size }}"'])
def test_a_template_inside_an_expression_is_an_error(tmp_path: Path, condition: str) -> None:
    assert judged(tmp_path, condition) == [(TASKS, 9, "conditional-template", "error")]


def test_text_of_a_resource_as_an_expression_is_an_error(tmp_path: Path) -> None:
    assert judged(tmp_path, '"{{ image_name }}"') == [(TASKS, 9, "conditional-from-resource", "error")]


def test_a_name_that_is_set_to_different_kinds_is_not_reported(tmp_path: Path) -> None:
    tasks = "- set_fact: {name_of_it: false}\n- debug: {msg: x}\n  when: name_of_it\n"
    assert found(tmp_path, {TASKS: tasks, DEFAULTS: VARIABLES}) == []


def test_where_such_conditions_are_allowed_it_is_good_to_know_only(tmp_path: Path) -> None:
    files = {
        TASKS: tasks_with("size"),
        DEFAULTS: VARIABLES,
        "ansible.cfg": "[defaults]\nallow_broken_conditionals = True\n",
    }
    assert found(tmp_path, files) == [(TASKS, 9, "conditional-not-boolean", "info")]


def test_the_finding_says_what_it_gives_and_what_to_write(tmp_path: Path) -> None:
    (finding,) = all_of(tmp_path, {TASKS: tasks_with("names | length"), DEFAULTS: VARIABLES})
    assert finding.what == (
        "`when: names | length` gives a number, and ansible-core 2.19 and later fail on what is no boolean"
    )
    assert finding.remedy == "compare it, as in `> 0`"
