"""examples/minimart (seed 003): a Helm chart behind a custom resource, each promise on a real API server.

The operator has no more rights than the example's own RBAC gives. No Pod runs here.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import DEPLOYMENT, POD, Api, Operator, condition_of, eventually, succeeded
from projects import EXAMPLES, MINIMART, Cluster, project_operator, resource
from runner.kube.errors import ApiError
from runner.objects import GroupVersionKind, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PROJECT = EXAMPLES / "minimart"
SERVICE, ACCOUNT, CONFIG_MAP = (GroupVersionKind("", "v1", kind) for kind in ("Service", "ServiceAccount", "ConfigMap"))
AUTOSCALER = GroupVersionKind("autoscaling", "v2", "HorizontalPodAutoscaler")
INGRESS = GroupVersionKind("networking.k8s.io", "v1", "Ingress")
SPACE = "shops"
SAMPLE = "minimart-sample"


@pytest.fixture(scope="module", autouse=True)
def operator(control_plane: "ControlPlane", helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    cluster = Cluster(control_plane)
    environment = {"PATH": f"{helm.parent}:{os.environ['PATH']}"}
    with project_operator(
        control_plane, tmp_path_factory.mktemp("minimart"), PROJECT, environment=environment
    ) as running:
        cluster.namespace(SPACE, restricted=True)
        cluster.apply(f"--namespace={SPACE}", "-k", str(PROJECT / "config" / "samples"))
        yield running
        # Quicker than to have each uninstalled.
        cluster.kubectl("delete", "minimarts", "--all", f"--namespace={SPACE}", "--wait=false")
        for name in cluster.kubectl("get", "minimarts", f"--namespace={SPACE}", "--output=name").split():
            free = '--patch={"metadata": {"finalizers": null}}'
            cluster.kubectl("patch", name, f"--namespace={SPACE}", "--type=merge", free)
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def minimart(name: str, **spec: Any) -> Raw:
    return resource(MINIMART, name, SPACE, **spec)


def without_conditions(found: Raw) -> Raw:
    """All that the role may write. Of a look that takes over five seconds, such as on a busy machine, the operator tells."""
    status = {name: value for name, value in found["status"].items() if name != "conditions"}
    metadata = {
        name: value for name, value in found["metadata"].items() if name not in ("resourceVersion", "managedFields")
    }
    return {**found, "metadata": metadata, "status": status}


def container(deployment: Raw) -> Raw:
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


def revision(obj: Raw) -> int:
    return int(((obj.get("status") or {}).get("release") or {}).get("revision", 0))


async def records(api: Api, name: str) -> list[str]:
    """Names of what helm keeps of a release."""
    found = await api.list(CONFIG_MAP, SPACE)
    ours = [obj["metadata"] for obj in found if obj["metadata"].get("labels", {}).get("owner") == "helm"]
    return sorted(meta["name"] for meta in ours if meta["labels"]["name"] == name)


async def test_sample_becomes_what_the_chart_says(api: Api) -> None:
    sample = await api.until(MINIMART, SPACE, SAMPLE, succeeded)
    deployment = await api.until(DEPLOYMENT, SPACE, SAMPLE)
    service = await api.until(SERVICE, SPACE, SAMPLE)
    assert deployment["spec"]["replicas"] == 1
    assert container(deployment)["image"] == "samutup/minimart:1.0.1"
    assert (service["spec"]["type"], service["spec"]["ports"][0]["port"]) == ("NodePort", 80)
    assert await api.get(ACCOUNT, SPACE, SAMPLE) is not None
    assert await api.get(CONFIG_MAP, SPACE, SAMPLE) is not None
    expected = {"name": SAMPLE, "chart": "minimart-0.1.0", "revision": 1, "state": "deployed"}
    assert sample["status"]["release"] == expected


async def test_what_helm_makes_belongs_to_the_minimart(api: Api) -> None:
    """helm knows nothing of owners: its requests pass the gateway. That goes for its own record of the release too."""
    sample = await api.until(MINIMART, SPACE, SAMPLE, succeeded)
    (record,) = await records(api, SAMPLE)
    for kind, name in (
        (DEPLOYMENT, SAMPLE),
        (SERVICE, SAMPLE),
        (ACCOUNT, SAMPLE),
        (CONFIG_MAP, SAMPLE),
        (CONFIG_MAP, record),
    ):
        child = await api.until(kind, SPACE, name)
        assert [owner["uid"] for owner in child["metadata"]["ownerReferences"]] == [sample["metadata"]["uid"]]


async def test_pods_are_admitted_where_restricted_pod_security_is_enforced(api: Api) -> None:
    await api.when(POD, SPACE, lambda found: [name for name in found if name.startswith(f"{SAMPLE}-")])


async def test_metrics_and_probes_are_where_the_walk_through_gets_them(api: Api, operator: Operator) -> None:
    await api.until(MINIMART, SPACE, SAMPLE, succeeded)
    assert (operator.probe("/healthz"), operator.probe("/readyz")) == (200, 200)
    kind = 'GVK="charts.samutup.com/v1alpha1, Kind=Minimart"'
    results = [
        line for line in operator.metrics().splitlines() if line.startswith("ansible_operator_reconcile_result{")
    ]
    assert [line for line in results if kind in line and 'result="succeeded"' in line and not line.endswith(" 0.0")]


async def test_changed_spec_is_an_upgrade_that_adds_and_removes_parts(api: Api) -> None:
    host = {"host": "shop.example.com", "paths": [{"path": "/"}]}
    await api.create(
        minimart("grown", autoscaling={"enabled": True, "maxReplicas": 3}, ingress={"enabled": True, "hosts": [host]})
    )
    await api.until(MINIMART, SPACE, "grown", succeeded)
    autoscaler = await api.until(AUTOSCALER, SPACE, "grown")
    ingress = await api.until(INGRESS, SPACE, "grown")
    assert autoscaler["spec"]["maxReplicas"] == 3
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == ["shop.example.com"]
    change = {"autoscaling": {"enabled": False}, "ingress": None, "replicaCount": 2, "image": {"tag": "1.0.2"}}
    await api.patch(MINIMART, SPACE, "grown", {"spec": change})
    await api.until(MINIMART, SPACE, "grown", lambda obj: succeeded(obj) and revision(obj) == 2)
    deployment = await api.until(DEPLOYMENT, SPACE, "grown")
    assert deployment["spec"]["replicas"] == 2
    assert container(deployment)["image"] == "samutup/minimart:1.0.2"
    for kind in (AUTOSCALER, INGRESS):
        assert await api.get(kind, SPACE, "grown") is None


async def test_drift_is_undone_and_leaves_no_revision(api: Api) -> None:
    """Nobody edits the Minimart, so there is nothing to upgrade to; but what helm has made is watched."""
    await api.create(minimart("drifted", replicaCount=2))
    await api.until(MINIMART, SPACE, "drifted", succeeded)
    wanted = await api.until(DEPLOYMENT, SPACE, "drifted")
    theirs = {**container(wanted), "image": "theirs"}
    await api.patch(
        DEPLOYMENT, SPACE, "drifted", {"spec": {"replicas": 0, "template": {"spec": {"containers": [theirs]}}}}
    )
    await api.until(DEPLOYMENT, SPACE, "drifted", lambda found: found["spec"] == wanted["spec"])
    await api.delete(DEPLOYMENT, SPACE, "drifted")
    again = await api.until(
        DEPLOYMENT, SPACE, "drifted", lambda found: found["metadata"]["uid"] != wanted["metadata"]["uid"]
    )
    assert again["spec"] == wanted["spec"]
    assert await records(api, "drifted") == ["sh.helm.release.v1.drifted.v1"]
    # What was made again without helm is helm's to upgrade all the same.
    await api.patch(MINIMART, SPACE, "drifted", {"spec": {"replicaCount": 1}})
    await api.until(MINIMART, SPACE, "drifted", lambda obj: succeeded(obj) and revision(obj) == 2)
    await api.until(DEPLOYMENT, SPACE, "drifted", lambda found: found["spec"]["replicas"] == 1)


async def test_look_at_an_unchanged_minimart_is_no_upgrade_and_writes_nothing(api: Api, operator: Operator) -> None:
    def looks() -> list[Raw]:
        return [line for line in operator.lines("run finished") if line["ref"] == f"{SPACE}/{SAMPLE}"]

    async def another() -> Raw | None:
        return next(iter(looks()[before:]), None)

    sample = await api.until(MINIMART, SPACE, SAMPLE, succeeded)
    deployment = await api.until(DEPLOYMENT, SPACE, SAMPLE)
    (record,) = [await api.get(CONFIG_MAP, SPACE, name) for name in await records(api, SAMPLE)]
    before = len(looks())
    # Nothing that the chart names, but a change of a child, so the role runs.
    note = await api.patch(SERVICE, SPACE, SAMPLE, {"metadata": {"labels": {"note": "mine"}}})
    look = await eventually(another, what="another look")
    assert (look["verdict"], look["changed"]) == ("Succeeded", 0)
    assert await api.get(SERVICE, SPACE, SAMPLE) == note
    assert [await api.get(CONFIG_MAP, SPACE, name) for name in await records(api, SAMPLE)] == [record]
    assert (await api.until(DEPLOYMENT, SPACE, SAMPLE))["spec"] == deployment["spec"]
    assert without_conditions(await api.until(MINIMART, SPACE, SAMPLE, succeeded)) == without_conditions(sample)


async def test_upgrade_that_was_cut_short_is_not_in_the_way_of_the_next(api: Api) -> None:
    """helm itself refuses: "another operation is in progress". A killed operator must not need a hand to go on."""
    await api.create(minimart("cut"))
    await api.until(MINIMART, SPACE, "cut", succeeded)
    (first,) = await records(api, "cut")
    record = await api.until(CONFIG_MAP, SPACE, first)
    labels = record["metadata"]["labels"] | {"status": "pending-upgrade", "version": "2"}
    second = {"name": first.removesuffix("v1") + "v2", "namespace": SPACE, "labels": labels}
    await api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": second, "data": record["data"]})
    await api.patch(MINIMART, SPACE, "cut", {"spec": {"replicaCount": 3}})
    await api.until(DEPLOYMENT, SPACE, "cut", lambda found: found["spec"]["replicas"] == 3)
    await api.until(MINIMART, SPACE, "cut", lambda obj: succeeded(obj) and revision(obj) == 2)


async def test_deleted_minimart_is_uninstalled_with_every_record(api: Api) -> None:
    await api.create(minimart("brief"))
    brief = await api.until(MINIMART, SPACE, "brief", succeeded)
    assert brief["metadata"]["finalizers"] == ["charts.samutup.com/release"]
    await api.delete(MINIMART, SPACE, "brief")
    await api.gone(MINIMART, SPACE, "brief")
    for kind in (DEPLOYMENT, SERVICE, ACCOUNT, CONFIG_MAP):
        await api.gone(kind, SPACE, "brief")
    assert await records(api, "brief") == []


async def test_hostile_values_stay_values(api: Api) -> None:
    """Neither Ansible nor helm renders them, and YAML takes them for text."""
    argument = '{{ lookup("pipe", "id") }} {{ .Release.Name }} $(id)\n- injected: "yes"'
    await api.create(
        minimart("hostile", args=[argument], podAnnotations={"note": "a: b # c"}, image={"tag": "{{ x }}"})
    )
    deployment = await api.until(DEPLOYMENT, SPACE, "hostile")
    assert container(deployment)["args"] == [argument]
    assert container(deployment)["image"] == "samutup/minimart:{{ x }}"
    assert deployment["spec"]["template"]["metadata"]["annotations"]["note"] == "a: b # c"


async def test_what_the_chart_can_not_be_installed_with_is_told(api: Api) -> None:
    """By helm: the names are somebody else's."""
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "taken", "namespace": SPACE},
        "spec": {"ports": [{"port": 80}]},
    }
    before = await api.create(theirs)
    await api.create(minimart("taken"))
    failed = await api.until(MINIMART, SPACE, "taken", lambda obj: condition_of(obj, "Failure").get("status") == "True")
    assert (
        'Service "taken" in namespace "shops" exists and cannot be imported'
        in condition_of(failed, "Failure")["message"]
    )
    await api.delete(MINIMART, SPACE, "taken")
    await api.gone(MINIMART, SPACE, "taken")
    assert await api.get(SERVICE, SPACE, "taken") == before


@pytest.mark.parametrize(
    ("name", "spec", "told"),
    [
        ("text", {"replicaCount": "two"}, "spec.replicaCount"),
        ("root", {"podSecurityContext": {"runAsUser": 0}}, "spec.podSecurityContext.runAsUser"),
        ("port", {"service": {"port": 70000}}, "spec.service.port"),
        ("x" * 54, {}, "the name has to suit a release"),
    ],
)
async def test_values_that_no_chart_could_take_are_refused_when_they_are_written(
    api: Api, name: str, spec: Raw, told: str
) -> None:
    with pytest.raises(ApiError, match="nvalid") as refused:
        await api.create(minimart(name, **spec))
    assert refused.value.status == 422
    assert told in str(refused.value)


async def test_values_that_the_chart_does_not_know_are_not_kept(api: Api) -> None:
    """So that nobody believes in them; `privileged` say."""
    made = await api.create(minimart("pruned", securityContext={"privileged": True}, colour="red"))
    assert made["spec"] == {"securityContext": {}}


# --- api/: an application's way to all this ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def portal(control_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory, operator: Operator) -> Path:
    """What the application's Pod finds mounted: its account's token, the cluster's CA and its namespace."""
    cluster = Cluster(control_plane)
    cluster.apply("-k", str(PROJECT / "api"))
    directory = tmp_path_factory.mktemp("portal")
    (directory / "token").write_text(cluster.kubectl("create", "token", "portal", f"--namespace={SPACE}"))
    (directory / "namespace").write_text(SPACE)
    authorities = cluster.kubectl(
        "get", "configmap", "kube-root-ca.crt", f"--namespace={SPACE}", r"--output=jsonpath={.data.ca\.crt}"
    )
    (directory / "ca.crt").write_text(authorities)
    return directory


def can(plane: "ControlPlane", account: str, *asked: str) -> str:
    """What the API server says of a service account's rights: yes or no."""
    command = [str(plane.kubectl), f"--kubeconfig={plane.kubeconfig}", "auth", "can-i", *asked]
    as_account = f"--as=system:serviceaccount:{account}"
    return subprocess.run([*command, as_account], capture_output=True, text=True, check=False).stdout.strip()


@asynccontextmanager
async def watching(plane: "ControlPlane", credentials: Path, name: str) -> AsyncIterator[AsyncIterator[str]]:
    """The types of the events that the client's watch prints of one Minimart, to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROJECT / "api" / "minimarts.py"), "watch", "300"),
        env={"SERVER": plane.server, "CREDENTIALS": str(credentials)},
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert process.stdout is not None
    lines = process.stdout

    async def types() -> AsyncIterator[str]:
        async for line in lines:
            event = json.loads(line)
            if event["object"]["metadata"]["name"] == name:
                yield event["type"]
                if event["type"] == "DELETED":
                    return

    try:
        yield types()
    finally:
        process.kill()
        await process.communicate()


def client(plane: "ControlPlane", credentials: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(PROJECT / "api" / "minimarts.py"), *arguments],
        env={"SERVER": plane.server, "CREDENTIALS": str(credentials)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_application_creates_reads_changes_watches_and_deletes(
    api: Api, control_plane: "ControlPlane", portal: Path
) -> None:
    async def ask(*arguments: str) -> Raw:
        done = await asyncio.to_thread(client, control_plane, portal, *arguments)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    async with watching(control_plane, portal, "clicked") as seen:
        created = await ask("create", "clicked", '{"replicaCount": 2}')
        assert created["metadata"]["namespace"] == SPACE
        await api.until(DEPLOYMENT, SPACE, "clicked", lambda found: found["spec"]["replicas"] == 2)
        await ask("patch", "clicked", '{"replicaCount": 3}')
        await api.until(MINIMART, SPACE, "clicked", lambda obj: succeeded(obj) and revision(obj) == 2)
        read = await ask("get", "clicked")
        assert (read["spec"], read["status"]["release"]["state"]) == ({"replicaCount": 3}, "deployed")
        await ask("delete", "clicked")
        await api.gone(MINIMART, SPACE, "clicked")
        types = [event async for event in seen]
    assert (types[0], types[-1], "MODIFIED" in types) == ("ADDED", "DELETED", True)


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "may"),
    [
        *((verb, "minimarts.charts.samutup.com", SPACE, "yes") for verb in ("create", "get", "list", "watch", "patch")),
        ("delete", "minimarts.charts.samutup.com", SPACE, "yes"),
        ("get", "minimarts.charts.samutup.com", "default", "no"),
        ("patch", "minimarts.charts.samutup.com/status", SPACE, "no"),
        ("get", "secrets", SPACE, "no"),
        ("create", "deployments.apps", SPACE, "no"),
        ("create", "customresourcedefinitions.apiextensions.k8s.io", "", "no"),
    ],
)
def test_application_may_do_that_and_nothing_else(
    control_plane: "ControlPlane", portal: Path, verb: str, resource: str, namespace: str, may: str
) -> None:
    kind, _, sub = resource.partition("/")
    where = [f"--namespace={namespace}"] if namespace else []
    asked = [verb, kind, *where, *([f"--subresource={sub}"] if sub else [])]
    assert can(control_plane, f"{SPACE}:portal", *asked) == may


@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "update", "delete"])
def test_operator_has_no_right_to_any_secret(control_plane: "ControlPlane", verb: str) -> None:
    """The seed's had every one. helm's records are in ConfigMaps for this."""
    assert can(control_plane, "minimart-system:minimart-operator", verb, "secrets", f"--namespace={SPACE}") == "no"


async def test_application_is_told_why_it_is_refused(
    control_plane: "ControlPlane", portal: Path, tmp_path: Path
) -> None:
    """With its real token, where a namespace is not its own, and where a value is none."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, text in (("token", None), ("ca.crt", None), ("namespace", "default")):
        (elsewhere / name).write_text(text or (portal / name).read_text())
    forbidden = await asyncio.to_thread(client, control_plane, elsewhere, "get", "anything")
    assert forbidden.returncode == 1
    assert forbidden.stderr.startswith('403: minimarts.charts.samutup.com "anything" is forbidden')
    invalid = await asyncio.to_thread(client, control_plane, portal, "create", "odd", '{"replicaCount": -1}')
    assert invalid.stderr.startswith('422: Minimart.charts.samutup.com "odd" is invalid: spec.replicaCount')
