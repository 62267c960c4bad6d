"""Becomes another program that the kernel kills when the process that started this one dies.

Run as `tied.py PARENT-PID PROGRAM ARGUMENT...`, by `processes.spawn` and as a program of its own: it imports
nothing of the project, so that it starts in milliseconds.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent = int(sys.argv[1])
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew
        sys.exit(1)
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming that program is the purpose


main()
