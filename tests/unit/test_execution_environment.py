"""A run sees what its role expects, and nothing that leads past the gateway."""

from pathlib import Path

import pytest

from runner.execution import environment

OPERATOR = {
    "PATH": "/bin",
    "HOME": "/opt/ansible",
    "LC_ALL": "C.UTF-8",
    "RELATED_IMAGE_ECHO": "busybox",
    "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
    "KUBERNETES_SERVICE_PORT_HTTPS": "443",
    "KUBERNETES_PORT": "tcp://10.0.0.1:443",
    "KUBERNETES_PORT_443_TCP_ADDR": "10.0.0.1",
    "KUBECONFIG": "/home/user/.kube/config",
    "K8S_AUTH_API_KEY": "token",
    "K8S_AUTH_HOST": "https://10.0.0.1",
    "JOB_ID": "no number",
    "AD_HOC_COMMAND_ID": "1",
}


def test_all_but_the_deny_list_is_inherited() -> None:
    expected = {"PATH", "HOME", "LC_ALL", "RELATED_IMAGE_ECHO"}
    assert set(environment.inherit(OPERATOR)) == expected


@pytest.mark.parametrize(
    ("run_env", "expected"),
    [
        ((), {"PATH", "HOME", "LC_ALL"}),
        (("RELATED_IMAGE_ECHO", "ABSENT"), {"PATH", "HOME", "LC_ALL", "RELATED_IMAGE_ECHO"}),
        (("K8S_AUTH_API_KEY", "KUBECONFIG"), {"PATH", "HOME", "LC_ALL"}),
    ],
)
def test_run_env_is_an_allow_list_that_cannot_lift_the_deny_list(run_env: tuple[str, ...], expected: set[str]) -> None:
    assert set(environment.inherit(OPERATOR, run_env=run_env)) == expected


def completed(inherited: dict[str, str], **options: object) -> dict[str, str]:
    settings: dict[str, object] = {
        "kubeconfig": Path("/run/kubeconfig"),
        "tmp": Path("/run/tmp"),
        "collections": Path("/ours"),
        "installed_collections": "/theirs:/more",
        "roles": "/project/roles",
        "ansible_config": None,
    }
    return environment.complete(inherited, **{**settings, **options})  # type: ignore[arg-type]


def test_execution_adds_what_is_the_runs_own() -> None:
    added = completed({"A": "b", "NO_PROXY": "10.0.0.0/8, localhost", "ANSIBLE_CACHE_PLUGIN_CONNECTION": "/x"})
    assert added == {
        "A": "b",
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_COLLECTIONS_PATH": "/ours:/theirs:/more",
        "ANSIBLE_ROLES_PATH": "/project/roles",
        "ANSIBLE_LOCAL_TEMP": "/run/tmp/local",
        "ANSIBLE_REMOTE_TEMP": "/run/tmp/remote",
        "ANSIBLE_ASYNC_DIR": "/run/tmp/async",
        "ANSIBLE_CACHE_PLUGIN": "memory",
        "K8S_AUTH_KUBECONFIG": "/run/kubeconfig",
        "KUBECONFIG": "/run/kubeconfig",
        "MAX_EVENT_RES": "8388608",
        "NO_PROXY": "10.0.0.0/8,localhost,127.0.0.1",
        "no_proxy": "127.0.0.1,localhost",
        "TMPDIR": "/run/tmp",
    }
    assert completed({}, collections=None)["ANSIBLE_COLLECTIONS_PATH"] == "/theirs:/more"


@pytest.mark.parametrize(
    ("tmp", "inherited", "expected"),
    [
        ("/" + "x" * 74, "", "/" + "x" * 74),
        ("/" + "x" * 75, "/short", "/short"),
        ("/" + "x" * 75, "/" + "y" * 75, "/tmp"),
    ],
)
def test_temporary_files_go_where_a_sockets_path_is_short_enough(tmp: str, inherited: str, expected: str) -> None:
    """Ansible makes a socket there, and dies with an unrelated word when the path is too long."""
    variables = {"TMPDIR": inherited} if inherited else {}
    assert completed(variables, tmp=Path(tmp))["TMPDIR"] == expected


def test_the_projects_configuration_is_used_unless_one_is_named() -> None:
    config = Path("/project/ansible.cfg")
    assert completed({}, ansible_config=config)["ANSIBLE_CONFIG"] == "/project/ansible.cfg"
    assert completed({"ANSIBLE_CONFIG": "/x.cfg"}, ansible_config=config)["ANSIBLE_CONFIG"] == "/x.cfg"


def test_configuration_is_looked_for_where_ansible_looks() -> None:
    project = Path("/project")
    assert environment.config_candidates({"HOME": "/h"}, project=project) == [
        Path("/project/ansible.cfg"),
        Path("/h/.ansible.cfg"),
        Path("/etc/ansible/ansible.cfg"),
    ]
    assert environment.config_candidates({"ANSIBLE_CONFIG": "/c"}, project=project) == [
        Path("/c/ansible.cfg"),
        Path("/c"),
    ]


@pytest.mark.parametrize(
    ("variables", "config", "expected"),
    [
        ({}, "", "~/.ansible/collections:/usr/share/ansible/collections"),
        ({"ANSIBLE_HOME": "/a"}, "", "/a/collections:/usr/share/ansible/collections"),
        ({"ANSIBLE_COLLECTIONS_PATH": "/x:rel"}, "[defaults]\ncollections_path=/no\n", "/x:/project/rel"),
        ({}, "[defaults]\ncollections_path = ./c:/d:~/e ; why\n", "/etc/c:/d:~/e"),
        ({}, "[other]\ncollections_path = /c\n", "~/.ansible/collections:/usr/share/ansible/collections"),
        ({}, "no section = 1\n", "~/.ansible/collections:/usr/share/ansible/collections"),
        ({}, "[defaults]\nx = 100%\ncollections_path = /c\n", "/c"),
    ],
)
def test_our_collections_do_not_hide_the_projects(variables: dict[str, str], config: str, expected: str) -> None:
    """Setting the variable overrides ansible.cfg, so what that says must be carried over."""
    path = environment.collections_path(
        variables, project=Path("/project"), config=config, config_directory=Path("/etc")
    )
    assert path == expected


@pytest.mark.parametrize(
    ("inherited", "config", "expected"),
    [
        ({}, "", "/project/roles:~/.ansible/roles:/usr/share/ansible/roles:/etc/ansible/roles"),
        ({"ANSIBLE_HOME": "/h"}, "", "/project/roles:/h/roles:/usr/share/ansible/roles:/etc/ansible/roles"),
        ({"ANSIBLE_ROLES_PATH": "/x:rel"}, "[defaults]\nroles_path=/no\n", "/x:/project/rel:/project/roles"),
        ({}, "[defaults]\nroles_path = ./r:~/e\n", "/etc/r:~/e:/project/roles"),
        ({"ANSIBLE_ROLES_PATH": "/x:/project/roles"}, "", "/x:/project/roles"),
        ({}, "no ini", "/project/roles:~/.ansible/roles:/usr/share/ansible/roles:/etc/ansible/roles"),
    ],
)
def test_playbooks_find_the_roles_of_the_project(inherited: dict[str, str], config: str, expected: str) -> None:
    """Ansible looks beside a playbook only, and playbooks/ is not where roles/ is; what is set up comes first."""
    path = environment.roles_path(inherited, project=Path("/project"), config=config, config_directory=Path("/etc"))
    assert path == expected
