"""Keeps plugins that the warm parent loaded from hiding plugins of a project.

Ansible files a plugin and its options under its bare name, and loads each name once a process. A project that brings a
plugin named like one that the parent has loaded would get the parent's; here the project's own file wins, as in a new
process.
"""

import functools
import sys
from typing import Any

from runner.execution.warm import callback

__all__ = ["Plugins", "loaded"]

_PREFIX = "ansible.plugins."
_Options = tuple[str, str]


def loaded() -> frozenset[str]:
    """Names of plugin modules that are loaded now."""
    return frozenset(name for name in sys.modules if name.startswith(_PREFIX))


class Plugins:
    """What the parent has loaded. `install` once before it loads any, `give_way` once before it forks."""

    def __init__(self, always: frozenset[str]) -> None:
        """`always`: loaded by Ansible's own program too, so they win in a new process as well."""
        self._always = always
        self._yielding: set[str] = set()
        self._defined: dict[_Options, str] = {}
        """By kind and name of a plugin, the file whose options it was given."""
        self._inherited: set[_Options] = set()
        self._wrapping: callback.Wrapping | None = None

    def install(self) -> None:
        from ansible.plugins.loader import PluginLoader

        PluginLoader._load_module_source = self._loading(PluginLoader._load_module_source)
        PluginLoader._load_config_defs = self._defining(PluginLoader._load_config_defs)

    def give_way(self, wrapping: callback.Wrapping) -> None:
        """From now on, what is loaded yields to files of another place.

        Args:
            wrapping: of ansible-runner's callback, redone when a run loads that.
        """
        self._yielding = set(loaded() - self._always)
        self._inherited = set(self._defined)
        self._wrapping = wrapping

    def _loading(self, plain: Any) -> Any:
        @functools.wraps(plain)
        def load(loader: Any, *, python_module_name: str, path: str) -> Any:
            if python_module_name == callback.NAME and self._wrapping is not None:
                self._wrapping.redo()
            elif python_module_name in self._yielding:
                self._yielding.discard(python_module_name)
                if getattr(sys.modules.get(python_module_name), "__file__", None) != path:
                    sys.modules.pop(python_module_name, None)
            return plain(loader, python_module_name=python_module_name, path=path)

        return load

    def _defining(self, plain: Any) -> Any:
        from ansible import constants
        from ansible.plugins import get_plugin_class

        @functools.wraps(plain)
        def define(loader: Any, name: str, module: Any, path: str) -> Any:
            key = (str(get_plugin_class(loader.class_name)), str(name)) if loader.class_name else None
            if key is None:
                plain(loader, name, module, path)
                return
            if self._defined.get(key) == path:
                return  # Ansible would read it again, each time, where there turned out to be no options.
            if key in self._inherited:
                self._inherited.discard(key)
                constants.config._plugins.get(key[0], {}).pop(key[1], None)
            plain(loader, name, module, path)
            self._defined[key] = path

        return define
