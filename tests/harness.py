"""What integration tests hold on to: a client with all rights, and an operator as a process of its own."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from runner.clock import SystemClock
from runner.kube import config
from runner.kube.client import APPLY, KubeClient
from runner.kube.discovery import Discovery
from runner.kube.errors import ApiError
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

ROOT = Path(__file__).resolve().parent.parent
ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")
SCHEDULED_ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "ScheduledEcho")
JOB = GroupVersionKind("batch", "v1", "Job")
CRON_JOB = GroupVersionKind("batch", "v1", "CronJob")
POD = GroupVersionKind("", "v1", "Pod")
DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
LEASE = GroupVersionKind("coordination.k8s.io", "v1", "Lease")
CRD = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
COLLECTED = 150.0
"""Seconds in which what has lost its owner is gone: the garbage collector learns of new kinds every half minute."""


async def eventually[T](
    look: Callable[[], Awaitable[T | None]], *, within: float = 60.0, every: float = 0.1, what: str = ""
) -> T:
    """Return the first thing that `look` finds; fail the test when there is none in that many seconds."""
    end = time.monotonic() + within
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < end, f"not within {within:g} s: {what or look.__name__}"
        await asyncio.sleep(every)


def echo(name: str, namespace: str, message: str | None = "hello", **spec: Any) -> Raw:
    """An Echo; `message=None` leaves the whole spec out."""
    body: Raw = {"apiVersion": ECHO.api_version, "kind": "Echo", "metadata": {"name": name, "namespace": namespace}}
    if message is not None:
        body["spec"] = {"message": message, **spec}
    return body


def scheduled_echo(name: str, namespace: str, message: str = "hello", schedule: str = "0 3 * * *", **spec: Any) -> Raw:
    return {
        "apiVersion": SCHEDULED_ECHO.api_version,
        "kind": "ScheduledEcho",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"message": message, "schedule": schedule, **spec},
    }


def condition_of(obj: Raw | None, kind: str) -> Raw:
    """One condition of an object, or an empty mapping."""
    conditions = ((obj or {}).get("status") or {}).get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == kind), {})


def succeeded(obj: Raw | None) -> bool:
    """Whether the object's present generation was reconciled with success."""
    if obj is None:
        return False
    status = obj.get("status") or {}
    current = status.get("observedGeneration") == obj["metadata"]["generation"]
    return current and condition_of(obj, "Successful").get("status") == "True"


class Api:
    """Reads and writes by kind, with all rights."""

    def __init__(self, kubeconfig: Path) -> None:
        clock = SystemClock()
        self.client = KubeClient(config.load(kubeconfig=str(kubeconfig), clock=clock), user_agent="tests")
        self.discovery = Discovery(self.client, clock=clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        return await self.discovery.resource(gvk)

    async def apply(self, obj: Raw) -> Raw:
        """Server-side apply, forced."""
        resource = await self.resource(GroupVersionKind.of(obj))
        meta = obj["metadata"]
        ref = ObjectRef(meta.get("namespace", ""), meta["name"])
        return await self.client.request(
            "PATCH",
            resource.path(ref),
            params={"fieldManager": "tests", "force": "true"},
            body=obj,
            content_type=APPLY,
        )

    async def create(self, obj: Raw) -> Raw:
        resource = await self.resource(GroupVersionKind.of(obj))
        return await self.client.create(resource, obj, namespace=obj["metadata"].get("namespace", ""))

    async def get(self, gvk: GroupVersionKind, namespace: str, name: str) -> Raw | None:
        """The object, or `None` where there is none."""
        try:
            return await self.client.get(await self.resource(gvk), ObjectRef(namespace, name))
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def list(self, gvk: GroupVersionKind, namespace: str = "") -> list[Raw]:
        page = await self.client.list_page(await self.resource(gvk), namespace=namespace, limit=5000)
        return page.items

    async def patch(self, gvk: GroupVersionKind, namespace: str, name: str, body: Raw, subresource: str = "") -> Raw:
        return await self.client.patch(
            await self.resource(gvk), ObjectRef(namespace, name), body, subresource=subresource
        )

    async def delete(self, gvk: GroupVersionKind, namespace: str, name: str) -> Raw:
        """Delete; returns what the API server says, which is the object where something has to end before it goes."""
        return await self.client.delete(await self.resource(gvk), ObjectRef(namespace, name))

    async def clear(self, namespace: str) -> None:
        """Delete all our resources of a namespace."""
        for gvk in (ECHO, SCHEDULED_ECHO):
            path = (await self.resource(gvk)).path(namespace=namespace)
            await self.client.request("DELETE", path)

    async def gone(self, gvk: GroupVersionKind, namespace: str, name: str, *, within: float = 60.0) -> None:
        async def look() -> bool:
            return await self.get(gvk, namespace, name) is None

        await eventually(look, within=within, what=f"{gvk.kind} {namespace}/{name} is gone")

    async def until(
        self,
        gvk: GroupVersionKind,
        namespace: str,
        name: str,
        check: Callable[[Raw], bool] = lambda _obj: True,
        *,
        within: float = 60.0,
    ) -> Raw:
        """The object as soon as it exists and passes `check`."""

        async def look() -> Raw | None:
            obj = await self.get(gvk, namespace, name)
            return obj if obj is not None and check(obj) else None

        return await eventually(look, within=within, what=f"{gvk.kind} {namespace}/{name}")

    async def when[T](
        self,
        gvk: GroupVersionKind,
        namespace: str,
        look: Callable[[dict[str, Raw]], T | None],
        *,
        within: float = 60.0,
        what: str = "",
    ) -> T:
        """The first thing that `look` finds in a namespace's objects, by name; shown after each event of a watch."""
        resource = await self.resource(gvk)
        try:
            async with asyncio.timeout(within):
                while True:
                    async with contextlib.aclosing(self._changes(resource, namespace, within)) as changes:
                        async for objects in changes:
                            if found := look(objects):
                                return found
        except TimeoutError:
            raise AssertionError(f"not within {within:g} s: {what or f'{gvk.kind} in {namespace}'}") from None

    async def _changes(self, resource: Resource, namespace: str, within: float) -> AsyncGenerator[dict[str, Raw]]:
        page = await self.client.list_page(resource, namespace=namespace, limit=5000)
        objects = {obj["metadata"]["name"]: obj for obj in page.items}
        yield objects
        events = self.client.watch(
            resource,
            resource_version=page.resource_version,
            namespace=namespace,
            timeout_s=round(within) + 1,
            read_timeout_s=within + 1,
        )
        async for kind, obj in events:
            if kind == "DELETED":
                objects.pop(obj["metadata"]["name"], None)
            elif kind != "BOOKMARK":
                objects[obj["metadata"]["name"]] = obj
            yield objects

    async def install_crds(self, directory: Path) -> None:
        """Apply every CRD below `directory` and wait until its kind is served."""
        for crd in _manifests(directory):
            await self.apply(crd)
            name = crd["metadata"]["name"]
            await self.until(
                CRD, "", name, lambda obj: condition_of(obj, "Established").get("status") == "True", within=30
            )


def _manifests(directory: Path) -> list[Raw]:
    files = sorted(directory.glob("*.yaml"))
    return [obj for file in files for obj in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def install_crds(plane: "ControlPlane") -> None:
    """Have our CRDs served."""
    install(plane, ROOT / "config" / "crd")


def install(plane: "ControlPlane", kustomization: Path) -> None:
    """Apply what there is, and wait until the kinds are served that it defines. Others' may come and go meanwhile."""
    applied = kubectl(plane, "apply", "--server-side", "--output=name", "-k", str(kustomization)).split()
    definitions = [name for name in applied if name.startswith("customresourcedefinition.")]
    kubectl(plane, "wait", "--for=condition=Established", "--timeout=60s", *definitions)


def kubectl(plane: "ControlPlane", *arguments: str, given: str = "") -> str:
    """What it prints; a failure is the test's. Some fixtures that need it run inside an event loop."""
    command = [str(plane.kubectl), f"--kubeconfig={plane.kubeconfig}", *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


class Operator:
    """`ansible-operator run` in a process group of its own, in the foreground of nobody."""

    def __init__(
        self,
        *,
        kubeconfig: Path,
        directory: Path,
        arguments: Sequence[str] = (),
        project: Path = ROOT,
        environment: dict[str, str] | None = None,
    ) -> None:
        directory.mkdir(parents=True)
        self.log_file = directory / "operator.log"
        self.health_port = free_port()
        self.metrics_port = free_port()
        self.runs = directory / "tmp"
        self.runs.mkdir()
        command = [
            sys.executable,
            "-m",
            "runner",
            "run",
            f"--kubeconfig={kubeconfig}",
            f"--health-probe-bind-address=127.0.0.1:{self.health_port}",
            f"--metrics-bind-address=127.0.0.1:{self.metrics_port}",
            "--log-format=json",
            *arguments,
        ]
        self._log = self.log_file.open("wb")
        self.process = subprocess.Popen(
            command,
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "python"),
                "ANSIBLE_GATHERING": "explicit",
                "TMPDIR": str(self.runs),
                **(environment or {}),
            },
        )

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def lines(self, message: str) -> list[dict[str, Any]]:
        """Log lines with that constant message."""
        found = []
        for line in self.log.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record.get("msg") == message:
                found.append(record)
        return found

    def probe(self, path: str = "/readyz") -> int:
        """HTTP status of a probe; 0 while nothing answers."""
        return self._fetch(self.health_port, path)[0]

    def metrics(self) -> str:
        return self._fetch(self.metrics_port, "/metrics")[1]

    async def ready(self, *, within: float = 30.0) -> Self:
        """Wait until the readiness probe passes."""
        return await asyncio.to_thread(self.wait_ready, within)

    def wait_ready(self, within: float = 30.0) -> Self:
        end = time.monotonic() + within
        while self.probe() != 200:
            assert self.process.poll() is None, f"the operator ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() < end, f"not ready within {within:g} s:\n{self.log}"
            time.sleep(0.05)
        return self

    def runs_finished(self) -> int:
        """How many runs of Ansible have ended, by the operator's own count."""
        lines = self.metrics().splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith("ansible_operator_runs_total{"))

    def kill(self) -> None:
        """kill -9 of the operator process alone, as a crash would."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def exit_code(self, *, within: float = 60.0) -> int:
        return await asyncio.to_thread(self.process.wait, within)

    def run_processes(self) -> list[int]:
        """Processes of this operator's runs that are alive: those that have its directory for runs in hand.

        That is in their environment, or they hold the file that keeps others from clearing it away. The operator that
        lives and the warm parent below it are none; a warm parent that has outlived its operator is one.
        """
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in {os.getpid(), self.process.pid}:
                try:
                    if self._has_in_hand(entry) and not self._is_warm_parent(entry):
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def _has_in_hand(self, process: Path) -> bool:
        needle = str(self.runs)
        if not (process / "cmdline").read_bytes():
            return False
        if needle.encode() in (process / "environ").read_bytes():
            return True
        return any(needle in str(descriptor.readlink()) for descriptor in (process / "fd").iterdir())

    def _is_warm_parent(self, process: Path) -> bool:
        parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        return parent == self.process.pid and b"runner.execution.warm.forkserver" in (process / "cmdline").read_bytes()

    def dispose(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(45)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()

    @staticmethod
    def _fetch(port: int, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""
