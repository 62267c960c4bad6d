"""Runs the programs of a build: each is a step that a person sees, with a log and a clear end when it fails."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster import processes
from cluster.progress import Progress
from scripts.image.errors import StepFailedError

_UNDOING_S = 120.0


def run(
    text: str,
    command: Sequence[str],
    *,
    log: Path,
    progress: Progress,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a program to its end.

    Args:
        text: What is being done, for a person.
        command: The program and its arguments.
        log: Where all it says goes, written anew.
        progress: Where the step is shown.
        environment: Added to ours.
        cwd: Where it runs; `None`: here.

    Raises:
        StepFailedError: It failed, or is not installed.
    """
    with progress.step(text):
        try:
            # Half-made mounts are the program's own to undo, however long that takes it.
            code = processes.run_logged(
                command, log=log, env={**os.environ, **(environment or {})}, cwd=cwd, grace_s=_UNDOING_S
            )
        except OSError as error:
            log.write_text(f"{error}\n", encoding="utf-8")
            raise StepFailedError(text, log) from error
        if code != 0:
            raise StepFailedError(text, log)


def answer(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, timeout_s: float = 30.0
) -> str | None:
    """As `processes.answer`, with that added to our environment."""
    return processes.answer(command, env={**os.environ, **(environment or {})}, timeout_s=timeout_s)
