"""Stands between the container engine and runc, so that `--privileged` works for a root that lacks privileges.

The engine asks for every capability there is, for limits above ours and for a lower out-of-memory score than ours;
where the kernel would refuse that, runc fails. So this asks for what is held, and becomes runc. A root that lacks
nothing gets exactly what the engine asked for. A program of its own: it imports nothing of the project.
"""

import itertools
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

RUNC = "ECHOPERATOR_RUNC"
"""Environment variable with the path of the real runc."""

_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
)
"""By their number in linux/capability.h, without their prefix."""


def capabilities(status: str) -> set[str]:
    """The capabilities that the text of /proc/PID/status shows as permitted, `CAP_` in front."""
    line = next((line for line in status.splitlines() if line.startswith("CapPrm:")), "CapPrm: 0")
    mask = int(line.split()[1], 16)
    return {f"CAP_{name}" for number, name in enumerate(_CAPABILITIES) if mask >> number & 1}


def fit(process: dict[str, Any], held: set[str], limits: dict[str, int], oom_score: int) -> None:
    """Cut the `process` of a runtime specification down to what can be given.

    Args:
        process: Changed in place.
        held: The capabilities that we have.
        limits: Our own hard limits by their names in the specification; less than 0: none.
        oom_score: Our own out-of-memory score.
    """
    for kind, wanted in (process.get("capabilities") or {}).items():
        process["capabilities"][kind] = [name for name in wanted or () if name in held]
    if "CAP_SYS_RESOURCE" in held:
        return
    for limit in process.get("rlimits") or ():
        most = limits.get(limit["type"], -1)
        if most >= 0:
            limit["hard"] = min(limit["hard"], most)
            limit["soft"] = min(limit["soft"], limit["hard"])
    if process.get("oomScoreAdj") is not None:
        process["oomScoreAdj"] = max(process["oomScoreAdj"], oom_score)


def target(arguments: list[str]) -> tuple[Path, bool] | None:
    """The file that a call of runc takes a process from, and whether it is a whole bundle's configuration.

    Returns:
        `None`: the call starts no process.
    """
    words = dict(itertools.pairwise(arguments))
    if "create" in arguments or "run" in arguments:
        return Path(words.get("--bundle") or words.get("-b") or ".") / "config.json", True
    if "exec" in arguments and (given := words.get("--process") or words.get("-p")):
        return Path(given), False
    return None


def main() -> None:
    found = target(sys.argv[1:])
    if found is not None:
        path, whole = found
        specification = json.loads(path.read_text())
        process = specification.get("process") or {} if whole else specification
        fit(process, capabilities(Path("/proc/self/status").read_text()), _limits(), _oom_score())
        path.write_text(json.dumps(specification))
    runc = os.environ.get(RUNC, "runc")
    os.execvp(runc, [runc, *sys.argv[1:]])  # noqa: S606 - becoming that program is the purpose


def _limits() -> dict[str, int]:
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name))[1] for name in names}


def _oom_score() -> int:
    return int(Path("/proc/self/oom_score_adj").read_text())


if __name__ == "__main__":
    main()
