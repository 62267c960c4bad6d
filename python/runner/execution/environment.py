"""The environment a run gets (pure).

Existing roles read the operator's variables (`lookup('env', 'RELATED_IMAGE_...')`), so a run inherits them, less what
would lead it round the gateway to the cluster, and less what would make ansible-runner misbehave.
"""

import configparser
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["collections_path", "complete", "config_candidates", "inherit", "roles_path"]

_DENIED = frozenset({
    "KUBECONFIG", "KUBERNETES_PORT", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
    "KUBERNETES_SERVICE_PORT_HTTPS",
    # ansible-runner and its callback change what they do when they see these.
    "AD_HOC_COMMAND_ID", "AWX_ISOLATED_DATA_DIR", "AWX_LIB_DIRECTORY", "JOB_ID", "MAX_EVENT_RES",
    "ORIGINAL_STDOUT_CALLBACK", "PROJECT_UPDATE_ID", "RUNNER_OMIT_EVENTS", "RUNNER_ONLY_FAILED_EVENTS",
})  # fmt: skip
_DENIED_PREFIXES = ("K8S_AUTH_", "KUBERNETES_PORT_", "KUBERNETES_SERVICE_PORT_", "ANSIBLE_OPERATOR_TOKEN")
_ALWAYS = frozenset({"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TZ", "USER", "VIRTUAL_ENV"})
_ALWAYS_PREFIXES = ("LC_",)
_LOCAL = ("127.0.0.1", "localhost")
_DEFAULT_COLLECTIONS = "~/.ansible/collections:/usr/share/ansible/collections"
_MAX_RESULT_BYTES = 8 << 20
_MAX_TMPDIR = 75
"""Ansible makes sockets below TMPDIR (`/pymp-xxxxxxxx/listener-xxxxxxxx`); a socket's path has at most 107 bytes."""


def inherit(environ: Mapping[str, str], *, run_env: Iterable[str] | None = None) -> dict[str, str]:
    """What a run inherits of the operator's environment.

    Args:
        environ: the operator's own.
        run_env: a watch's `runEnv`: then exactly these and the few that every program needs; `None`: all but the
            deny list. What is on the deny list is never passed.
    """
    wanted = None if run_env is None else frozenset(run_env)
    return {
        name: value
        for name, value in environ.items()
        if not _denied(name) and (wanted is None or name in wanted or _needed(name))
    }


def _denied(name: str) -> bool:
    return name in _DENIED or name.startswith(_DENIED_PREFIXES)


def _needed(name: str) -> bool:
    return name in _ALWAYS or name.startswith(_ALWAYS_PREFIXES)


def complete(
    environment: Mapping[str, str],
    *,
    kubeconfig: Path,
    tmp: Path,
    collections: Path | None,
    installed_collections: str,
    roles: str,
    ansible_config: Path | None,
) -> dict[str, str]:
    """Add what execution itself sets for one run.

    Args:
        environment: what the run inherits.
        kubeconfig: the run's own, which leads to the gateway.
        tmp: the run's directory for temporary files; gone with the run.
        collections: where our own collections are; they come first. `None`: none.
        installed_collections: the project's effective path (`collections_path`).
        roles: the same of roles (`roles_path`).
        ansible_config: the project's `ansible.cfg`; an `ANSIBLE_CONFIG` that is set stays.
    """
    completed = dict(environment)
    if ansible_config is not None:
        completed.setdefault("ANSIBLE_CONFIG", str(ansible_config))
    completed.setdefault("ANSIBLE_NOCOLOR", "true")
    first = f"{collections}:" if collections is not None else ""
    completed |= {
        "ANSIBLE_COLLECTIONS_PATH": first + installed_collections,
        "ANSIBLE_ROLES_PATH": roles,
        "ANSIBLE_LOCAL_TEMP": str(tmp / "local"),
        "ANSIBLE_REMOTE_TEMP": str(tmp / "remote"),
        "ANSIBLE_ASYNC_DIR": str(tmp / "async"),
        # Gathered facts hold the environment; ansible-runner would cache them in a file.
        "ANSIBLE_CACHE_PLUGIN": "memory",
        "K8S_AUTH_KUBECONFIG": str(kubeconfig),
        "KUBECONFIG": str(kubeconfig),
        # The default drops a failed task's whole result, its message too, if the module printed much.
        "MAX_EVENT_RES": str(_MAX_RESULT_BYTES),
        "NO_PROXY": _unproxied(environment.get("NO_PROXY", "")),
        "no_proxy": _unproxied(environment.get("no_proxy", "")),
        "TMPDIR": _tmpdir(tmp, environment),
    }
    completed.pop("ANSIBLE_CACHE_PLUGIN_CONNECTION", None)
    return completed


def _tmpdir(tmp: Path, environment: Mapping[str, str]) -> str:
    """The run's own, unless its path is so long that Ansible would crash."""
    candidates = (str(tmp), environment.get("TMPDIR", ""))
    short = (path for path in candidates if path and len(path.encode()) <= _MAX_TMPDIR)
    return next(short, "/tmp")  # noqa: S108 - a last resort, and each program makes its own names there


def _unproxied(hosts: str) -> str:
    known = [host.strip() for host in hosts.split(",") if host.strip()]
    return ",".join([*known, *(host for host in _LOCAL if host not in known)])


def config_candidates(environment: Mapping[str, str], *, project: Path) -> list[Path]:
    """Where Ansible's configuration may be for a run; the first that exists counts."""
    if environment.get("ANSIBLE_CONFIG"):
        named = Path(environment["ANSIBLE_CONFIG"])
        return [named / "ansible.cfg", named]
    home = [Path(environment["HOME"]) / ".ansible.cfg"] if environment.get("HOME") else []
    return [project / "ansible.cfg", *home, Path("/etc/ansible/ansible.cfg")]


def collections_path(
    environment: Mapping[str, str], *, project: Path, config: str = "", config_directory: Path | None = None
) -> str:
    """Where the project's own collections are searched: environment, else `ansible.cfg`, else Ansible's default.

    Needed because the variable that puts ours first would hide what `ansible.cfg` says.

    Args:
        environment: what the run inherits.
        project: what relative parts of the variable are relative to.
        config: text of the effective `ansible.cfg`.
        config_directory: what relative parts inside it are relative to.
    """
    named = _named("collections_path", environment, project, config, config_directory)
    if named:
        return named
    if environment.get("ANSIBLE_HOME"):
        return f"{environment['ANSIBLE_HOME']}/collections:/usr/share/ansible/collections"
    return _DEFAULT_COLLECTIONS


def roles_path(
    environment: Mapping[str, str], *, project: Path, config: str = "", config_directory: Path | None = None
) -> str:
    """Where roles are searched that playbooks and other roles name: the project's, too, wherever the playbook lies.

    Arguments as for `collections_path`.
    """
    own = str(project / "roles")
    named = _named("roles_path", environment, project, config, config_directory)
    if named:
        return named if own in named.split(":") else f"{named}:{own}"
    return f"{own}:{environment.get('ANSIBLE_HOME') or '~/.ansible'}/roles:/usr/share/ansible/roles:/etc/ansible/roles"


def _named(
    setting: str, environment: Mapping[str, str], project: Path, config: str, config_directory: Path | None
) -> str:
    """What the environment says of a path, else `ansible.cfg`; empty: neither does."""
    variable = environment.get(f"ANSIBLE_{setting.upper()}")
    if variable:
        return _absolute(variable, project)
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",))
    try:
        parser.read_string(config)
        configured = parser.get("defaults", setting, fallback="")
    except configparser.Error:  # Ansible will say so itself, with the line
        configured = ""
    return _absolute(configured, config_directory or project)


def _absolute(paths: str, directory: Path) -> str:
    """Anchor relative parts, and leave to Ansible what it expands itself."""
    parts = [part.strip() for part in paths.split(":") if part.strip()]
    return ":".join(part if part.startswith(("/", "~", "$", "{{")) else str(directory / part) for part in parts)
