"""Keeps plugins that the warm parent loaded from hiding plugins of a project.

Ansible files a plugin under its bare name and loads each name once a process. A project that brings a plugin named like
one that the parent has loaded would get the parent's; here the project's own file wins, as in a new process.
"""

import functools
import sys
from typing import Any

__all__ = ["install", "loaded"]

_PREFIX = "ansible.plugins."


def loaded() -> frozenset[str]:
    """Names of plugin modules that are loaded now."""
    return frozenset(name for name in sys.modules if name.startswith(_PREFIX))


def install(always: frozenset[str]) -> None:
    """Make what was loaded since then give way. Once, before forking.

    Args:
        always: loaded by Ansible's own program too, so they win in a new process as well.
    """
    from ansible.plugins.loader import PluginLoader  # noqa: PLC0415 - Ansible reads the environment at import

    yielding = set(loaded() - always)
    plain = PluginLoader._load_module_source  # noqa: SLF001 - guarded by `versions`

    @functools.wraps(plain)
    def load(self: Any, *, python_module_name: str, path: str) -> Any:
        if python_module_name in yielding:
            yielding.discard(python_module_name)
            if getattr(sys.modules.get(python_module_name), "__file__", None) != path:
                sys.modules.pop(python_module_name, None)
        return plain(self, python_module_name=python_module_name, path=path)

    PluginLoader._load_module_source = load  # noqa: SLF001 - as above
