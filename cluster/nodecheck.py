"""Whether this machine can have a node now, and what would have to be changed on it first."""

import os
import shutil
import sys
from pathlib import Path

from cluster import iptables, machine, network, packages, sysctls
from cluster.kind import record as kind_engine
from cluster.progress import Progress

_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}


def refusal() -> str | None:
    """Say in a sentence why this machine can't have a node now.

    Returns:
        `None`: it can.
    """
    return impossible() or occupied()


def impossible() -> str | None:
    """Say in a sentence why this machine can't have a node, whatever is stopped on it.

    Returns:
        `None`: it can, if no other one runs.
    """
    if not sys.platform.startswith("linux"):
        return "A node needs Linux."
    if os.geteuid() != 0:
        return "A node needs root: it mounts, routes and makes cgroups."
    lacking = lacking_capabilities(Path("/proc/self/status").read_text())
    if lacking:
        return f"A node needs {' and '.join(lacking)}, which this root does not have."
    needs = packages.missing()
    if needs and not installs_packages():
        return f"This is not Debian, and these are not installed: {', '.join(need.package for need in needs)}."
    if network.machine_address() is None:
        return "This machine has no network address but loopback, and Pods can't reach that."
    return None


def occupied() -> str | None:
    """Say in a sentence which other node this machine has.

    Returns:
        `None`: none, or one that stopped uncleanly and will be cleaned up.
    """
    engine = kind_engine.read()
    if engine is not None and engine.alive():
        return "A kind cluster runs on this machine, and changes the same kernel settings: make kind-down stops it."
    record = machine.read()
    if record is None:
        if any(chain.name == "KUBE-SERVICES" for chain in iptables.chains()):
            return "Another Kubernetes node runs on this machine: the packet filter has its KUBE-SERVICES chain."
        return None
    if record.alive():
        return f"This machine's one node runs already, for the cluster in {record.directory}."
    return None


def lacking_capabilities(status: str) -> list[str]:
    """The capabilities a node needs that /proc/PID/status does not show as effective."""
    line = next((line for line in status.splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    effective = int(line.split()[1], 16)
    return [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]


def prepare(progress: Progress) -> None:
    """List what will be changed on the machine, ask on a terminal, and install the missing packages.

    Raises:
        errors.DeclinedError: The answer was no.
        errors.InstallFailedError: A package could not be installed.
    """
    needs = packages.missing()
    packages.ask_leave(packages.announce(needs, sysctls.to_change(sysctls.read())), progress)
    if needs:
        packages.install([need.package for need in needs], progress)


def installs_packages() -> bool:
    """Say whether this is a Debian that apt-get installs packages on."""
    try:
        text = Path("/etc/os-release").read_text()
    except FileNotFoundError:
        return False
    return packages.is_debian(text) and shutil.which("apt-get") is not None
