"""What the warm parent loads before it forks, and puts back afterwards.

Runs once, in the parent. Promises: after `Preload.load` the process has one thread, no handler for signals, no pooled
connection, and no trace of the rehearsal's variables, arguments or messages. A fork still has to become a run of its
own (`child`). What is imported here comes from the collections that the project itself would use.
"""

import contextlib
import gc
import importlib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.execution.warm import (
    actions,
    callback,
    imports,
    inline,
    jinjaplugins,
    kubernetes,
    plugins,
    settings,
    singletons,
    templates,
    texts,
    versions,
)
from runner.execution.warm.module import Module
from runner.execution.warm.versions import CannotPreload

__all__ = ["Preloaded", "load"]

_ANSIBLE = ("ansible.cli.playbook",)
"""What `ansible-playbook` itself imports."""
_SOON = (
    "ansible.executor.process.worker",
    "ansible.executor.module_common",
    "ansible.module_utils.basic",
    "ansible.module_utils._internal._ansiballz._loader",
    "ansible_runner.interface",
    "ansible_runner.runner",
)
_CLIENT = (
    "kubernetes",
    "kubernetes.client",
    "kubernetes.config",
    "kubernetes.dynamic",
    "jsonpatch",
    "yaml",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preloaded:
    """What forks find ready."""

    modules: Mapping[str, Module]
    """By path of the source file: whatever name a task uses, it must lead to this very file."""
    files: tuple[str, ...] = field(default=())
    """Source files that were read and whose change makes this process stale."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Collections that were left out, and why."""


def load(environment: Mapping[str, str], *, rehearse: Callable[[], None] | None) -> Preloaded:
    """Load everything.

    Args:
        environment: that of a run; Ansible reads its configuration from it at import.
        rehearse: plays a small play in this process, so that what is loaded on first use is loaded; `None`: don't.

    Raises:
        CannotPreload: better no warm path than a doubtful one.
    """
    os.environ.clear()
    os.environ.update(settings.coerced(environment))
    _import(_ANSIBLE)
    known = plugins.Plugins(plugins.loaded())
    known.install()
    _import(_SOON)
    _check_versions()
    _check_settings()
    _import(_CLIENT)
    modules, skipped = _modules()
    kubernetes.install()
    actions.install(modules)
    inline.install(frozenset(module.name for module in modules.values()))
    templates.install()
    texts.install()
    jinjaplugins.install()
    _initialise_once()
    _load_actions(modules)
    wrapping = callback.Wrapping()
    if rehearse is not None:
        rehearse()
    wrapping.take_back()
    known.give_way(wrapping)
    singletons.reset()
    os.register_at_fork(after_in_child=kubernetes.forget_clients)
    _settle()
    return Preloaded(modules=modules, files=tuple(_loaded_files()), skipped=skipped)


def _load_actions(modules: Mapping[str, Module]) -> None:
    """Load the actions that run the allow-listed modules."""
    from ansible.plugins.loader import action_loader

    for module in modules.values():
        action_loader.get(module.name, class_only=True)


def _import(names: Iterable[str]) -> None:
    for name in names:
        importlib.import_module(name)


def _check_versions() -> None:
    from importlib import metadata

    from ansible.plugins.loader import init_plugin_loader
    from ansible.release import __version__

    versions.check_core(__version__)
    versions.check_runner(metadata.version("ansible-runner"))
    # Before any code of a collection: else its metadata was "not loaded".
    init_plugin_loader()


def _check_settings() -> None:
    """Refuse what a fork could not host as a new process would.

    Raises:
        CannotPreload: there is such a thing.
    """
    from ansible import constants

    if sys.getprofile() is not None or sys.gettrace() is not None or threading.getprofile() is not None:
        raise CannotPreload("a profiler or tracer is active, and would not survive a fork")
    if constants.DEFAULT_LOG_PATH:
        raise CannotPreload(f"log_path is set ({constants.DEFAULT_LOG_PATH}): its file is opened once a process")
    default = constants.config.get_configuration_definition("DEFAULT_STRATEGY_PLUGIN_PATH")["default"]
    own = constants.config.get_config_value_and_origin("DEFAULT_STRATEGY_PLUGIN_PATH")[1]
    if own != "default":
        raise CannotPreload(f"strategy plugins of the project's own are set up ({own}), beside the default {default}")


def _initialise_once() -> None:
    """Let each run read the plugin filter, and leave the collection loader as it is: there can be one a process."""
    import ansible.cli as program
    from ansible.plugins import loader

    program.init_plugin_loader = lambda _prefix=None: loader._load_plugin_filter()
    _share_parser()


def _share_parser() -> None:
    """Build the parser of `ansible-playbook`'s arguments once; its defaults are settings that all runs share."""
    from ansible.cli.playbook import PlaybookCLI

    built = PlaybookCLI(["ansible-playbook"])
    built.init_parser()

    def init_parser(self: Any) -> None:
        self.parser = built.parser

    PlaybookCLI.init_parser = init_parser


def _modules() -> tuple[dict[str, Module], dict[str, str]]:
    """Compile the allow-listed modules and import what they use. They themselves are programs: only forks run them."""
    found: list[Module] = []
    skipped: dict[str, str] = {}
    for collection, names in versions.MODULES.items():
        reason = versions.refusal(collection)
        if reason:
            skipped[collection] = reason
            continue
        found += [module for name in names(collection) if (module := _module(collection, name)) is not None]
    return {module.path: module for module in found}, skipped


def _module(collection: str, name: str) -> Module | None:
    package = versions.package_of(collection, name)
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None or spec.loader is None:
        return None
    source = Path(spec.origin).read_bytes()
    if not versions.is_python_module(source):
        return None
    for wanted in imports.of(source, package=package):
        with contextlib.suppress(ImportError):  # some are optional; the module says so itself
            importlib.import_module(wanted)
    code = compile(source, spec.origin, "exec", dont_inherit=True)
    return Module(name=f"{collection}.{name}", package=package, path=spec.origin, code=code, profile="legacy")


def _settle() -> None:
    """Nothing may be left that a fork would share."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    tasks = os.listdir("/proc/self/task")  # noqa: PTH208 - names only
    if threading.active_count() != 1 or len(tasks) != 1:
        names = [thread.name for thread in threading.enumerate()]
        raise CannotPreload(f"threads are left after loading: {names}")
    gc.collect()
    gc.freeze()
    gc.disable()


def _loaded_files() -> Iterable[str]:
    """Everything of collections; Ansible and the Kubernetes client do not change under a running operator."""
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name.startswith("ansible_collections.") and path:
            yield path
