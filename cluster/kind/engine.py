"""The container engine that kind works with: the machine's own docker, or one that runs for kind clusters only.

Ours is Debian's dockerd in process and mount namespaces of its own, so that the kernel ends every container and every
mount with it, however it ends. It writes no packet filter rules and touches no other engine's files. What is left
after that (one link, cgroups, kernel settings, files) `stop` puts back; a second call does nothing.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cluster import packages, processes, sysctls
from cluster.kind import record, runtime, steps
from cluster.kind.errors import StepFailedError
from cluster.kind.record import DATA, RUN, Record
from cluster.progress import Progress

NETWORK = "kind"
"""The network that kind puts its nodes on, and makes where it is missing."""

LINK = "echo-kind0"
_CGROUP = "echoperator-kind"
_CGROUPS = Path("/sys/fs/cgroup")
_SOCKET = RUN / "docker.sock"
_READY_TIMEOUT_S = 60.0
# Children before parents: each is removed when it is empty.
_FIXED_DIRECTORIES = (
    *("/run/docker/plugins", "/run/docker/containerd", "/run/docker", "/run/containerd/s", "/run/containerd"),
    *("/opt/containerd/bin", "/opt/containerd/lib", "/opt/containerd"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A docker that answers."""

    ours: bool

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to find it."""
        return {"DOCKER_HOST": f"unix://{_SOCKET}"} if self.ours else {}

    def answer(self, *arguments: str) -> str | None:
        """What the client prints. `None`: it failed."""
        return steps.answer([_client(), *arguments], added=self.environment)


def settings(root: Path, run: Path, socket: Path, wrapper: Path) -> dict[str, object]:
    """The configuration of our dockerd. Pure."""
    return {
        "data-root": str(root / "docker"),
        "exec-root": str(run / "exec"),
        "pidfile": str(run / "docker.pid"),
        "hosts": [f"unix://{socket}"],
        "deprecated-key-path": str(root / "key.json"),
        # Ports on this machine are carried by a process, not by rules; nodes reach each other and this machine.
        "bridge": "none",
        "iptables": False,
        "ip-forward": False,
        "ip-masq": False,
        "cgroup-parent": f"/{_CGROUP}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "runtimes": {"fitted": {"path": str(wrapper)}},
        "default-runtime": "fitted",
    }


def found() -> Engine | None:
    """The machine's own docker, if it answers."""
    answered = steps.answer([_client(), "version", "--format", "{{.Server.Version}}"], timeout_s=15.0)
    return Engine(ours=False) if answered else None


def running() -> Engine | None:
    """Ours, if it runs."""
    known = record.read()
    return Engine(ours=True) if known is not None and known.alive() else None


def left_anything() -> bool:
    """Say whether ours runs, or ended without being cleaned up."""
    return record.read() is not None or DATA.exists()


def start(progress: Progress) -> Engine:
    """Start ours, or find it running; cleans up first after one that ended uncleanly. The caller holds the lock.

    Raises:
        StepFailedError: It did not come up; nothing of it is left.
    """
    if (mine := running()) is not None:
        return mine
    stop()
    record.write(
        Record(
            sysctls=sysctls.read(),
            absent=tuple(place for place in _FIXED_DIRECTORIES if not Path(place).exists()),
        )
    )
    try:
        with progress.step("container engine", announce=False):
            return _bring_up()
    except BaseException:
        stop()
        raise


def stop() -> bool:
    """End ours with all that runs in it, and put the machine back. The caller holds the lock.

    Returns:
        Whether there was one.
    """
    known = record.read()
    if known is None:
        left = DATA.exists()  # by a machine that went down with it
        shutil.rmtree(DATA, ignore_errors=True)
        return left
    _kill(known)
    for link in (*_ports(), LINK):
        steps.answer([packages.command("ip") or "ip", "link", "delete", link])
    for top in _cgroups():
        _remove_cgroup(top)
    sysctls.restore(known.sysctls)
    shutil.rmtree(DATA, ignore_errors=True)
    for entry in RUN.iterdir():
        # The record goes last: until then another attempt can be made.
        if entry.name not in ("lock", "record.json"):
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
    for place in known.absent:
        with contextlib.suppress(OSError):  # not empty: somebody else uses it now
            Path(place).rmdir()
    record.forget()
    return True


def traces() -> list[str]:
    """What there is of ours on the machine, for tests: its files, its record, its cgroups, fixed directories."""
    places = [DATA, *_cgroups(), *(Path(place) for place in _FIXED_DIRECTORIES)]
    return [*(str(place) for place in places if place.exists()), *(["record"] if record.read() is not None else [])]


def _cgroups() -> list[Path]:
    """Our cgroup in each hierarchy; cpu and cpuacct may be links to one."""
    tops = (_CGROUPS / _CGROUP, *_CGROUPS.glob(f"*/{_CGROUP}"))
    return sorted({top.resolve() for top in tops if top.is_dir()})


def _kill(known: Record) -> None:
    """Kill the process that the namespaces end with, and see them gone; a container can't ask for time."""
    marked = processes.marked(RUN)
    for process in (known.process, *marked):
        if process is not None:
            process.signal(signal.SIGKILL)
    for process in marked:
        process.wait_gone(10.0)


def _ports() -> list[str]:
    """The host's ends of the nodes' links; connections half closed can keep them for minutes after the nodes."""
    bridge = Path("/sys/class/net") / LINK / "brif"
    return [port.name for port in bridge.iterdir()] if bridge.is_dir() else []


def _bring_up() -> Engine:
    DATA.mkdir(mode=0o711, parents=True, exist_ok=True)
    wrapper, configuration, log = RUN / "runtime", RUN / "daemon.json", RUN / "dockerd.log"
    wrapper.write_text(_wrapper(sys.executable, packages.command("runc") or "runc"))
    wrapper.chmod(0o755)
    configuration.write_text(json.dumps(settings(DATA, RUN, _SOCKET, wrapper), indent=2))
    process = processes.spawn(
        steps.sealed(["docker-init", "--", "dockerd", "--config-file", str(configuration)]),
        log=log,
        env=_environment(os.environ),
        cwd=RUN,
    )
    record.write(replace(_current(), process=process))
    mine = Engine(ours=True)
    if (
        not processes.wait_until(
            lambda: not process.alive() or mine.answer("version") is not None, _READY_TIMEOUT_S, interval_s=0.1
        )
        or not process.alive()
    ):
        raise StepFailedError("starting dockerd", processes.tail(log))
    # Made beforehand, with a name that we know: kind takes the network that is there.
    created = mine.answer("network", "create", "--opt", f"com.docker.network.bridge.name={LINK}", NETWORK)
    if created is None and mine.answer("network", "inspect", NETWORK) is None:
        raise StepFailedError("making the nodes' network", processes.tail(log))
    return mine


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The daemon's: a proxy, where images come through one, and nothing else of ours."""
    proxies = {name: value for name, value in environ.items() if name.lower().endswith("_proxy")}
    return {"PATH": packages.SEARCH_PATH, "HOME": str(RUN), processes.MARKER: str(RUN), **proxies}


def _wrapper(python: str, runc: str) -> str:
    program = Path(runtime.__file__).resolve()
    return (
        "#!/bin/sh\n"
        f"export {runtime.RUNC}={shlex.quote(runc)}\n"
        f'exec {shlex.quote(python)} -I -S {shlex.quote(str(program))} "$@"\n'
    )


def _current() -> Record:
    known = record.read()
    if known is None:
        raise StepFailedError("starting dockerd", "its record has been removed")
    return known


def _client() -> str:
    return shutil.which("docker", path=steps.environment()["PATH"]) or "docker"


def _remove_cgroup(top: Path) -> None:
    """Remove a tree of cgroups; the kernel may need a moment after the last process has gone."""

    def gone() -> bool:
        for place, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(place).rmdir()
        return not top.is_dir()

    processes.wait_until(gone, 5.0, interval_s=0.05)
