"""Ties a fork's life to its parent's: harder than `processes.die_with_parent`, for those with nothing to clean up."""

import ctypes
import os
import signal

__all__ = ["die_with"]

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> bool:
    """Ask for SIGKILL when the parent ends; false if it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    return os.getppid() == parent
