"""Runs the programs of a build: each is a step that a person sees, with a log and a clear end when it fails."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster import processes
from cluster.progress import Progress
from scripts.image.errors import StepFailedError


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
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, progress.step(text):
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=cwd,
            )
        except OSError as error:
            output.write(f"{error}\n".encode())
            raise StepFailedError(text, log) from error
        try:
            code = process.wait()
        except BaseException:
            # A terminal's Ctrl-C has reached it too; half-made mounts are its own to undo, so it is waited for.
            process.terminate()
            process.wait()
            raise
    if code != 0:
        raise StepFailedError(text, log)


def answer(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, timeout_s: float = 30.0
) -> str | None:
    """As `processes.answer`, with that added to our environment."""
    return processes.answer(command, env={**os.environ, **(environment or {})}, timeout_s=timeout_s)
