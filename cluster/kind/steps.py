"""Runs the programs that a kind cluster is made with: each is a step that a person sees, with a clear end.

`sealed` is what makes stopping safe: the kernel ends all processes and mounts of such a program together with it,
however it ends.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster import packages, processes
from cluster.kind.errors import StepFailedError
from cluster.progress import Progress

_ROOT = Path("/")


def sealed(command: Sequence[str]) -> list[str]:
    """The command, in process and mount namespaces of its own; it ends when `unshare` is killed."""
    return [
        packages.command("unshare") or "unshare",
        *("--mount", "--propagation", "private", "--pid", "--mount-proc", "--fork", "--kill-child"),
        *("--", *command),
    ]


def environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, with the system's programs on the path even where a user's has none of them."""
    path = f"{os.environ.get('PATH', '')}:{packages.SEARCH_PATH}".strip(":")
    return {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", **(added or {})}


def run(
    text: str,
    command: Sequence[str],
    progress: Progress,
    *,
    added: Mapping[str, str] | None = None,
    announce: bool = True,
) -> str:
    """Run a program to its end, with its children; returns what it said.

    Args:
        text: What is being done, for a person.
        command: The program and its arguments.
        progress: Where the step is shown.
        added: Environment variables beside `environment()`.
        announce: Off for steps of a second or two.

    Raises:
        StepFailedError: It failed, or is not installed.
    """
    with progress.step(text, announce=announce):
        try:
            code, said = processes.run_to_end(list(command), cwd=_ROOT, env=environment(added))
        except OSError as error:
            raise StepFailedError(text, str(error)) from error
        if code != 0:
            raise StepFailedError(text, said)
    return said


def answer(command: Sequence[str], *, added: Mapping[str, str] | None = None, timeout_s: float = 30.0) -> str | None:
    """As `processes.answer`, in our environment."""
    return processes.answer(command, env=environment(added), timeout_s=timeout_s)
