"""Who runs which test, where several workers share them (pytest-xdist)."""

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest
    from xdist.remote import Producer

NEED_THE_NODE = ("tests/cluster/", "tests/e2e/")


class FileByFile(LoadScopeScheduling):
    """A file stays together, as its operator and its control plane do; a machine has one node, so one worker has it."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def scope_of(nodeid: str) -> str:
    """What runs on one worker, one after the other. `nodeid` as pytest writes it: a path, `::` and a name."""
    path = nodeid.split("::", 1)[0]
    return "node" if path.startswith(NEED_THE_NODE) else path


def scheduler(config: "pytest.Config", log: "Producer") -> FileByFile:
    """The longest files first would be better; the order of names is near enough."""
    config.option.loadscopereorder = False
    return FileByFile(config, log)
