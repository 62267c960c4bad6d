"""ansible-runner's display callback, loaded once and put to work in each run when that run loads it.

Importing the callback wraps methods of Ansible's display, so it must not count as imported before its time: what
Ansible says until then is plain text and no event, and stays so.
"""

import sys
from typing import Any

__all__ = ["NAME", "Wrapping", "module"]

NAME = "ansible.plugins.callback.awx_display"
"""What Ansible's plugin loader calls it."""


def module() -> Any:
    """The module; `None` while nobody has loaded it."""
    return sys.modules.get(NAME)


class Wrapping:
    """What the import did to Ansible's display: taken back, and done again at will."""

    def __init__(self) -> None:
        """Take down what the display is like now, before the import."""
        from ansible.utils.display import Display

        self._display: Any = Display
        self._before = dict(vars(Display))
        self._wrapped: dict[str, Any] = {}

    def take_back(self) -> None:
        """Undo the import's work, and let the plugin loader ask for the module again."""
        from ansible.plugins.loader import callback_loader

        now = dict(vars(self._display))
        self._wrapped = {name: value for name, value in now.items() if self._before.get(name) is not value}
        for name in self._wrapped:
            setattr(self._display, name, self._before[name])
        loaded = module()
        if loaded is not None:
            callback_loader._module_cache.pop(loaded.__file__, None)

    def redo(self) -> None:
        for name, value in self._wrapped.items():
            setattr(self._display, name, value)
