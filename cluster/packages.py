"""Debian packages that a node needs: which are missing, asking for leave, installing.

Needs are files, not packages: a containerd from elsewhere does as well as Debian's. Never removes a package and
never replaces one.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import DeclinedError, InstallFailedError
from cluster.progress import Progress

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something a node can't do without, and the Debian package that has it."""

    package: str
    purpose: str
    present: Callable[[], bool]


def command(name: str) -> str | None:
    """The path of a program that a node uses."""
    return shutil.which(name, path=SEARCH_PATH)


def _commands(*names: str) -> Callable[[], bool]:
    return lambda: all(command(name) for name in names)


CNI_PLUGINS = ("ptp", "host-local", "portmap", "firewall", "loopback")
_CNI_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))


def cni_directory() -> Path | None:
    """Where the network plugins are.

    Returns:
        `None`: no directory has all of them.
    """
    for directory in _CNI_DIRECTORIES:
        if all((directory / plugin).exists() for plugin in CNI_PLUGINS):
            return directory
    return None


NEEDS = (
    Need(
        package="containerd",
        purpose="runs the containers; Debian also starts a service of its own, which is not used",
        present=_commands("containerd", "containerd-shim-runc-v2", "ctr"),
    ),
    Need(package="runc", purpose="starts one container", present=_commands("runc")),
    Need(
        package="containernetworking-plugins",
        purpose="give each Pod its network",
        present=lambda: cni_directory() is not None,
    ),
    Need(
        package="iptables",
        purpose="lets Pods reach Services",
        present=_commands("iptables", "iptables-save", "iptables-restore"),
    ),
    Need(
        package="conntrack",
        purpose="forgets connections to Pods that have gone",
        present=_commands("conntrack"),
    ),
    Need(package="socat", purpose="carries port-forward", present=_commands("socat")),
    Need(package="iproute2", purpose="removes the Pods' links", present=_commands("ip")),
    Need(package="mount", purpose="mounts volumes", present=_commands("mount", "umount")),
)


def missing(needs: Sequence[Need] = NEEDS) -> list[Need]:
    return [need for need in needs if not need.present()]


def is_debian(os_release: str) -> bool:
    """Say by the text of /etc/os-release whether apt-get installs here."""
    fields = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    names = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".replace('"', " ").split()
    return "debian" in names


def announce(needs: Sequence[Need], sysctls: Mapping[str, str]) -> list[str]:
    """The lines that say what a node will change on the machine."""
    return changes(
        needs,
        sysctls,
        installs="The node needs these Debian packages, which will be installed and stay:",
        sets=f"{'and' if needs else 'The node'} sets these kernel settings, which cluster-down puts back:",
    )


def changes(needs: Sequence[Need], settings: Mapping[str, str], *, installs: str, sets: str) -> list[str]:
    """Packages and kernel settings, a line each, below a sentence each; none where there are none."""
    lines = []
    if needs:
        lines += [installs, *(f"  {need.package:28} {need.purpose}" for need in needs)]
    if settings:
        lines += [sets, *(f"  {name} = {value}" for name, value in settings.items())]
    return lines


def ask_leave(lines: Sequence[str], progress: Progress, *, environ: Mapping[str, str] = os.environ) -> None:
    """Show what will be changed; on a terminal, wait for a yes. `YES=1` is one.

    Raises:
        DeclinedError: The answer was no.
    """
    if not lines:
        return
    for line in lines:
        progress.warn(line)
    if environ.get("YES") == "1" or not sys.stdin.isatty():
        return
    print("Go on? [Y/n] ", end="", file=progress.stream, flush=True)  # standard output is for results
    answer = sys.stdin.readline().strip().lower()
    if answer not in ("", "y", "yes"):
        raise DeclinedError("declined")


def install(names: Sequence[str], progress: Progress) -> None:
    """Install Debian packages without removing any.

    Raises:
        InstallFailedError: apt-get could not, with fresh lists too.
    """
    arguments = [
        *("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "--no-remove"),
        *("--option", "DPkg::Lock::Timeout=120"),
        *names,
    ]
    with progress.step(f"installing {' '.join(names)}"):
        if _apt(arguments).returncode == 0:
            return
        _apt(["apt-get", "update", "--quiet"])
        again = _apt(arguments)
        if again.returncode != 0:
            raise InstallFailedError(names, again.stdout)


def download(name: str, directory: Path) -> Path:
    """Fetch a package's file without installing it, for unpacking.

    Raises:
        InstallFailedError: apt-get could not, with fresh lists too.
    """
    arguments = ["apt-get", "download", "--quiet", name]
    if _apt(arguments, cwd=directory).returncode != 0:
        _apt(["apt-get", "update", "--quiet"])
        again = _apt(arguments, cwd=directory)
        if again.returncode != 0:
            raise InstallFailedError([name], again.stdout)
    return next(directory.glob(f"{name}_*.deb"))


def _apt(arguments: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    with subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
        # A session of its own keeps the terminal's Ctrl-C away: half an installation is worse than a late stop.
        start_new_session=True,
    ) as apt:
        try:
            output, _ = apt.communicate()
        except BaseException:
            apt.communicate()
            raise
    return subprocess.CompletedProcess(arguments, apt.returncode, output)
