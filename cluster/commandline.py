"""What the command lines of this package have in common: how they run and end, where clusters lie, what names are."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from cluster import signals
from cluster.commands import valid_name
from cluster.errors import ClusterError

__all__ = ["name", "root", "run"]


def run(command: Callable[[], int], *, stops: bool) -> int:
    """Run a command to its exit status; one that stops clusters is finished whatever signals come."""
    if stops:
        signals.finish_in_spite()
    else:
        signals.end_cleanly()
    try:
        return command()
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except signals.Interrupted as interrupted:
        print("interrupted; nothing was left running", file=sys.stderr)
        return 128 + interrupted.number


def root() -> Path:
    """The directory that clusters keep their files in."""
    own = os.environ.get("ECHOPERATOR_CLUSTER_DIR")
    return Path(own) if own else Path(__file__).resolve().parent.parent / ".cluster"


def name(text: str) -> str:
    """A cluster's name, as an argument.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not valid_name(text):
        raise argparse.ArgumentTypeError("a name is up to 40 of a-z, 0-9 and -, and no - at its ends")
    return text
