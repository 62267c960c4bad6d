"""The rights of config/rbac are those that the operator uses: none more, none less, on a real API server.

The operator runs once as its service account, with the flags of the Deployment, and does all it ever does. The audit
log is the witness of what it asked for. Then each right is taken away in turn, and the very request that needed it is
sent again by an account that has all the others.
"""

import asyncio
import re
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml

from harness import (
    CRON_JOB,
    ECHO,
    JOB,
    ROOT,
    SCHEDULED_ECHO,
    Api,
    Operator,
    echo,
    eventually,
    kubectl,
    scheduled_echo,
    succeeded,
)
from manifests import Right, kustomized, parsed, rights_of
from operator_account import ACCOUNT, SYSTEM, USER, Asked, allowed, asked_by, operating, rights_given
from runner.kube.client import MERGE_PATCH
from runner.objects import Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

FILES = sorted((ROOT / "config" / "rbac").glob("*role*.yaml"))
RIGHTS = sorted(rights_of(parsed("\n".join(file.read_text(encoding="utf-8") for file in FILES)), "controller-manager"))
METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH"}
METHODS |= {"delete": "DELETE"}


def is_only_checked(right: Right) -> bool:
    """No request asks for it; the API server checks it when it admits others."""
    return right.resource.endswith("/finalizers")


def nameless(right: Right) -> Right:
    return Right(right.group, right.resource, right.verb)


def project_that_comes_late(directory: Path) -> Path:
    """Our project, where the role believes of an Echo called `raced` that there is no Job, whatever it has seen.

    So somebody has always made the Job between its look and its creation.
    """
    shutil.copytree(ROOT / "roles", directory / "roles")
    shutil.copy(ROOT / "watches.yaml", directory)
    look = directory / "roles" / "echo" / "tasks" / "look.yml"
    believe = {"absent": True, "ours": False, "same_message": False, "state": "Active", "leaving": False}
    task = {"ansible.builtin.set_fact": {"echo_sees": believe}, "when": "ansible_operator_meta.name == 'raced'"}
    look.write_text(look.read_text(encoding="utf-8") + yaml.safe_dump([task]), encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def rendered(control_plane: "ControlPlane") -> list[Raw]:
    return kustomized(control_plane.kubectl, ROOT / "config" / "default")


@pytest.fixture(scope="module")
def installed(control_plane: "ControlPlane", rendered: list[Raw]) -> Iterator[None]:
    """Namespace, service account and its rights."""
    with rights_given(control_plane, rendered):
        yield


@pytest.fixture(scope="module")
def asked(
    control_plane: "ControlPlane", rendered: list[Raw], installed: None, tmp_path_factory: pytest.TempPathFactory
) -> list[Asked]:
    """What an operator asks of the API server in its life."""
    start = control_plane.audit_log.stat().st_size
    directory = tmp_path_factory.mktemp("rights")
    project = project_that_comes_late(directory / "project")
    with operating(control_plane, rendered, directory, project=project) as operator:
        asyncio.run(live(control_plane, operator, start))
    return asked_by(USER, control_plane.audit_log, start)


async def live(plane: "ControlPlane", operator: Operator, start: int) -> None:
    """Everything that the operator and its roles have a right for."""
    namespace = "rights"
    async with Api(plane.kubeconfig) as api:
        await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        await api.create(job("raced", namespace))
        for obj in (echo("hello", namespace), echo("raced", namespace), scheduled_echo("often", namespace)):
            await api.create(obj)
        first = await api.until(JOB, namespace, "hello")
        await api.until(ECHO, namespace, "hello", succeeded)
        await api.until(CRON_JOB, namespace, "often")
        await api.until(SCHEDULED_ECHO, namespace, "often", succeeded)
        await api.patch(ECHO, namespace, "hello", {"spec": {"message": "other"}})
        await api.patch(SCHEDULED_ECHO, namespace, "often", {"spec": {"schedule": "0 4 * * *"}})
        await api.until(JOB, namespace, "hello", lambda now: now["metadata"]["uid"] != first["metadata"]["uid"])
        await api.until(CRON_JOB, namespace, "often", lambda now: now["spec"]["schedule"] == "0 4 * * *")
        assert await read_metrics(plane, operator) == 200
        await eventually(lambda: came_late(plane, start), what="somebody was quicker with a Job")
        await api.clear(namespace)


async def came_late(plane: "ControlPlane", start: int) -> bool:
    """Whether the role has tried to change a Job that somebody else made meanwhile."""
    return any(asked.right == Right("batch", "jobs", "patch") for asked in asked_by(USER, plane.audit_log, start))


async def read_metrics(plane: "ControlPlane", operator: Operator) -> int:
    """The status for an account that has been given the role for it."""
    reader = f"system:serviceaccount:{SYSTEM}:default"
    binding = ["clusterrolebinding", "rights-metrics-reader"]
    kubectl(plane, "create", *binding, "--clusterrole=echoperator-metrics-reader", f"--user={reader}")
    try:
        token = kubectl(plane, "create", "token", "default", f"--namespace={SYSTEM}").strip()
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        url, headers = f"https://127.0.0.1:{operator.metrics_port}/metrics", {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=trust) as answer:
            return answer.status
    finally:
        kubectl(plane, "delete", *binding)


def test_operator_uses_every_right_it_has_and_asks_for_no_other(asked: list[Asked]) -> None:
    granted = {nameless(right) for right in RIGHTS if not is_only_checked(right)}
    assert {request.right for request in asked} == granted


def test_nothing_the_operator_asks_for_is_refused(asked: list[Asked]) -> None:
    assert [f"{request.right} {request.uri}" for request in asked if not request.allowed] == []


@pytest.fixture(scope="module")
def reduced(control_plane: "ControlPlane") -> None:
    """An account for each right, which has all others; and one that has them all. Nobody else has their names."""
    objects: list[Raw] = []
    for index in (*range(len(RIGHTS)), None):
        kept = [right for position, right in enumerate(RIGHTS) if position != index]
        head: Raw = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": without(index)}}
        role: Raw = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": without(index)}
        subject: Raw = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": without(index)}
        objects.append({**head, "kind": "ClusterRole", "rules": [right.as_rule() for right in kept]})
        objects.append({**head, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]})
    kubectl(control_plane, "apply", "--server-side", "-f", "-", given=yaml.safe_dump_all(objects))


def without(index: int | None) -> str:
    return "rights-all" if index is None else f"rights-without-{index}"


@pytest.mark.usefixtures("reduced")
@pytest.mark.parametrize("index", range(len(RIGHTS)), ids=[str(right).replace(" ", "-") for right in RIGHTS])
async def test_without_one_right_the_request_that_needed_it_is_refused(
    api: Api, asked: list[Asked], index: int
) -> None:
    """And is not for an account that has all, nor are the others for this one."""
    other = index - 1

    async def has_the_others() -> bool:
        return await replay(api, asked, RIGHTS[other], without(index)) != 403

    async def has_all() -> bool:
        return await replay(api, asked, RIGHTS[index], without(None)) != 403

    await eventually(has_the_others, within=20)
    await eventually(has_all, within=20)
    assert await replay(api, asked, RIGHTS[index], without(index)) == 403


async def replay(api: Api, asked: list[Asked], right: Right, user: str) -> int:
    """Send the operator's request for that right as another user, without effect; return the status."""
    if is_only_checked(right):
        kind = {"echos/finalizers": "Echo", "scheduledechos/finalizers": "ScheduledEcho"}[right.resource]
        return await send(api, "POST", "/apis/batch/v1/namespaces/default/jobs?dryRun=All", owned_job(kind), user)
    uri = next(request.uri for request in asked if request.right == nameless(right))
    method = METHODS[right.verb]
    if method != "GET":
        uri += ("&" if "?" in uri else "?") + "dryRun=All"
    return await send(api, method, uri, {}, user)


async def send(api: Api, method: str, uri: str, body: Raw, user: str) -> int:
    """The status of a request; a body is sent with those that write, and no more than its head is read of an answer."""
    headers = {"Impersonate-User": user, **await api.client.connection.credentials.headers()}
    if method == "PATCH":
        headers["Content-Type"] = MERGE_PATCH
    written = None if method == "GET" else body
    session = api.client.session()
    answer = await session.request(method, api.client.connection.server + uri, headers=headers, json=written)
    answer.close()
    return answer.status


def job(name: str, namespace: str, **metadata: Any) -> Raw:
    container = {"name": "c", "image": "x"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }


def owned_job(kind: str) -> Raw:
    """A Job whose owner's deletion waits for it."""
    owner = {"apiVersion": "mmontes.io/v1alpha1", "kind": kind, "name": "x", "uid": "x", "blockOwnerDeletion": True}
    return job("owned", "default", ownerReferences=[owner])


@pytest.mark.usefixtures("installed")
async def test_published_rights_are_those_that_the_api_server_lists(control_plane: "ControlPlane") -> None:
    """docs/deploy.md says what to expect of `kubectl auth can-i --list`, less what every account may."""

    assert listed(control_plane, ACCOUNT) - listed(control_plane, "default") == published()


def listed(plane: "ControlPlane", account: str) -> set[tuple[str, str, str]]:
    """Resource, name and verb of each right of an account in the operator's namespace."""
    user = f"system:serviceaccount:{SYSTEM}:{account}"
    lines = kubectl(plane, "auth", "can-i", "--list", f"--namespace={SYSTEM}", f"--as={user}").splitlines()
    rows = [re.fullmatch(r"(\S*)\s+\[.*?\]\s+\[(.*?)\]\s+\[(.*?)\]", line) for line in lines]
    return {
        (row[1], name, verb)
        for row in rows
        if row and row[1]
        for name in row[2].split() or [""]
        for verb in row[3].split()
    }


def published() -> set[tuple[str, str, str]]:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z./0-9]+)` \| ([^|]*) \| ([^|]*) \|[^|]*\|$", page, re.MULTILINE)
    return {
        (resource, name.strip().strip("`"), verb)
        for resource, name, verbs in rows
        for verb in verbs.strip().split(", ")
    }


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("resource", ["echos", "scheduledechos"])
@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("view", {"get", "list", "watch"}, {"create", "update", "patch", "delete", "deletecollection"}),
        ("edit", {"get", "list", "watch", "create", "update", "patch", "delete"}, {"deletecollection"}),
        ("admin", {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}, set()),
    ],
)
async def test_who_has_a_built_in_role_has_ours(
    api: Api, namespace: str, control_plane: "ControlPlane", resource: str, role: str, may: set[str], may_not: set[str]
) -> None:
    user = f"{role}-of-{namespace}"
    kubectl(control_plane, "create", "rolebinding", role, f"--clusterrole={role}", f"--user={user}", "-n", namespace)

    async def has_them() -> bool:
        return {verb for verb in may | may_not if await allowed(api, user, namespace, verb, resource)} == may

    await eventually(has_them, within=20)
