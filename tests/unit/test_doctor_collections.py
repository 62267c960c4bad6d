"""Collections: used and there, used and missing, installed over the operator's own."""

from pathlib import Path

import pytest

from doctor_rig import all_of, found

TASKS = "roles/memcached/tasks/main.yml"
PLAY = "playbooks/memcached.yml"


@pytest.mark.parametrize(
    ("tasks", "line"),
    [
        ("- debug: {}\n- community.general.ini_file: {path: x}\n", 2),
        ("- debug: {}\n- docker_container: {name: x}\n", 2),
        ("- debug:\n    msg: \"{{ x | community.general.json_query('y') }}\"\n", 2),
        ("- debug: {}\n  when: x is community.general.a_module\n", 2),
        ("- debug:\n    msg: \"{{ lookup('community.general.dig', 'y') }}\"\n", 2),
        ("- debug: {}\n- include_role: {name: community.general.tasks}\n", 2),
        ("- block:\n    - community.general.ini_file: {path: x}\n", 2),
    ],
)
def test_a_collection_that_nobody_installs_is_reported_where_it_is_used(tmp_path: Path, tasks: str, line: int) -> None:
    assert found(tmp_path, {TASKS: tasks}) == [(TASKS, line, "collection-missing", "error")]


def test_the_collections_keyword_counts_too(tmp_path: Path) -> None:
    play = "- hosts: localhost\n  collections:\n    - kubernetes.core\n    - community.okd\n  tasks: []\n"
    assert found(tmp_path, {PLAY: play}) == [(PLAY, 4, "collection-missing", "error")]


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.yml": "collections:\n  - name: community.general\n    version: 9.0.0\n"},
        {"requirements.yml": "collections: [community.general]\n"},
        {"requirements.yml": "collections:\n  - name: https://example.com/some/repository.git\n    type: git\n"},
        {
            "Dockerfile": "FROM base-ansible-operator\nRUN ansible-galaxy collection install \\\n  community.general:9.0.0\n"
        },
        {"collections/ansible_collections/community/general/galaxy.yml": "name: general\n"},
    ],
)
def test_what_is_installed_is_not_reported(tmp_path: Path, files: dict[str, str]) -> None:
    assert found(tmp_path, {TASKS: "- community.general.ini_file: {path: x}\n", **files}) == []


@pytest.mark.parametrize(
    "tasks",
    [
        "- kubernetes.core.k8s: {}\n- operator_sdk.util.k8s_status: {}\n- ansible.builtin.copy: {dest: x}\n",
        "- k8s: {}\n- k8s_info: {}\n- copy: {dest: x}\n",
        "- debug: {msg: '{{ some.member.of_it }} and some.text.with_dots'}\n",
        "- our_own: {}\n",
    ],
)
def test_what_comes_with_the_operator_or_the_project_is_not_reported(tmp_path: Path, tasks: str) -> None:
    assert found(tmp_path, {TASKS: tasks, "library/our_own.py": "import os\n"}) == []


def test_molecule_brings_its_own_collections(tmp_path: Path) -> None:
    play = "- hosts: localhost\n  tasks:\n    - community.general.ini_file: {path: x}\n"
    assert found(tmp_path, {"molecule/default/converge.yml": play}) == []


def test_entries_that_replace_what_the_operator_brings_are_told(tmp_path: Path) -> None:
    text = """
    collections:
      - name: operator_sdk.util
        version: "0.5.0"
      - name: kubernetes.core
        version: "3.2.0"
      - name: cloud.common
        version: "3.0.0"
      - name: community.docker
        version: "3.12.1"
    """
    assert found(tmp_path, {"requirements.yml": text}) == [
        ("requirements.yml", 2, "collection-own", "info"),
        ("requirements.yml", 4, "collection-version", "change"),
        ("requirements.yml", 6, "collection-turbo", "info"),
    ]


def test_the_shipped_version_is_looked_up(tmp_path: Path) -> None:
    pinned = "collections:\n  - {name: kubernetes.core, version: 3.2.0}\n"
    (finding,) = all_of(tmp_path, {"requirements.yml": pinned})
    shipped = finding.what.split("replaces the ")[1].split()[0]
    assert shipped[0].isdigit()
    assert found(tmp_path, {"requirements.yml": pinned.replace("3.2.0", shipped)}) == []


def test_a_module_that_ansible_core_has_removed_is_reported(tmp_path: Path) -> None:
    assert found(tmp_path, {TASKS: "- debug: {}\n- include: more.yml\n"}) == [(TASKS, 2, "module-removed", "error")]
    assert found(tmp_path, {TASKS: "- debug: {}\n- include_tasks: more.yml\n"}) == []
