"""What can go wrong, as exceptions with one base. Their text is for a person; callers decide by the attributes."""

from collections.abc import Sequence
from pathlib import Path

_SHOWN_LINES = 20
_SHOWN_WIDTH = 500


def with_output(first: str, output: str) -> str:
    """A sentence, and below it the last lines of what a program said."""
    lines = [line[:_SHOWN_WIDTH] for line in output.strip().splitlines()[-_SHOWN_LINES:]] or ["(nothing)"]
    return "\n".join([first, *(f"  {line}" for line in lines)])


class ClusterError(Exception):
    """The base of all errors of this package that a caller is meant to catch."""


class ComponentFailed(ClusterError):  # noqa: N818 - the name callers know
    """A component ended or was not ready in time.

    `component` is its name, `reason` what happened, `log_tail` the last lines of its log, `log` the whole file.
    """

    def __init__(self, component: str, reason: str, log_tail: str, log: Path) -> None:
        super().__init__(component, reason, log_tail, log)
        self.component = component
        self.reason = reason
        self.log_tail = log_tail
        self.log = log

    def __str__(self) -> str:
        return with_output(f"{self.component} {self.reason}; {self.log} ends with:", self.log_tail)


class AlreadyRunningError(ClusterError):
    """A control plane runs in the directory already."""


class NotOursError(ClusterError):
    """The directory holds something, and not a cluster: it would be removed with the cluster."""


class NotRunningError(ClusterError):
    """What was asked needs a running control plane, and there is none."""


class UnreadableStateError(ClusterError):
    """`state.json` was written by another version of this package, or by none."""


class NoAddressError(ClusterError):
    """The machine has no address that its Pods could reach the API server at."""


class NoFreePortError(ClusterError):
    """Every port that was tried is taken."""


class NoToolchainError(ClusterError):
    """There is no Go that will do, and none could be installed."""


class BuildFailedError(ClusterError):
    """A program could not be built; `program` is its name, `output` what Go said."""

    def __init__(self, program: str, output: str) -> None:
        super().__init__(program, output)
        self.program = program
        self.output = output

    def __str__(self) -> str:
        return with_output(f"building {self.program} failed:", self.output)


class ContextRefusedError(ClusterError):
    """A kubeconfig was not given a context, or keeps it; the text says why."""


class NodeRefusedError(ClusterError):
    """This machine, or this control plane, can't have a node; the text is a sentence that says why."""


class DeclinedError(ClusterError):
    """The person at the terminal did not want the machine changed."""


class InstallFailedError(ClusterError):
    """apt-get could not install `packages`; `output` is what it said."""

    def __init__(self, packages: Sequence[str], output: str) -> None:
        super().__init__(packages, output)
        self.packages = packages
        self.output = output

    def __str__(self) -> str:
        return with_output(f"apt-get could not install {' '.join(self.packages)}:", self.output)


class ImportFailedError(ClusterError):
    """containerd did not take the images in `tar`; `output` is what it said."""

    def __init__(self, tar: Path, output: str) -> None:
        super().__init__(tar, output)
        self.tar = tar
        self.output = output

    def __str__(self) -> str:
        return with_output(f"{self.tar} could not be loaded:", self.output)


class NoBusyboxError(ClusterError):
    """There is no static busybox, and none could be fetched."""
