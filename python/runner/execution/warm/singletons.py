"""State that Ansible keeps for the life of a process, put back to what a new process has.

A run that finds another run's state reports success for the wrong object, so each name here is one of the traps that
tests guard. Imports of Ansible are inside functions, because Ansible reads the environment when it is imported.
"""

import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping

from runner.execution.warm import callback, kubernetes, settings

__all__ = ["become_run", "callback_context_aside", "nothing_said", "reset"]


def reset() -> None:
    """Forget arguments, variables, secrets, messages and connections."""
    _forget_arguments()
    _forget_messages()
    _forget_connections()


def _forget_arguments() -> None:
    from ansible import context
    from ansible.parsing.vault import VaultSecretsContext
    from ansible.utils import vars as extra
    from ansible.utils.collection_loader import AnsibleCollectionConfig
    from ansible.utils.context_objects import CLIArgs, GlobalCLIArgs

    for function, name in ((extra.load_extra_vars, "extra_vars"), (extra.load_options_vars, "options_vars")):
        if hasattr(function, name):
            delattr(function, name)
    GlobalCLIArgs._Singleton__instance = None
    context.CLIARGS = CLIArgs({})
    VaultSecretsContext._current = None
    AnsibleCollectionConfig.default_collection = None


def _forget_messages() -> None:
    from ansible.utils.display import Display

    display = Display()
    for shown in (display._warns, display._deprecations, display._errors):
        shown.clear()
    display.verbosity = 0
    loaded = callback.module()
    if loaded is not None:
        loaded.event_context._global_ctx.clear()
        vars(loaded.event_context._local).clear()


@contextlib.contextmanager
def nothing_said() -> Iterator[None]:
    """For what the parent does once and its forks no more: raise if Ansible had anything to say, as each would hear it.

    Raises:
        RuntimeError: it had.
    """
    from ansible.utils.display import Display

    display = Display()
    yield
    if display._warns or display._deprecations or display._errors:
        _forget_messages()
        raise RuntimeError("there was a message")


def _forget_connections() -> None:
    from ansible._internal import _rpc_host

    _rpc_host.LocalManager._shared_instance = None
    _rpc_host._server_ready.clear()
    kubernetes.forget_clients()


def become_run(environment: Mapping[str, str], *, arguments: Iterable[str], directory: str) -> None:
    """Make a fresh fork the process that `ansible-playbook` would be for this run."""
    os.environ.clear()
    os.environ.update(settings.coerced(environment))
    os.chdir(directory)
    sys.argv = list(arguments)
    tempfile.tempdir = None
    time.tzset()
    reset()
    _renew_ids()
    _renew_configuration(environment)


def _renew_ids() -> None:
    """Two runs must not number their tasks alike."""
    from ansible.utils import vars as unique

    unique.random_int = f"{secrets.randbelow(2**32):08x}"
    unique.cur_id = 0


def _renew_configuration(environment: Mapping[str, str]) -> None:
    """Read again the settings that come from variables which differ from run to run."""
    from ansible import constants

    known = vars(constants)
    for name in ("DEFAULT_ROLES_PATH", "DEFAULT_LOCAL_TMP"):
        constants.set_constant(name, constants.config.get_config_value(name, variables=known), export=known)
    kubernetes.use_kubeconfig(environment.get("KUBECONFIG", "~/.kube/config"))


@contextlib.contextmanager
def callback_context_aside() -> Iterator[None]:
    """Let ansible-runner's callback see what it would see in another thread: no event under way."""
    loaded = callback.module()
    if loaded is None:
        yield
        return
    local = vars(loaded.event_context._local)
    kept = dict(local)
    local.clear()
    try:
        yield
    finally:
        local.clear()
        local.update(kept)
