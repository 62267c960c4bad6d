"""`python -m bench.gateway`: what the gateway costs, in CPU time of its process for each request that passes it.

The API server is a real one and the client a process of its own, so nothing but the gateway is counted: finding the
run, reading and marking the body, the way to the API server over TLS and back. Requests come one after another.
"""

import argparse
import asyncio
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from cluster.controlplane import ControlPlane, ControlPlaneOptions
from runner.clock import SystemClock
from runner.gateway.discovery import DiscoveryMemory
from runner.gateway.server import Gateway, Grant
from runner.objects import GroupVersionKind, ObjectRef, RunId, Uid
from tests.harness import Api

_MAPS = "/api/v1/namespaces/default/configmaps"
_MAP = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NAME"}, "data": {"a": "x" * 500}})
_OWNER = {"namespace": "default", "name": "bench-owner"}
_WARM_UP = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One sort of request. `NAME` in path and body becomes a name of each request's own."""

    label: str
    method: str
    path: str
    body: str = ""
    connect_each: bool = False
    """A connection for each request, as of processes that ask one thing once."""

    def filled(self, first: int, count: int) -> Iterator[tuple[str, bytes | None]]:
        """Path and body of each request."""
        for number in range(first, first + count):
            body = self.body.replace("NAME", f"bench-{number}").encode()
            yield self.path.replace("NAME", f"bench-{number}"), body or None


_CASES = (
    _Case(label="create, marked as the owner's", method="POST", path=_MAPS, body=_MAP),
    _Case(label="get", method="GET", path=f"{_MAPS}/NAME"),
    _Case(label="replace, read before", method="PUT", path=f"{_MAPS}/NAME", body=_MAP),
    _Case(label="delete", method="DELETE", path=f"{_MAPS}/NAME"),
    _Case(label="get, connecting each time", method="GET", path="/api/v1/namespaces/default", connect_each=True),
    _Case(label="discovery from memory, connecting each time", method="GET", path="/apis", connect_each=True),
    _Case(label="version from memory", method="GET", path="/version"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="requests of each sort (default 1000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as directory:
        plane = ControlPlane.start(ControlPlaneOptions(directory=Path(directory) / "plane", tied_to_caller=True))
        with plane:
            asyncio.run(_measure(plane, options.count))
    return 0


async def _measure(plane: ControlPlane, count: int) -> None:
    async with Api(plane.kubeconfig) as api:
        memory = DiscoveryMemory(clock=SystemClock())
        gateway = Gateway(api.client, api.discovery, check_fence=lambda: None, on_child=lambda *_: None, memory=memory)
        owner = await api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": _OWNER})
        grant = _grant(Uid(owner["metadata"]["uid"]))
        await gateway.start()
        try:
            for case in _CASES:
                await _ask(gateway, grant, case, 0, _WARM_UP)
                cpu_s = time.process_time()
                await _ask(gateway, grant, case, _WARM_UP, count)
                spent_ms = (time.process_time() - cpu_s) / count * 1000
                print(f"{case.label:45} {spent_ms:6.2f} ms CPU a request")
        finally:
            await gateway.stop()


def _grant(owner: Uid) -> Grant:
    return Grant(
        run_id=RunId("bench"),
        owner_gvk=GroupVersionKind("", "v1", "ConfigMap"),
        owner_ref=ObjectRef(_OWNER["namespace"], _OWNER["name"]),
        owner_uid=owner,
        owner_namespaced=True,
    )


async def _ask(gateway: Gateway, grant: Grant, case: _Case, first: int, count: int) -> None:
    """Have a process of its own send the requests.

    Raises:
        RuntimeError: one of them failed.
    """
    access = gateway.grant(grant)
    order = json.dumps(
        {"case": asdict(case), "server": access.server, "token": access.token, "first": first, "count": count}
    )
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from bench.gateway import send; send()"), stdin=asyncio.subprocess.PIPE
    )
    await client.communicate(order.encode())
    gateway.revoke(access)
    if client.returncode != 0:
        raise RuntimeError(f"{case.label}: the client failed")


def send() -> None:
    """Be the client: send what standard input orders.

    Raises:
        RuntimeError: an answer was no success.
    """
    order = json.load(sys.stdin)
    case = _Case(**order["case"])
    headers = {"Authorization": f"Bearer {order['token']}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(urlsplit(order["server"]).netloc)
    for path, body in case.filled(order["first"], order["count"]):
        connection.request(case.method, path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise RuntimeError(f"{case.method} {path}: {answer.status} {said[:300]!r}")
        if case.connect_each:
            connection.close()


if __name__ == "__main__":
    sys.exit(main())
