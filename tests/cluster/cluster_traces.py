"""What a cluster can leave on the machine, and the command line as a process to be interrupted."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster import cleanup, images, machine, nodecheck, packages, processes, sysctls
from cluster.kind import engine, needs, record

ROOT = Path(processes.__file__).resolve().parent.parent


def require_node() -> None:
    """Skip where no node is possible; fail where one is in the way, which can be stopped."""
    record = machine.read()
    if record is not None and record.alive():
        pytest.fail(f"a node runs on this machine, for {record.directory}: stop it first")
    reason = nodecheck.refusal()
    if reason is not None:
        pytest.skip(reason)


def require_own_engine() -> None:
    """Skip where kind gets no engine of ours; fail where a node or another one is in the way, which can be stopped."""
    if engine.found() is not None:
        pytest.skip("docker answers here, so kind gets no engine of ours")
    if engine.left_anything():
        pytest.fail("an engine of ours for kind runs on this machine, or was not cleaned up: make kind-down")
    if (reason := needs.refusal()) is not None:
        pytest.skip(reason)
    if (blocked := needs.occupied()) is not None:
        pytest.fail(blocked)


class Cluster:
    """kubectl against a kubeconfig."""

    def __init__(self, kubectl: Path, kubeconfig: Path) -> None:
        self._command = [kubectl, "--kubeconfig", kubeconfig]

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [*self._command, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=90
        )
        return done.stdout + done.stderr

    def run_job(self, name: str, *command: str, image: str = images.BUSYBOX) -> str:
        """Run a Job to its end; returns its Pod's output."""
        self("create", "job", name, f"--image={image}", "--", *command)
        said = self("wait", "--for=condition=complete", f"job/{name}", "--timeout=60s")
        assert "condition met" in said, said + self("describe", "pods")
        return self("logs", f"job/{name}")


def processes_of(*places: Path) -> list[str]:
    """The command lines of all processes that name one of `places`, or carry a cluster's mark below them."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes()
            marks = [
                word for word in (entry / "environ").read_bytes().split(b"\0") if processes.MARKER.encode() in word
            ]
            if any(str(place).encode() in text for place in places for text in (arguments, *marks)):
                found.append(f"{entry.name}: {arguments.replace(bytes(1), b' ').decode()}")
    return found


def mounts_of(*places: Path) -> list[Path]:
    return cleanup.mounts_below(places, Path("/proc/self/mountinfo").read_text())


def machine_state() -> dict[str, Any]:
    """Everything outside its own directories that a node, ours or kind's, changes while it runs."""
    places = (machine.RUN, machine.DATA, record.RUN, record.DATA)
    return {
        "sysctls": sysctls.read(),
        "rules": _rules(),
        "links": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "cgroups": cleanup.pod_cgroup_roots(),
        "absent": cleanup.absent_directories(),
        "mounts": mounts_of(*places),
        "processes": processes_of(*places),
        "data": machine.DATA.exists(),
        "engine": engine.traces(),
        "record": machine.read(),
    }


def _rules() -> list[str]:
    rules = []
    for name in ("iptables-save", "ip6tables-save"):
        save = packages.command(name)
        if save is not None:
            text = subprocess.run([save], capture_output=True, text=True, check=False).stdout
            rules += [line for line in text.splitlines() if line.startswith("-A") or "KUBE" in line or "CNI-" in line]
    return sorted(rules)


def cluster_command(
    directory: Path, *arguments: str, module: str = "cluster", timeout_s: float = 110.0
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "ECHOPERATOR_CLUSTER_DIR": str(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


@contextmanager
def cluster_process(directory: Path, *arguments: str, module: str = "cluster") -> Iterator[subprocess.Popen[str]]:
    """The command line while it runs; whatever it leaves is stopped at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "ECHOPERATOR_CLUSTER_DIR": str(directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            cluster_command(directory, "down", "--all", module=module)
