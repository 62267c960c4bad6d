"""Files of YAML that the warm parent has parsed, for forks that read the same content.

A fork still reads the file, so a changed one is parsed anew. What was encrypted is never kept.
"""

import functools
from typing import Any

from runner.execution.warm import lessons, singletons

__all__ = ["SUBJECT", "install", "learn"]

SUBJECT = "text"
_Key = tuple[str, bool, str]

_known: dict[_Key, Any] = {}


def install() -> None:
    """Have Ansible's loader look here first, and spare it copies of what cannot change. Once, before forking."""
    from ansible.parsing.dataloader import DataLoader

    plain = DataLoader.load

    @functools.wraps(plain)
    def load(self: Any, data: Any, file_name: Any = None, **options: Any) -> Any:
        key = None if options.get("json_only") or not options.get("show_content", True) else _key(data, file_name)
        if key is None:
            return plain(self, data, file_name, **options)
        if key in _known:
            # Whoever loads it again in this process gets one of its own, as always.
            return _known.pop(key)
        lessons.tell(SUBJECT, *key)
        return plain(self, data, file_name, **options)

    DataLoader.load = load
    _share_immutable()


def learn(file_name: str, trusted: bool, text: str) -> None:  # noqa: FBT001 - as it was told
    """In the parent: parse that text, for all forks to come.

    Raises:
        Exception: it is not YAML, or Ansible has to warn of it.
    """
    from ansible._internal._datatag._tags import Origin, TrustedAsTemplate
    from ansible.parsing.utils.yaml import from_yaml

    data = Origin(path=file_name).tag(text)
    with singletons.nothing_said():
        parsed = from_yaml(TrustedAsTemplate().tag(data) if trusted else data, file_name)
    _known[file_name, trusted, text] = parsed


def _key(data: Any, file_name: Any) -> _Key | None:
    """What the result depends on; `None`: on more than that."""
    from ansible._internal._datatag._tags import Origin, TrustedAsTemplate
    from ansible.module_utils._internal._datatag import AnsibleTagHelper

    if not isinstance(data, str) or not file_name:
        return None
    tags = {type(tag): tag for tag in AnsibleTagHelper.tags(data)}
    origin = tags.pop(Origin, None)
    trusted = tags.pop(TrustedAsTemplate, None) is not None
    if tags or origin != Origin(path=str(file_name)):
        return None
    return str(file_name), trusted, str(data)


def _share_immutable() -> None:
    """Let `copy.deepcopy` keep tags, and texts and numbers that have some: like plain ones, they cannot change."""
    from ansible.module_utils._internal import _datatag

    texts_and_numbers = (_datatag._AnsibleTaggedStr, _datatag._AnsibleTaggedInt, _datatag._AnsibleTaggedFloat)
    for kind in (*texts_and_numbers, _datatag.AnsibleDatatagBase, _datatag._AnsibleTagsMapping):
        kind.__deepcopy__ = lambda self, _memo: self
