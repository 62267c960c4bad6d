"""Who may read the metrics, decided by a real API server: 401 nobody, 403 somebody, 200 who has the right."""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml

from harness import Api, Operator
from runner.clock import SystemClock
from runner.httpserver.reviews import Reviewer
from runner.httpserver.server import Address, HttpServer, metrics_routes
from runner.httpserver.tls import OwnCertificate
from runner.kube import config
from runner.kube.client import KubeClient
from runner.objects import Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

READER = {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}
TOKENS = {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
ACCESS = {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]}


@dataclass(frozen=True, slots=True)
class Accounts:
    """Makes service accounts with rights of their own."""

    api: Api
    namespace: str

    async def token(self, name: str, *rules: Raw) -> str:
        """A token of a new account that may do what the rules say, in the whole cluster."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts"
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        await self.api.client.request("POST", path, body=account)
        if rules:
            await self._allow(name, list(rules))
        body: Raw = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = await self.api.client.request("POST", f"{path}/{name}/token", body=body)
        return str(answer["status"]["token"])

    async def _allow(self, name: str, rules: list[Raw]) -> None:
        group = "rbac.authorization.k8s.io"
        full = f"{self.namespace}-{name}"
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        reference = {"apiGroup": group, "kind": "ClusterRole", "name": full}
        for kind, rest in (
            ("ClusterRole", {"rules": rules}),
            ("ClusterRoleBinding", {"roleRef": reference, "subjects": [subject]}),
        ):
            await self.api.apply({"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": full}, **rest})


@pytest.fixture
def accounts(api: Api, namespace: str) -> Accounts:
    return Accounts(api, namespace)


async def get(port: int, token: str | None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://127.0.0.1:{port}/metrics", headers=headers, ssl=trust) as answer,
    ):
        return answer.status, await answer.text()


async def code(port: int, token: str | None, *, wanted: int) -> int:
    """The status; a right takes effect a moment after it was given."""
    for _ in range(50):
        status, _ = await get(port, token)
        if status == wanted:
            break
        await asyncio.sleep(0.1)
    return status


@asynccontextmanager
async def serving(client: KubeClient) -> AsyncIterator[int]:
    """Metrics of nothing, guarded by what that client is told."""
    clock = SystemClock()
    server = HttpServer(
        Address("127.0.0.1", 0),
        metrics_routes(lambda _: (b"up 1\n", "text/plain")),
        flag="--metrics-bind-address",
        admit=Reviewer(client, clock=clock),
        tls=OwnCertificate(clock=clock).context,
    )
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop()


def as_account(plane: "ControlPlane", token: str, directory: Path) -> KubeClient:
    """A client with that account's rights."""
    settings: dict[str, Any] = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
    settings["users"] = [{"name": entry["name"], "user": {"token": token}} for entry in settings["users"]]
    file = directory / "account.kubeconfig"
    file.write_text(json.dumps(settings), encoding="utf-8")
    return KubeClient(config.load(kubeconfig=str(file), clock=SystemClock()), user_agent="tests")


async def test_operator_lets_in_whom_the_api_server_lets_in(
    api: Api, accounts: Accounts, start_operator: Callable[..., Operator]
) -> None:
    """The whole operator with the flags of every scaffolded project."""
    reader = await accounts.token("reader", READER)
    other = await accounts.token("other")
    deleted = await accounts.token("deleted", READER)
    path = f"/api/v1/namespaces/{accounts.namespace}/serviceaccounts/deleted"
    await api.client.request("DELETE", path)
    operator = start_operator("--metrics-secure", "--metrics-require-rbac")
    await operator.ready()
    port = operator.metrics_port

    assert await code(port, reader, wanted=200) == 200
    assert (await get(port, None))[0] == 401
    assert (await get(port, ""))[0] == 401
    assert (await get(port, "nonsense"))[0] == 401
    assert (await get(port, deleted))[0] == 401
    assert (await get(port, other))[0] == 403
    body = (await get(port, reader))[1]
    assert "ansible_operator_build_info" in body
    assert 'ansible_operator_metrics_reviews_total{answer="no",review="access"} 1.0' in body
    assert reader not in operator.log


async def test_standby_shows_its_metrics_too(accounts: Accounts, start_operator: Callable[..., Operator]) -> None:
    """It may write nothing, and a review is a POST."""
    reader = await accounts.token("reader", READER)
    lease = ("--leader-elect", "--leader-election-id=standby", f"--leader-election-namespace={accounts.namespace}")
    first = start_operator(*lease)
    await first.ready()
    second = start_operator(*lease, "--metrics-secure", "--metrics-require-rbac")
    await second.ready()

    assert await code(second.metrics_port, reader, wanted=200) == 200
    assert 'leader_election_master_status{name="standby"} 1.0' not in (await get(second.metrics_port, reader))[1]


@pytest.mark.parametrize(
    ("rules", "right"),
    [
        ((ACCESS,), "create tokenreviews.authentication.k8s.io"),
        ((TOKENS,), "create subjectaccessreviews.authorization.k8s.io"),
    ],
)
async def test_operator_without_the_right_to_ask_names_it(
    control_plane: "ControlPlane",
    accounts: Accounts,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    rules: tuple[Raw, ...],
    right: str,
) -> None:
    """The scaffold's metrics_auth_role was left out, which nobody sees in an empty dashboard."""
    reader = await accounts.token("reader", READER)
    operator = await accounts.token("operator", *rules)
    async with as_account(control_plane, operator, tmp_path) as client, serving(client) as port:
        with caplog.at_level(logging.ERROR):
            assert await code(port, reader, wanted=500) == 500
            status, body = await get(port, reader)

    assert (status, body) == (500, "Internal Server Error\n")
    reasons = [getattr(record, "fields", {}).get("reason") for record in caplog.records]
    assert reasons.count(f"the operator's service account lacks a right: {right}") == 1


async def test_two_rights_are_enough_to_ask(control_plane: "ControlPlane", accounts: Accounts, tmp_path: Path) -> None:
    """Those of the scaffold's metrics_auth_role."""
    reader = await accounts.token("reader", READER)
    operator = await accounts.token("operator", TOKENS, ACCESS)
    async with as_account(control_plane, operator, tmp_path) as client, serving(client) as port:
        assert await code(port, reader, wanted=200) == 200
