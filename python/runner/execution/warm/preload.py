"""What the warm parent loads before it forks, and puts back afterwards.

Runs once, in the parent. Promises: after `Preload.load` the process has one thread, no handler for signals, no pooled
connection, and no trace of the rehearsal's variables, arguments or messages. A fork still has to become a run of its
own (`child`). What is imported here comes from the collections that the project itself would use.
"""

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
from types import CodeType

from runner.execution.warm import actions, inline, plugins, singletons, versions
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
    os.environ.update(environment)
    _import(_ANSIBLE)
    inherited = plugins.loaded()
    _import(_SOON)
    _check_versions()
    modules, skipped = _modules()
    _import(_CLIENT)
    actions.install(modules)
    inline.install(frozenset(module.name for module in modules.values()))
    _initialise_once()
    if rehearse is not None:
        rehearse()
    plugins.install(inherited)
    singletons.reset()
    _settle()
    return Preloaded(modules=modules, files=tuple(_loaded_files()), skipped=skipped)


def _import(names: Iterable[str]) -> None:
    for name in names:
        importlib.import_module(name)


def _check_versions() -> None:
    from importlib import metadata  # noqa: PLC0415
    from ansible.plugins.loader import init_plugin_loader  # noqa: PLC0415 - as above
    from ansible.release import __version__  # noqa: PLC0415 - as above

    versions.check_core(__version__)
    versions.check_runner(metadata.version("ansible-runner"))
    # Before any code of a collection: else its metadata was "not loaded".
    init_plugin_loader()


def _initialise_once() -> None:
    """Let each run read the plugin filter, and leave the collection loader as it is: there can be one a process."""
    import ansible.cli as program  # noqa: PLC0415 - loaded by now
    from ansible.plugins import loader  # noqa: PLC0415 - as above

    program.init_plugin_loader = lambda _prefix=None: loader._load_plugin_filter()


def _modules() -> tuple[dict[str, Module], dict[str, str]]:
    """Import the allow-listed modules, which imports all that they use."""
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
    importlib.import_module(package)
    code = spec.loader.get_code(package)  # type: ignore[attr-defined]
    source = Path(spec.origin).read_bytes()
    if code is None or not versions.is_python_module(source):
        return None
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


def _loaded_files() -> Iterable[str]:
    """Everything of collections; Ansible and the Kubernetes client do not change under a running operator."""
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name.startswith("ansible_collections.") and path:
            yield path
