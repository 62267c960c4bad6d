"""What doctor says of conditions is what the ansible-core that is installed does with them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from doctor_rig import found

VARIABLES = """
name_of_it: memcached
size: 3
flag: true
words: "true"
empty:
names: [a, b]
options: {tls: false}
computed: "{{ names | length > 1 }}"
joined: "{{ names | join(',') }}"
"""
FAIL = (
    "names | length", "name_of_it", "size", "words", "empty", "names", "options", "joined", "answer", "answer.stdout",
    "answer.rc", "unheard_of | default('')", "flag and name_of_it", "name_of_it or flag", "lookup('env', 'HOME')",
    "name_of_it | regex_search('mem')", "name_of_it.split('-')", "size + 1", "name_of_it ~ 'd'",
    "flag | ternary('a', 'b')", "inventory_hostname", "names | map('upper')", "query('env', 'HOME')", "{{ size }}",
    "{{ size }} == 3", "", 2,
)  # fmt: skip
WORK = (
    "names | length > 0", "flag", "not name_of_it", "words | bool", "options.tls", "computed", "answer is changed",
    "answer.failed", "'x' in answer.stdout", "answer.stdout.startswith('x')", "unheard_of | default(false)",
    "flag | default('')", "not answer.stdout or (answer.stdout and answer.stdout != 'x')", "{{ flag }}",
    "name_of_it == '{{ size }}'", True,
)  # fmt: skip


def task(number: int, condition: Any) -> str:
    when = json.dumps(condition)
    return f"- {{ansible.builtin.debug: {{msg: x}}, register: c{number}, ignore_errors: true, when: {when}}}\n"


@pytest.mark.ansible
def test_each_condition_that_is_reported_fails_and_no_other(tmp_path: Path) -> None:
    conditions = [*FAIL, *WORK]
    tasks = "- ansible.builtin.command: echo\n  register: answer\n" + "".join(
        task(number, condition) for number, condition in enumerate(conditions)
    )
    files = {"roles/memcached/tasks/main.yml": tasks, "roles/memcached/defaults/main.yml": VARIABLES}
    reported = {line - 3 for _, line, rule, severity in found(tmp_path, files) if rule.startswith("conditional")}
    assert {conditions[number] for number in reported} == set(FAIL)

    results = play(tmp_path, len(conditions))
    failed = {conditions[number] for number, result in results.items() if result.get("failed")}
    assert failed == set(FAIL)


def play(project: Path, count: int) -> dict[int, dict[str, Any]]:
    """Run the role; return each task's result."""
    out = project / "results.json"
    names = ", ".join(f"'{number}': c{number}" for number in range(count))
    (project / "play.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  roles: [memcached]\n  post_tasks:\n"
        f'    - ansible.builtin.copy: {{dest: {out}, content: "{{{{ {{{names}}} | to_json }}}}"}}\n'
    )
    subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "play.yml"],
        cwd=project,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false"},
        capture_output=True,
        check=True,
        timeout=110,
    )
    return {int(number): result for number, result in json.loads(out.read_text()).items()}
