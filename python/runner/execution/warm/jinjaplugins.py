"""Spares a run from looking for Jinja's own filters and tests in Ansible's plugins again and again.

Ansible finds `default`, `first` or `map` by going through every builtin plugin file in vain, and does so anew in each
task: a millisecond each time. A run remembers that there is none of that name until its plugin directories change.
"""

import functools
from typing import Any

__all__ = ["install"]


class _Absent:
    """Names that a loader has looked for in vain, as long as it has the same plugins."""

    def __init__(self, plugins: dict[str, Any]) -> None:
        self.plugins = plugins
        """The loader's own dictionary: it begins another one when its directories change."""
        self.results: dict[str, Any] = {}


def install() -> None:
    """Wrap the loader's look-up. Once, before forking."""
    from ansible._internal._templating._jinja_bits import _BUILTIN_FILTERS, _BUILTIN_TESTS
    from ansible.plugins.loader import Jinja2Loader

    plain = Jinja2Loader.get_with_context
    jinjas_own = {"filter": frozenset(_BUILTIN_FILTERS), "test": frozenset(_BUILTIN_TESTS)}
    by_loader: dict[int, _Absent] = {}

    @functools.wraps(plain)
    def get_with_context(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        absent = by_loader.get(id(self))
        if absent is not None and absent.plugins is self._cached_non_collection_wrappers and name in absent.results:
            return absent.results[name]
        result = plain(self, name, *args, **kwargs)
        if result.object is None and "." not in name and name in jinjas_own[self.type]:
            if absent is None or absent.plugins is not self._cached_non_collection_wrappers:
                absent = by_loader[id(self)] = _Absent(self._cached_non_collection_wrappers)
            absent.results[name] = result
        return result

    Jinja2Loader.get_with_context = get_with_context
