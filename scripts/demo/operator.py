"""The operator of a demo: a process beside it, that runs as in its image."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.demo.errors import DemoError
from scripts.demo.screen import dimmed
from scripts.demo.shows import Show
from scripts.demo.targets import Target

__all__ = ["Running", "command", "environment", "running"]


@dataclass(frozen=True, slots=True)
class Running:
    """The operator while it runs."""

    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise `DemoError` if it has ended."""
        if self.process.poll() is not None:
            raise DemoError(f"the operator ended with {self.process.returncode}:\n{self._tail()}")

    def excuse(self) -> str:
        """What the operator had to say, for an error."""
        return f"the operator's log ends with:\n{self._tail()}"

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


def command(show: Show, target: Target) -> list[str]:
    """The command line, without the interpreter."""
    return [
        "-m",
        "runner",
        "run",
        "--strict",
        *show.arguments,
        f"--kubeconfig={target.kubeconfig}",
        "--metrics-bind-address=0",
        "--health-probe-bind-address=0",
        "--log-format=console",
    ]


def environment(show: Show, target: Target) -> dict[str, str]:
    """The variables that the operator has besides ours."""
    # Nobody else's objects on a cluster that has some: those of an example may be there in earnest.
    where = {"WATCH_NAMESPACE": show.own_namespace} if show.own_namespace else {}
    images = dict.fromkeys(show.images, target.image) if target.image else {}
    return {"ANSIBLE_GATHERING": "explicit", **where, **images}


@contextlib.contextmanager
def running(show: Show, target: Target, more: Mapping[str, str], scratch: Path) -> Iterator[Running]:
    """Start the operator, and stop it in the end.

    Args:
        show: Whose operator.
        target: Its cluster.
        more: Environment variables that have the last word.
        scratch: A directory for its log and its runs.

    Raises:
        DemoError: it has ended by itself.
    """
    log = scratch / "operator.log"
    own = {**os.environ, **environment(show, target), "TMPDIR": str(scratch), **more}
    arguments = command(show, target)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=show.project, stdout=output, stderr=output, env=own
        )
    operator = Running(process, log)
    try:
        dimmed(" ".join(arguments))
        yield operator
        operator.check()
    finally:
        process.terminate()
        process.wait()
