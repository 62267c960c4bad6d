"""Watches, resources, manifests, images and molecule of a project: each fault with its line, and what is nearly one."""

from pathlib import Path

import pytest

from doctor_rig import found, write
from runner.doctor.project import ProjectError, open_project

TASKS = "roles/memcached/tasks/main.yml"
CRD = "config/crd/bases/memcached.yaml"
MANAGER = "config/manager/manager.yaml"

# watches.yaml


def test_problems_of_watches_are_told_with_their_line(tmp_path: Path) -> None:
    text = """
    ---
    - group: a.example.com
      version: v1
      kind: A
      role: memcached
      markUnsafe: true
    - group: b.example.com
      version: v1
      kind: B
      role: nowhere
      markUnsafe: true
      finalizer:
        role: memcached
    """
    assert found(tmp_path, {"watches.yaml": text}) == [
        ("watches.yaml", 10, "watches", "error"),
        ("watches.yaml", 12, "watches", "error"),
    ]


def test_unknown_keys_are_told_with_their_line(tmp_path: Path) -> None:
    text = "- group: a\n  version: v1\n  kind: A\n  role: memcached\n  markUnsafe: true\n  maxWorkers: 5\n"
    assert found(tmp_path, {"watches.yaml": text}) == [("watches.yaml", 6, "watches-key", "change")]


def test_a_project_within_the_project_is_one_for_itself(tmp_path: Path) -> None:
    """Its roles and playbooks are not looked up from here."""
    other = "- {group: g, version: v1, kind: Other, playbook: playbooks/other.yml, markUnsafe: true}\n"
    files = {"examples/other/watches.yaml": other, "examples/other/playbooks/other.yml": "- hosts: [\n"}
    assert found(tmp_path, files) == []


def test_broken_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    assert found(tmp_path, {"watches.yaml": "- a: 1\n- b: [\n"}) == [("watches.yaml", 3, "watches", "error")]


def test_paths_of_the_image_and_roles_of_collections_are_found(tmp_path: Path) -> None:
    text = """
    - {version: v1, kind: A, role: /opt/ansible/roles/memcached, markUnsafe: true}
    - {version: v1, kind: B, playbook: "${HOME}/playbooks/b.yml", markUnsafe: true}
    - {version: v1, kind: C, role: community.general.c, markUnsafe: true}
    """
    files = {
        "watches.yaml": text,
        "playbooks/b.yml": "- hosts: localhost\n  tasks: []\n",
        "requirements.yml": "collections: [community.general]\n",
    }
    assert found(tmp_path, files) == []


def test_keys_that_mean_something_else_are_told(tmp_path: Path) -> None:
    text = """
    - version: v1
      kind: A
      role: memcached
      markUnsafe: true
      reconcilePeriod: 0s
    - version: v1
      kind: $KIND
      role: memcached
      markUnsafe: true
      reconcilePeriod: 10m
    """
    assert found(tmp_path, {"watches.yaml": text}) == [
        ("watches.yaml", 5, "watches-period", "info"),
        ("watches.yaml", 7, "watches-variable", "change"),
    ]


# text and names of resources

SAMPLE = "apiVersion: cache.example.com/v1\nkind: Memcached\nmetadata: {name: x}\nspec:\n  text: '{{ lookup(x) }}'\n"


def test_templates_in_resources_are_told_where_text_is_data(tmp_path: Path) -> None:
    assert found(tmp_path, {"config/samples/memcached.yaml": SAMPLE}) == [
        ("config/samples/memcached.yaml", 5, "resource-text-template", "change")
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"config/samples/memcached.yaml": SAMPLE.replace("{{ lookup(x) }}", "braces { and } alone")},
        {"config/samples/memcached.yaml": SAMPLE.replace("kind: Memcached", "kind: Other")},
        {"molecule/default/cr.yaml": SAMPLE},
        {
            "config/samples/memcached.yaml": SAMPLE,
            "watches.yaml": "- {group: cache.example.com, version: v1, kind: Memcached, role: memcached, markUnsafe: false}\n",
        },
    ],
)
def test_other_text_and_watches_that_render_it_are_not(tmp_path: Path, files: dict[str, str]) -> None:
    assert found(tmp_path, files) == []


def test_a_watch_that_leaves_it_open_is_told_that_text_is_data(tmp_path: Path) -> None:
    text = "- version: v1\n  kind: A\n  role: memcached\n"
    assert found(tmp_path, {"watches.yaml": text}) == [("watches.yaml", 1, "resource-text", "info")]


@pytest.mark.parametrize(("path", "rules"), [("config/manager/patch.yaml", []), ("library/x.py", ["resource-text"])])
def test_the_switch_for_all_watches_counts_where_the_operator_is_started(
    tmp_path: Path, path: str, rules: list[str]
) -> None:
    files = {"watches.yaml": "- version: v1\n  kind: A\n  role: memcached\n", path: "x = ['--mark-unsafe=false']\n"}
    assert [line[2] for line in found(tmp_path, files)] == rules


def crd(properties: str) -> str:
    return (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec:\n  group: cache.example.com\n"
        "  names: {kind: Memcached}\n  versions:\n    - name: v1\n      schema:\n        openAPIV3Schema:\n"
        "          properties:\n            spec:\n              properties:\n"
        + "".join(f"                {line}\n" for line in properties.splitlines())
    )


def test_fields_with_names_of_ansible_are_told(tmp_path: Path) -> None:
    fields = "size: {type: integer}\nansiblePort: {type: integer}\nhostvars: {}\nnoLog: {}\nnested: {properties: {groups: {}}}\n"
    assert found(tmp_path, {CRD: crd(fields)}) == [
        (CRD, 14, "resource-field-refused", "error"),
        (CRD, 15, "resource-field-refused", "error"),
        (CRD, 16, "resource-field-reserved", "info"),
    ]


def test_a_template_as_default_of_a_field_is_told(tmp_path: Path) -> None:
    fields = "plain: {type: string, default: x}\ndeep: {type: object, properties: {text: {default: '{{ x }}'}}}\n"
    assert found(tmp_path, {CRD: crd(fields)}) == [(CRD, 14, "resource-text-template", "change")]


def test_reserved_names_of_variables_are_good_to_know(tmp_path: Path) -> None:
    files = {
        "roles/memcached/defaults/main.yml": "size: 1\nnamespace: x\n",
        TASKS: "- command: x\n  register: hostvars\n- set_fact: {no_logs: 1}\n  vars: {vars_of_it: 1}\n",
    }
    assert found(tmp_path, files) == [
        ("roles/memcached/defaults/main.yml", 2, "variable-reserved", "info"),
        (TASKS, 2, "variable-reserved", "info"),
    ]


# what the operator treats differently


def test_addresses_of_the_go_runtime_are_told(tmp_path: Path) -> None:
    tasks = """
    - uri: {url: "http://localhost:8888/api"}
    - uri: {url: "http://127.0.0.1:5050/metrics"}
    - uri: {url: "http://localhost:8889/api"}
    # http://localhost:8888
    - file: {path: /tmp/ansible-operator/runner/x}
    """
    assert found(tmp_path, {TASKS: tasks}) == [
        (TASKS, 1, "proxy-address", "error"),
        (TASKS, 2, "metrics-address", "change"),
        (TASKS, 5, "run-directory", "change"),
    ]


def test_a_task_that_nobody_waits_for_is_told(tmp_path: Path) -> None:
    tasks = "- command: sleep 9\n  async: 10\n  poll: 0\n"
    assert found(tmp_path, {TASKS: tasks}) == [(TASKS, 3, "task-detached", "change")]
    assert found(tmp_path, {TASKS: tasks + "- async_status: {jid: 1}\n"}) == []
    assert found(tmp_path, {TASKS: tasks.replace("poll: 0", "poll: 5")}) == []


# manifests


def manager(args: str, env: str = "[]", name: str = "manager") -> str:
    return (
        "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n"
        f"        - name: {name}\n          env: {env}\n          args:\n"
        + "".join(f"            - {arg}\n" for arg in args.split())
    )


def test_flags_that_the_operator_does_not_know_are_told(tmp_path: Path) -> None:
    text = manager("--leader-elect --metrics-addr=:8443 --config=x.yaml --reconcile-period=0s --zap-colour=red")
    assert found(tmp_path, {MANAGER: text}) == [
        (MANAGER, 12, "flag-unknown", "error"),
        (MANAGER, 14, "flag-unknown", "error"),
    ]


def test_flags_that_are_taken_and_do_nothing_are_good_to_know(tmp_path: Path) -> None:
    assert found(tmp_path, {MANAGER: manager("--enable-http2=false --zap-log-level=info")}) == [
        (MANAGER, 10, "flag-without-effect", "info"),
    ]


def test_other_containers_have_flags_of_their_own(tmp_path: Path) -> None:
    assert found(tmp_path, {MANAGER: manager("--upstream=x", name="kube-rbac-proxy")}) == []


def test_flags_of_the_entrypoint_count_too(tmp_path: Path) -> None:
    text = 'FROM x-ansible-operator\nENTRYPOINT ["/tini", "--", "/usr/local/bin/ansible-operator", "run", "--colour=red"]\n'
    assert found(tmp_path, {"Dockerfile": text}) == [("Dockerfile", 2, "flag-unknown", "error")]


def test_variables_that_roles_do_not_get_are_told(tmp_path: Path) -> None:
    env = "[{name: K8S_AUTH_HOST, value: x}, {name: RELATED_IMAGE_X, value: y}, {name: KUBECONFIG, value: z}]"
    assert found(tmp_path, {MANAGER: manager("--leader-elect", env)}) == [(MANAGER, 8, "variable-kept", "change")]


def test_settings_by_variable_are_told_as_in_ansible_cfg(tmp_path: Path) -> None:
    env = "[{name: ANSIBLE_COLLECTIONS_PATHS, value: x}, {name: ANSIBLE_COLLECTIONS_PATH, value: x}]"
    docker = "FROM x-ansible-operator\nENV ANSIBLE_JINJA2_NATIVE=true ANSIBLE_ROLES_PATH=roles\n"
    assert found(tmp_path, {MANAGER: manager("--leader-elect", env), "Dockerfile": docker}) == [
        ("Dockerfile", 2, "setting-gone", "change"),
        (MANAGER, 8, "setting-gone", "error"),
    ]


# Dockerfile


def test_lines_that_cannot_work_on_the_image_are_told(tmp_path: Path) -> None:
    text = """
    FROM golang:1.24 AS build
    RUN yum install -y git
    FROM quay.io/operator-framework/ansible-operator:v1.42.3
    USER root
    # RUN dnf install -y nothing
    RUN echo first \\
     && dnf install -y git
    RUN pip3 install --no-cache ansible-core==2.18.1 jmespath
    USER jenkins
    """
    assert found(tmp_path, {"Dockerfile": text}) == [
        ("Dockerfile", 3, "image-base", "error"),
        ("Dockerfile", 6, "image-packages", "error"),
        ("Dockerfile", 8, "image-pip", "error"),
        ("Dockerfile", 9, "image-user", "error"),
    ]


def test_lines_that_work_on_it_are_not(tmp_path: Path) -> None:
    text = """
    ARG BASE=example.com/ansible-operator:1
    FROM ${BASE}
    USER 0
    RUN apt-get update && apt-get install -y git && useradd jenkins
    RUN pip install kubernetes-validate ansible-runner-http
    COPY requirements.yml ${HOME}/requirements.yml
    RUN ansible-galaxy collection install -r ${HOME}/requirements.yml && chmod -R ug+rwx ${HOME}/.ansible
    COPY roles/ /opt/ansible/roles/
    USER jenkins
    USER ${USER_UID}
    USER ansible:0
    """
    assert found(tmp_path, {"Dockerfile": text}) == []


def test_an_image_that_is_named_outside_counts_where_watches_are_copied(tmp_path: Path) -> None:
    text = "ARG BASE\nFROM ${BASE}\nRUN yum install -y git\n"
    assert found(tmp_path, {"Dockerfile": text}) == []
    assert found(tmp_path, {"Dockerfile": text + "COPY watches.yaml /opt/ansible/\n"}) == [
        ("Dockerfile", 3, "image-packages", "error")
    ]


# molecule


def test_the_driver_that_molecule_has_renamed_is_told(tmp_path: Path) -> None:
    path = "molecule/default/molecule.yml"
    assert found(tmp_path, {path: "driver:\n  name: delegated\n"}) == [(path, 2, "molecule-driver", "error")]
    assert found(tmp_path, {path: "driver:\n  name: default\n"}) == []


# the project as a whole


def test_a_directory_that_is_no_project_names_itself_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(ProjectError, match=r"neither watches\.yaml nor roles/; name the directory"):
        open_project(tmp_path)
    with pytest.raises(ProjectError, match="no such directory"):
        open_project(tmp_path / "none")


def test_what_is_installed_or_belongs_to_other_programs_is_not_read(tmp_path: Path) -> None:
    bad = "- debug: {}\n  when: 1\n"
    files = {f"{place}/roles/x/tasks/main.yml": bad for place in (".git", ".venv", "tests", "vendor", "node_modules")}
    assert set(write(tmp_path, files).texts) == {"watches.yaml", TASKS}


def test_a_file_that_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"roles/memcached/tasks/more.yml": "- debug: {}\n- [\n", TASKS: "- debug: {}\n  when: 1\n"})
    (tmp_path / "roles/memcached/defaults").mkdir()
    (tmp_path / "roles/memcached/defaults/main.yml").write_bytes(b"\xff\xfe")
    assert found(
        tmp_path, {"roles/memcached/tasks/more.yml": "- debug: {}\n- [\n", TASKS: "- debug: {}\n  when: 1\n"}
    ) == [
        ("roles/memcached/defaults/main.yml", 1, "not-read", "info"),
        (TASKS, 2, "conditional-not-text", "error"),
        ("roles/memcached/tasks/more.yml", 3, "not-read", "info"),
    ]


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))


@pytest.mark.parametrize("text", ["&a\n- *a\n", BOMB, f"- {'[' * 3000}{']' * 3000}\n"])
def test_files_that_are_made_to_exhaust_a_reader_stop_nothing(tmp_path: Path, text: str) -> None:
    for path in (TASKS, "watches.yaml", "requirements.yml", "library/x.py"):
        assert all(line[2] in {"not-read", "plugin-syntax", "watches"} for line in found(tmp_path, {path: text}))


def test_an_expression_that_is_nested_too_deeply_is_left_alone(tmp_path: Path) -> None:
    assert found(tmp_path, {TASKS: f"- debug: {{}}\n  when: {'(' * 3000}x{')' * 3000}\n"}) == []
