"""Removes everything a node leaves on the machine: processes, mounts, links, chains, cgroups, settings, files.

Works from what is there, not from what went well, so it also cleans up after a node whose starter was killed.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cluster import components, iptables, machine, nodeconfig, packages, processes, sysctls
from cluster.processes import ProcessId

_CGROUPS = Path("/sys/fs/cgroup")
_CONTAINER_LOGS = Path("/var/log/containers")
_CNI_RESULTS = Path("/var/lib/cni/results")
_RUNC_STATE = Path("/run/containerd/runc/k8s.io")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
# Children before parents: each is removed when it is empty.
_FIXED_DIRECTORIES = (
    _CONTAINER_LOGS,
    _CNI_RESULTS,
    _CNI_RESULTS.parent,
    _DEVICE_PLUGINS,
    _DEVICE_PLUGINS.parent,
    _RUNC_STATE,
    _RUNC_STATE.parent,
    Path("/run/containerd/s"),
    Path("/run/containerd"),
)
_STOP_ORDER = (nodeconfig.KUBELET, nodeconfig.KUBE_PROXY, nodeconfig.CONTAINERD)


def node(record: machine.Record) -> None:
    """Stop the node that `record` describes and put the machine back as it was. The caller holds the lock."""
    _stop_programs(record)
    _kill_pods(record)
    links = pod_links(_ip("addr", "show"))
    for path in reversed(mounts_below((machine.RUN, machine.DATA), Path("/proc/self/mountinfo").read_text())):
        _unmount(path)
    for link in links:
        _ip("link", "delete", link)
    for top in _pod_cgroups(record):
        _remove_cgroup(top)
    iptables.remove(keep=record.chains)
    sysctls.restore(record.sysctls)
    _remove_files(record)
    machine.forget()


def absent_directories() -> tuple[str, ...]:
    """Those of the fixed places of a node's programs that this machine does not have."""
    return tuple(str(place) for place in _FIXED_DIRECTORIES if not place.exists())


def _stop_programs(record: machine.Record) -> None:
    for name in _STOP_ORDER:
        if name in record.running:
            processes.stop([record.running[name].process], timeout_s=5.0)
    unrecorded = processes.marked(record.directory / "node")
    # The shims carry the mark too; they go with their Pods.
    shims = set(_shims())
    processes.stop([process for process in unrecorded if process not in shims], timeout_s=5.0)


def _kill_pods(record: machine.Record) -> None:
    """Kill every process of a Pod, then the shims, which hold nothing after that."""
    shims = _shims()
    pods = processes.descendants(shim.pid for shim in shims)
    for top in _pod_cgroups(record):
        pods += _members(top)
    _kill(pods)
    _kill(shims)
    # A shim that was being started while we looked.
    _kill(processes.marked(record.directory / "node"))


def _kill(doomed: list[ProcessId]) -> None:
    for process in doomed:
        process.signal(signal.SIGKILL)
    for process in doomed:
        process.wait_gone(5.0)


def _shims() -> list[ProcessId]:
    """Containerd's shims that were started by our containerd."""
    socket = str(machine.RUN).encode()
    found = []
    for process in processes.everyone():
        with contextlib.suppress(OSError):
            arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            if b"containerd-shim" in arguments[0] and any(word.startswith(socket) for word in arguments[1:]):
                found.append(process)
    return found


def mounts_below(places: tuple[Path, ...], mountinfo: str) -> list[Path]:
    """The mount points in or below `places`, in the order they were mounted."""
    found = []
    for line in mountinfo.splitlines():
        escaped = line.split()[4]
        path = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), escaped))
        if any(path.is_relative_to(place) for place in places):
            found.append(path)
    return found


def _unmount(path: Path) -> None:
    umount = packages.command("umount") or "umount"
    if subprocess.run([umount, path], capture_output=True, check=False).returncode != 0:
        subprocess.run([umount, "--lazy", path], capture_output=True, check=False)


def pod_links(addresses: str) -> list[str]:
    """The host's ends of the Pods' links, by `ip -json addr`: those that carry the Pod network's gateway."""
    gateway = components.POD_NETWORK.rpartition(".")[0] + ".1"
    return [
        link["ifname"]
        for link in json.loads(addresses or "[]")
        if any(info.get("local") == gateway for info in link.get("addr_info", []))
    ]


def _ip(*arguments: str) -> str:
    ip = packages.command("ip")
    if ip is None:
        return ""
    return subprocess.run([ip, "-json", *arguments], capture_output=True, text=True, check=False).stdout


def pod_cgroup_roots() -> list[Path]:
    """The kubelet's cgroup in each hierarchy that has one."""
    tops = [_CGROUPS / "kubepods", *sorted(_CGROUPS.glob("*/kubepods"))]
    # cpu and cpuacct may be links to one hierarchy.
    return sorted({top.resolve() for top in tops if top.is_dir()})


def _pod_cgroups(record: machine.Record) -> Iterator[Path]:
    for top in pod_cgroup_roots():
        if str(top) not in record.cgroups:
            yield top


def _members(top: Path) -> list[ProcessId]:
    found = []
    for place, _, _ in os.walk(top):
        with contextlib.suppress(OSError):
            for pid in Path(place, "cgroup.procs").read_text().split():
                process = processes.identify(int(pid))
                if process is not None:
                    found.append(process)
    return found


def _remove_cgroup(top: Path, timeout_s: float = 5.0) -> None:
    """Remove a tree of cgroups; the kernel may need a moment after the last process has gone."""
    deadline = time.monotonic() + timeout_s
    while top.is_dir() and time.monotonic() < deadline:
        for place, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(place).rmdir()
        if top.is_dir():
            time.sleep(0.05)


def _remove_files(record: machine.Record) -> None:
    tasks = machine.RUN / "containerd" / "io.containerd.runtime.v2.task" / "k8s.io"
    containers = {task.name for task in tasks.glob("*")}
    for address in tasks.glob("*/address"):
        with contextlib.suppress(OSError):
            Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)
    _remove_if(_RUNC_STATE, lambda path: path.name in containers)
    _remove_if(_CNI_RESULTS, lambda path: any(container in path.name for container in containers))
    _remove_if(_CONTAINER_LOGS, lambda path: path.is_symlink() and path.readlink().is_relative_to(machine.DATA))
    if str(_DEVICE_PLUGINS) in record.absent:
        (_DEVICE_PLUGINS / "kubelet.sock").unlink(missing_ok=True)
    for place in record.absent:
        with contextlib.suppress(OSError):  # not empty: somebody else uses it now
            Path(place).rmdir()
    shutil.rmtree(machine.DATA, ignore_errors=True)
    for entry in machine.RUN.iterdir():
        # The record goes last: until then another attempt can be made.
        if entry.name not in ("lock", "record.json"):
            _remove(entry)


def _remove_if(directory: Path, doomed: Callable[[Path], bool]) -> None:
    """Remove the entries of a directory that are ours."""
    if not directory.is_dir():
        return
    for path in directory.iterdir():
        if doomed(path):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
