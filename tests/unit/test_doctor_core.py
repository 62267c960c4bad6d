"""What ansible-core removed or changed from 2.18 to 2.21: each fault with its line, and what is nearly one."""

from pathlib import Path

import pytest

from doctor_rig import found

TASKS = "roles/memcached/tasks/main.yml"
DEFAULTS = "roles/memcached/defaults/main.yml"

FAULTS = {
    "option-removed": "- ansible.builtin.yum_repository:\n    name: x\n    keepcache: '1'\n",
    "option-list": "- include_vars:\n    dir: vars\n    extensions: yml\n",
    "connection-removed": "- command: x\n  delegate_to: there\n  connection: paramiko\n",
    "set-fact-text": "- set_fact:\n    a: 1\n    b: 'yes'\n",
    "range-result": "- debug: {msg: x}\n  when: true\n  loop: '{{ range(0, 3) }}'\n",
    "text-not-data": "- set_fact:\n    a: 1\n    b: '[{{ one }}, {{ two }}]'\n",
    "lookup-unsafe": "- debug:\n    verbosity: 1\n    msg: \"{{ lookup('file', 'x', allow_unsafe=true) }}\"\n",
    "lookup-convert": "- debug:\n    verbosity: 1\n    msg: \"{{ lookup('template', 'x', convert_data=false) }}\"\n",
    "result-invocation": "- command: x\n  register: done\n- debug: {msg: '{{ done.invocation.module_args }}'}\n",
}
NEAR = {
    "option-removed": "- yum_repository: {name: x, description: keepcache}\n",
    "option-list": "- include_vars: {dir: vars, extensions: [yml]}\n",
    "connection-removed": "- {command: x, delegate_to: there, connection: ssh}\n- {command: x, connection: paramiko}\n",
    "set-fact-text": "- set_fact: {a: true, b: 'yes, please'}\n- debug: {msg: 'yes'}\n",
    "range-result": "- debug: {msg: x}\n  loop: '{{ range(0, 3) | list }}'\n",
    "text-not-data": "- set_fact: {a: '{{ [one, two] }}', b: '[{{ one }}] said', c: '[plain]'}\n",
    "lookup-unsafe": "- debug: {msg: \"{{ lookup('file', 'x') }} allow_unsafe=true\"}\n",
    "lookup-convert": "- debug: {msg: \"{{ lookup('template', 'x') | from_json }}\"}\n",
    "result-invocation": "- command: x\n  register: done\n- debug: {msg: '{{ done.stdout }}'}\n",
}
GRAVE = {"set-fact-text", "text-not-data", "lookup-unsafe", "lookup-convert"}


@pytest.mark.parametrize("rule", FAULTS)
def test_the_fault_is_reported_on_its_line(tmp_path: Path, rule: str) -> None:
    severity = "change" if rule in GRAVE else "error"
    assert found(tmp_path, {TASKS: FAULTS[rule]}) == [(TASKS, 3, rule, severity)]


@pytest.mark.parametrize("rule", NEAR)
def test_what_is_nearly_one_is_not(tmp_path: Path, rule: str) -> None:
    assert found(tmp_path, {TASKS: NEAR[rule]}) == []


def test_a_list_that_is_written_with_a_loop_in_its_text_is_reported_in_defaults(tmp_path: Path) -> None:
    text = "plain: 1\nnames: |\n  [{% for name in all %}'{{ name }}',{% endfor %}]\n"
    assert found(tmp_path, {DEFAULTS: text}) == [(DEFAULTS, 2, "text-not-data", "change")]


def test_settings_that_are_gone_are_reported_in_ansible_cfg(tmp_path: Path) -> None:
    text = """
    [defaults]
    roles_path = roles
    collections_paths = collections
    jinja2_native = true
    interpreter_python = auto_legacy_silent
    transport = smart
    collections_path = collections
    """
    assert found(tmp_path, {"ansible.cfg": text}) == [
        ("ansible.cfg", 3, "setting-gone", "error"),
        ("ansible.cfg", 4, "setting-gone", "change"),
        ("ansible.cfg", 5, "setting-gone", "error"),
        ("ansible.cfg", 6, "setting-gone", "error"),
    ]


def test_imports_that_ansible_core_no_longer_has_are_reported(tmp_path: Path) -> None:
    plugin = """
    import json
    from ansible.module_utils.basic import AnsibleModule, datetime
    from ansible.utils.native_jinja import NativeJinjaText
    from ansible.module_utils.compat import version
    from ansible.errors import AnsibleFilterError
    """
    path = "roles/memcached/filter_plugins/ours.py"
    assert found(tmp_path, {path: plugin, "scripts/tool.py": "import ansible.nowhere\n"}) == [
        (path, 2, "import-removed", "error"),
        (path, 3, "import-removed", "error"),
    ]


def test_a_plugin_that_is_no_python_is_reported(tmp_path: Path) -> None:
    path = "library/old.py"
    assert found(tmp_path, {path: "import os\nprint 'x'\n"}) == [(path, 2, "plugin-syntax", "error")]
