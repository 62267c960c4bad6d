"""A gateway in front of a real API server, and the ways through it: plain requests, and clients as processes."""

import asyncio
import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

from harness import ECHO, Api
from runner.clock import SystemClock
from runner.gateway.discovery import DiscoveryMemory, Source
from runner.gateway.ownership import Owner
from runner.gateway.server import Access, Gateway, Grant, kubeconfig
from runner.kube.errors import Fenced
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource, RunId, Uid

__all__ = ["CONFIG_MAP", "Answer", "Door", "Seen", "config_map"]

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
DEAD_PROXY = "http://127.0.0.1:9"


def config_map(name: str, **data: str) -> Raw:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"a": "b"}}


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Seen:
    """What the gateway tells of children."""

    children: list[tuple[GroupVersionKind, str]] = field(default_factory=list)

    def __call__(self, owner: Owner, child: Resource, namespace: str) -> None:
        self.children.append((child.gvk, namespace))


class Door:
    """A gateway that serves one Echo, and the way through it."""

    def __init__(self, api: Api, namespace: str, owner: Raw, tmp: Path, kubectl: Path) -> None:
        self.api, self.namespace, self.owner, self.kubectl_binary = api, namespace, owner, kubectl
        self.seen = Seen()
        self.fenced = False
        self.discovered: list[Source] = []
        self.memory = DiscoveryMemory(clock=SystemClock(), observe=self.discovered.append)
        self.gateway = Gateway(
            api.client, api.discovery, check_fence=self._check_fence, on_child=self.seen, memory=self.memory
        )
        self.session = aiohttp.ClientSession(auto_decompress=False)
        self._tmp = tmp
        self.access: Access

    async def __aenter__(self) -> Self:
        await self.gateway.start()
        self.access = self.grant()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self.gateway.stop()

    def _check_fence(self) -> None:
        if self.fenced:
            raise Fenced("the lease is not surely ours")

    @property
    def uid(self) -> str:
        return str(self.owner["metadata"]["uid"])

    @property
    def reference(self) -> Raw:
        return {"apiVersion": "mmontes.io/v1alpha1", "kind": "Echo", "name": "owner", "uid": self.uid}

    def grant(self, **changes: Any) -> Access:
        values: dict[str, Any] = {
            "run_id": RunId("run-1"),
            "owner_gvk": ECHO,
            "owner_ref": ObjectRef(self.namespace, "owner"),
            "owner_uid": Uid(self.uid),
            "owner_namespaced": True,
        }
        return self.gateway.grant(Grant(**values | changes))

    async def ask(
        self,
        method: str,
        path: str,
        body: Raw | bytes | None = None,
        *,
        content_type: str = "application/json",
        access: Access | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        access = access or self.access
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        sent = {"Authorization": f"Bearer {access.token}", "Accept-Encoding": "identity", **(headers or {})}
        if data is not None:
            sent["Content-Type"] = content_type
        url = f"{access.server}{path}"
        stream = io.BytesIO(data) if data is not None else None
        async with asyncio.timeout(30), self.session.request(method, url, data=stream, headers=sent) as response:
            return Answer(response.status, await response.read(), response.headers)

    def maps(self, name: str = "", namespace: str = "") -> str:
        path = f"/api/v1/namespaces/{namespace or self.namespace}/configmaps"
        return f"{path}/{name}" if name else path

    def kubeconfig(self, access: Access | None = None) -> Path:
        file = self._tmp / "kubeconfig"
        file.write_text(kubeconfig(access or self.access, self.namespace), encoding="utf-8")
        return file

    async def run(self, *argv: str | Path, stdin: str = "", proxied: bool = False, ok: bool = True) -> str:
        """Run a client as a role does: the kubeconfig in its environment, and perhaps a proxy that leads nowhere."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._tmp),
            "KUBECONFIG": str(self.kubeconfig()),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        if proxied:
            environment |= {"HTTP_PROXY": DEAD_PROXY, "http_proxy": DEAD_PROXY, "HTTPS_PROXY": DEAD_PROXY}
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            output, _ = await process.communicate(stdin.encode())
        text = output.decode()
        assert (process.returncode == 0) is ok, text
        return text

    async def kubectl(self, *arguments: str, **options: Any) -> str:
        return await self.run(self.kubectl_binary, *arguments, **options)

    async def owners(self, name: str, gvk: GroupVersionKind = CONFIG_MAP, namespace: str | None = None) -> list[Raw]:
        obj = await self.api.get(gvk, self.namespace if namespace is None else namespace, name)
        assert obj is not None
        return list(obj["metadata"].get("ownerReferences", []))
