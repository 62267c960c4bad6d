"""helm on our chart, and what a kubelet does for a hook."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import CRD, POD, ROOT, Api, install_crds, kubectl
from manifests import parsed
from operator_account import account_kubeconfig
from runner.objects import GroupVersionKind, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

__all__ = ["CHART", "Helm", "definitions_removed", "hooks_run", "subresources"]

CHART = ROOT / "charts" / "echoperator"
_CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """The program, with files of its own in `home`."""

    program: Path
    home: Path
    kubeconfig: Path | None = None

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        if self.kubeconfig is not None:
            environment["KUBECONFIG"] = str(self.kubeconfig)
        return subprocess.run(
            [self.program, *arguments], capture_output=True, text=True, check=False, env=environment, timeout=150
        )

    def __call__(self, *arguments: str) -> str:
        """What it prints; a failure is the test's."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def template(self, *arguments: str, release: str = "echoperator") -> list[Raw]:
        """The objects of our chart."""
        return parsed(self("template", release, str(CHART), "--namespace=ops", *arguments))


@asynccontextmanager
async def definitions_removed(plane: "ControlPlane", client: Helm, release: str, namespace: str) -> AsyncIterator[None]:
    """A cluster without our definitions. In the end the release goes, and the other tests get theirs back."""
    without = ("delete", "--ignore-not-found", "-k", str(ROOT / "config" / "crd"))
    await asyncio.to_thread(kubectl, plane, *without)
    try:
        yield
    finally:
        await asyncio.to_thread(client.run, "uninstall", release, f"--namespace={namespace}", "--no-hooks")
        await asyncio.to_thread(kubectl, plane, *without)  # helm's own would be in the way
        await asyncio.to_thread(install_crds, plane)


async def subresources(api: Api) -> list[list[str]]:
    """Of the versions of our definitions."""
    ours = [crd for crd in await api.list(CRD) if crd["spec"]["group"] == "mmontes.io"]
    return [list(version.get("subresources", {})) for crd in ours for version in crd["spec"]["versions"]]


@asynccontextmanager
async def hooks_run(plane: "ControlPlane", api: Api, namespace: str, directory: Path) -> AsyncIterator[list[Raw]]:
    """Do for the Pods of hooks what a kubelet would: run their command as their account with what they mount.

    Yields:
        The Pods that were run, in order, each as it was before, with what it `said`. A Job tries again where a right
        takes a moment to count, so only the last one is sure to have succeeded.
    """
    done: list[Raw] = []

    async def serve() -> None:
        while True:
            for pod in await api.list(POD, namespace):
                if _is_hook(pod) and pod["metadata"]["uid"] not in {other["metadata"]["uid"] for other in done}:
                    done.append(pod)
                    phase = await _run(plane, api, pod, directory / pod["metadata"]["uid"])
                    name = pod["metadata"]["name"]
                    await api.patch(POD, namespace, name, {"status": {"phase": phase}}, "status")
            await asyncio.sleep(0.1)

    serving = asyncio.create_task(serve())
    try:
        yield done
    finally:
        serving.cancel()
        await asyncio.wait({serving})
        if not serving.cancelled():
            serving.result()


def _is_hook(pod: Raw) -> bool:
    return pod["metadata"]["labels"].get("app.kubernetes.io/name") == "echoperator-crds"


async def _run(plane: "ControlPlane", api: Api, pod: Raw, directory: Path) -> str:
    """The phase that the Pod ends in."""
    namespace, spec = pod["metadata"]["namespace"], pod["spec"]
    (container,) = spec["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    program, command, mounted = container["command"]
    assert program == "/usr/local/bin/ansible-operator"
    config_map = await api.get(_CONFIG_MAP, namespace, volumes[mounts[mounted]]["configMap"]["name"])
    assert config_map is not None
    (directory / "mounted").mkdir(parents=True)
    for name, text in config_map["data"].items():
        (directory / "mounted" / name).write_text(text, encoding="utf-8")
    kubeconfig = account_kubeconfig(plane, namespace, spec["serviceAccountName"], directory)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runner", command, str(directory / "mounted")),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "python"), "KUBECONFIG": str(kubeconfig)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    pod["said"] = said.decode()
    return "Failed" if process.returncode else "Succeeded"
