"""Lets an action's module run in this process where that is as good as a new one.

`install` wraps `ActionBase._execute_module` and the making and removing of its temporary directory. For each module the
wrapper either runs it here (`modules`) or says why not and leaves it to Ansible's own code; nothing is decided halfway.
"""

import functools
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from runner.execution.warm import modules, report
from runner.execution.warm.module import Module

__all__ = ["install"]


def install(preloaded: Mapping[str, Module]) -> None:
    """Wrap the base class of all actions. Once, before forking."""
    from ansible.plugins.action import ActionBase

    plain_execute = ActionBase._execute_module
    plain_make = ActionBase._make_tmp_path
    plain_remove = ActionBase._remove_tmp_path

    @functools.wraps(plain_execute)
    def execute(self: Any, module_name: Any = None, module_args: Any = None, **options: Any) -> Any:
        name = self._task.action if module_name is None else module_name
        module, reason = _module_for(self, name, options, preloaded)
        report.module(action=str(name), reason=reason)
        if module is None:
            return plain_execute(self, module_name, module_args, **options)
        return _run(self, module, name, module_args, **options)

    @functools.wraps(plain_make)
    def make(self: Any, remote_user: Any = None) -> Any:
        path = _make(self) if _is_local(self) else None
        return path if path is not None else plain_make(self, remote_user)

    @functools.wraps(plain_remove)
    def remove(self: Any, tmp_path: Any, force: bool = False) -> Any:  # noqa: FBT001, FBT002 - Ansible's signature
        if not _is_local(self):
            return plain_remove(self, tmp_path, force)
        path = self._connection._shell.tmpdir if tmp_path is None else tmp_path
        if path and (force or self._should_remove_tmp_path(path)):
            shutil.rmtree(path, ignore_errors=True)
            if os.path.lexists(path):
                return plain_remove(self, tmp_path, force)
            self._connection._shell.tmpdir = None
        return None

    ActionBase._execute_module = execute
    ActionBase._make_tmp_path = make
    ActionBase._remove_tmp_path = remove


def _is_local(action: Any) -> bool:
    """Whether what the action does to its host it does to this machine, as this user, through the usual shell."""
    from ansible.plugins.connection.local import Connection

    connection = action._connection
    shell = connection._shell
    return type(connection).__module__ == Connection.__module__ and not connection.become and shell.SHELL_FAMILY == "sh"


def _make(action: Any) -> str | None:
    """Make the temporary directory without two shells; `None`: let Ansible do it, and complain where it must."""
    shell = action._connection._shell
    base = os.path.expanduser(str(action.get_shell_option("remote_tmp", default="~/.ansible/tmp")))  # noqa: PTH111
    if not base.startswith("/") or "$" in base:
        return None
    path = f"{base}/{shell._generate_temp_dir_name()}"
    try:
        os.makedirs(base, mode=0o700, exist_ok=True)  # noqa: PTH103 - a hot path
        os.mkdir(path, 0o700)  # noqa: PTH102 - as above
    except OSError:
        return None
    action._cleanup_remote_tmp = True
    shell.tmpdir = f"{path}/"
    return str(shell.tmpdir)


def _module_for(
    action: Any, name: str, options: Mapping[str, Any], preloaded: Mapping[str, Module]
) -> tuple[Module | None, str]:
    """The module to run here, or why it has to run in a process of its own."""
    from ansible import constants

    task = action._task
    if options.get("wrap_async") or task.async_val:
        return None, "async"
    if action._connection.become or task.become:
        return None, "become"
    if not _is_local(action):
        return None, "connection"
    if constants.DEFAULT_KEEP_REMOTE_FILES:
        return None, "keep_remote_files"
    found = action._shared_loader_obj.module_loader.find_plugin_with_context(name, "", collection_list=task.collections)
    module = preloaded.get(str(found.plugin_resolved_path)) if found.resolved else None
    if module is None:
        known = {entry.name.rpartition(".")[2] for entry in preloaded.values()}
        return None, "other_module" if name.rpartition(".")[2] in known else "not_listed"
    task_vars = options.get("task_vars") or {}
    if not _same_interpreter(action, task_vars):
        return None, "interpreter"
    if _has_own_module_utils():
        return None, "module_utils"
    if constants.config.get_config_value("PYTHON_MODULE_RLIMIT_NOFILE", variables=task_vars):
        return None, "rlimit"
    return module, ""


def _same_interpreter(action: Any, task_vars: Mapping[str, Any]) -> bool:
    from ansible.executor import module_common

    if action._task.delegate_to:
        task_vars = (task_vars.get("ansible_delegated_vars") or {}).get(action._task.delegate_to) or {}
    if task_vars.get("ansible_python_interpreter") == sys.executable:
        return True
    try:
        shebang, _ = module_common._get_shebang("/usr/bin/python", task_vars, action._templar)
    except module_common.InterpreterDiscoveryRequiredError:
        return False
    return bool(shebang == f"#!{sys.executable}")


def _has_own_module_utils() -> bool:
    """Whether the project or a role brings libraries for modules: they may replace those that are loaded here."""
    from ansible.plugins.loader import module_utils_loader

    return any(os.path.isdir(path) for path in module_utils_loader._extra_dirs)  # noqa: PTH112 - a hot path


def _run(
    action: Any,
    module: Module,
    name: str,
    module_args: Any = None,
    tmp: Any = None,
    task_vars: Any = None,
    ignore_unknown_opts: bool = False,  # noqa: FBT001, FBT002 - Ansible's signature
    **_: Any,
) -> Any:
    """`ActionBase._execute_module`, step by step, but for the process."""
    from ansible.utils.display import Display

    display = Display()
    if tmp is not None:
        display.warning(
            "_execute_module no longer honors the tmp parameter. Action plugins"
            " should set self._connection._shell.tmpdir to share the tmpdir"
        )
    connection = action._connection
    if not connection._connected:
        connection._connect()
    if not action._is_pipelining_enabled("new") and connection._shell.tmpdir is None:
        action._make_tmp_path()
    task_vars = {} if task_vars is None else task_vars
    module_args = action._task.args if module_args is None else module_args
    action._update_module_args(name, module_args, task_vars, ignore_unknown_opts=ignore_unknown_opts)
    environment: dict[str, Any] = {}
    action._compute_environment_string(environment)
    parameters = _encode(name, module_args, module.profile)
    display.vvv(f"Using module file {module.path}")
    action._used_interpreter = f"#!{sys.executable}"
    output = modules.run(
        module,
        parameters=parameters,
        environment={key: str(value) for key, value in environment.items()},
        directory=action._loader.get_basedir(),
    )
    utr = action._parse_returned_data(_as_command_result(action, output), module.profile)
    if utr.suppress_tmpdir_delete:
        action._cleanup_remote_tmp = False
    utr.remove_internal_keys()
    return utr.as_result_dict(for_round_trip=True)


def _encode(name: str, module_args: Any, profile: str) -> bytes:
    from ansible.errors import AnsibleError

    try:
        return modules.encode(module_args, profile)
    except TypeError as error:
        raise AnsibleError(f"Failed to serialize arguments for the {name!r} module.") from error


def _as_command_result(action: Any, output: modules.Output) -> dict[str, Any]:
    """What `_low_level_execute_command` makes of a process."""
    from ansible.module_utils.common.text.converters import to_text

    out = action._strip_success_message(to_text(output.stdout, errors="surrogate_then_replace"))
    err = to_text(output.stderr, errors="surrogate_then_replace")
    return {
        "rc": output.code,
        "stdout": out,
        "stdout_lines": out.splitlines(),
        "stderr": err,
        "stderr_lines": err.splitlines(),
    }
