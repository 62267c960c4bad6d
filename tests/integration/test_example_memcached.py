"""examples/memcached: an operator as people write them, each of its promises on a real API server.

It has no more rights than its own RBAC gives, and one process serves all tests. No Pod runs here; what needs one is in
tests/e2e.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from harness import COLLECTED, DEPLOYMENT, Api, Operator, condition_of, eventually, succeeded
from projects import ACCESS, MEMCACHED, MEMCACHED_PROJECT, PROBE, TENANT, Cluster, memcached_operator, resource
from runner.objects import GroupVersionKind, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

CONFIG_MAP, SECRET, NAMESPACE, SERVICE, QUOTA = (
    GroupVersionKind("", "v1", kind) for kind in ("ConfigMap", "Secret", "Namespace", "Service", "ResourceQuota")
)
SPACE = "caches"
"""Where the samples are."""


@pytest.fixture(scope="module", autouse=True)
def operator(control_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The example's operator, with the example's samples before it."""
    cluster = Cluster(control_plane)
    with memcached_operator(control_plane, tmp_path_factory.mktemp("memcached")) as running:
        cluster.namespace(SPACE)
        cluster.apply(f"--namespace={SPACE}", "-k", str(MEMCACHED_PROJECT / "config" / "samples"))
        yield running
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def owners(obj: Raw) -> list[tuple[str, str]]:
    return [(owner["kind"], owner["name"]) for owner in obj["metadata"].get("ownerReferences", [])]


def decoded(secret: Raw) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def checksum(data: dict[str, str]) -> str:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return hashlib.sha256(json.dumps(encoded, sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize("kind", [MEMCACHED, TENANT, ACCESS, PROBE], ids=lambda kind: kind.kind)
async def test_every_sample_succeeds(api: Api, kind: GroupVersionKind) -> None:
    name = "red" if kind is TENANT else "sessions"
    await api.until(kind, SPACE, name, succeeded)


async def test_deployment_has_the_size_asked_for_and_belongs_to_the_resource(api: Api) -> None:
    deployment = await api.until(DEPLOYMENT, SPACE, "sessions")
    assert deployment["spec"]["replicas"] == 2
    assert owners(deployment) == [("Memcached", "sessions")]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "memcached:1.6-alpine"


async def test_changed_size_is_carried_over_and_a_hand_on_the_deployment_is_undone(api: Api) -> None:
    """Deployments are watched because one was made, and not because watches.yaml names them."""
    await api.create(resource(MEMCACHED, "pages", SPACE, size=1))
    await api.until(MEMCACHED, SPACE, "pages", succeeded)
    await api.patch(MEMCACHED, SPACE, "pages", {"spec": {"size": 3}})
    await api.until(DEPLOYMENT, SPACE, "pages", lambda found: found["spec"]["replicas"] == 3)
    await api.until(MEMCACHED, SPACE, "pages", succeeded)
    await api.patch(DEPLOYMENT, SPACE, "pages", {"spec": {"replicas": 1}})
    await api.until(DEPLOYMENT, SPACE, "pages", lambda found: found["spec"]["replicas"] == 3)


async def test_status_of_the_role_stands_beside_the_operator_s_conditions(api: Api) -> None:
    memcached = await api.until(MEMCACHED, SPACE, "sessions", succeeded)
    assert memcached["status"]["address"] == f"sessions.{SPACE}.svc:11211"
    assert memcached["status"]["size"] == 2
    assert condition_of(memcached, "Successful")["message"] == "Last reconciliation succeeded"


async def test_metrics_of_the_role_are_shown_with_the_operator_s_own(api: Api, operator: Operator) -> None:
    await api.until(MEMCACHED, SPACE, "sessions", succeeded)
    lines = operator.metrics().splitlines()
    kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE memcached_")}
    assert kinds == {
        "memcached_changes": "counter",
        "memcached_last_change_time_seconds": "gauge",
        "memcached_size": "histogram",
        "memcached_pods": "summary",
    }
    values = dict(line.split() for line in lines if line.startswith("memcached_"))
    assert float(values["memcached_changes"]) >= 1
    assert float(values["memcached_pods_sum"]) >= 2


async def test_change_of_a_blacklisted_kind_is_no_reason_to_run_the_role(api: Api) -> None:
    await api.until(MEMCACHED, SPACE, "sessions", succeeded)
    await api.patch(CONFIG_MAP, SPACE, "sessions", {"data": {"address": "elsewhere", "note": "mine"}})
    # What comes after it and is done shows that the operator had its chance.
    await api.create(resource(MEMCACHED, "later", SPACE))
    await api.until(MEMCACHED, SPACE, "later", succeeded)
    config_map = await api.get(CONFIG_MAP, SPACE, "sessions")
    assert config_map is not None
    assert config_map["data"] == {"address": "elsewhere", "note": "mine"}
    assert owners(config_map) == [("Memcached", "sessions")]


@pytest.mark.timeout(240)
async def test_deleted_resource_takes_what_was_made_for_it_along(api: Api) -> None:
    await api.create(resource(MEMCACHED, "brief", SPACE))
    await api.until(MEMCACHED, SPACE, "brief", succeeded)
    await api.delete(MEMCACHED, SPACE, "brief")
    for kind in (DEPLOYMENT, SERVICE, CONFIG_MAP):
        await api.gone(kind, SPACE, "brief", within=COLLECTED)


async def test_secret_is_followed_and_never_written(api: Api, operator: Operator) -> None:
    """A Secret has no generation, so each change counts; and its status is nobody's."""
    before = await api.get(SECRET, SPACE, "watched")
    assert before is not None
    found = await api.until(CONFIG_MAP, SPACE, "watched-checksum")
    assert found["data"]["checksum"] == checksum({"flavour": "vanilla"})
    assert owners(found) == [("Secret", "watched")]
    changed = {"flavour": base64.b64encode(b"lemon").decode()}
    after = await api.patch(SECRET, SPACE, "watched", {"data": changed})
    wanted = checksum({"flavour": "lemon"})
    await api.until(CONFIG_MAP, SPACE, "watched-checksum", lambda found: found["data"]["checksum"] == wanted)
    assert await api.get(SECRET, SPACE, "watched") == after
    assert [line for line in operator.lines("reconcile failed") if line["ref"] == f"{SPACE}/watched"] == []


async def test_what_the_selector_does_not_name_is_left_alone(api: Api) -> None:
    for name, labels in (("plain", {}), ("marked", {"cache.example.com/checksum": ""})):
        metadata = {"name": name, "namespace": SPACE, "labels": labels}
        await api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    await api.until(CONFIG_MAP, SPACE, "marked-checksum")
    assert await api.get(CONFIG_MAP, SPACE, "plain-checksum") is None


async def test_role_of_a_collection_is_given_fields_by_their_own_names(api: Api) -> None:
    namespace = await api.until(NAMESPACE, "", f"{SPACE}-red")
    quota = await api.until(QUOTA, f"{SPACE}-red", "tenant")
    assert namespace["metadata"]["labels"]["cache.example.com/contact"] == "ada"
    assert quota["spec"]["hard"] == {"pods": "5"}


async def test_child_that_can_have_no_owner_says_whose_it_is(api: Api) -> None:
    """The Namespace is in no namespace, and the quota in another one."""
    marks = {
        "operator-sdk/primary-resource": f"{SPACE}/red",
        "operator-sdk/primary-resource-type": "Tenant.cache.example.com",
    }
    for kind, namespace, name in ((NAMESPACE, "", f"{SPACE}-red"), (QUOTA, f"{SPACE}-red", "tenant")):
        child = await api.until(kind, namespace, name)
        assert marks.items() <= child["metadata"]["annotations"].items()
        assert owners(child) == []


async def test_hand_on_a_cluster_scoped_child_is_undone(api: Api) -> None:
    await api.until(TENANT, SPACE, "red", succeeded)
    label = "cache.example.com/contact"
    await api.patch(NAMESPACE, "", f"{SPACE}-red", {"metadata": {"labels": {label: "mallory"}}})
    await api.until(NAMESPACE, "", f"{SPACE}-red", lambda found: found["metadata"]["labels"][label] == "ada")


async def test_finalizer_role_removes_what_nobody_else_would(api: Api) -> None:
    await api.create(resource(TENANT, "brief", SPACE, contactPerson="eve"))
    tenant = await api.until(TENANT, SPACE, "brief", succeeded)
    assert tenant["metadata"]["finalizers"] == ["cache.example.com/namespace"]
    await api.delete(TENANT, SPACE, "brief")
    await api.gone(TENANT, SPACE, "brief")
    await api.gone(NAMESPACE, "", f"{SPACE}-brief")


async def test_finalizer_role_leaves_a_namespace_that_is_somebody_else_s(api: Api) -> None:
    """What was there before is not marked, and the role looks at the mark."""
    name = f"{SPACE}-foreign"
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    await api.create(resource(TENANT, "foreign", SPACE, contactPerson="eve"))
    await api.until(TENANT, SPACE, "foreign", succeeded)
    await api.delete(TENANT, SPACE, "foreign")
    await api.gone(TENANT, SPACE, "foreign")
    found = await api.get(NAMESPACE, "", name)
    assert found is not None
    assert "deletionTimestamp" not in found["metadata"]


@pytest.mark.parametrize(("application", "port"), [("shop", 11211), ("search", 11212)])
async def test_inventory_filter_and_vault_of_the_project_make_the_secrets(
    api: Api, application: str, port: int
) -> None:
    """Hosts and ports are the inventory's, the URL is the filter's, and the password was encrypted."""
    secret = await api.until(SECRET, SPACE, f"sessions-{application}")
    assert decoded(secret) == {"url": f"memcached://{application}:open%2Fsesame@sessions:{port}"}
    assert owners(secret) == [("Access", "sessions")]


async def test_probe_that_finds_no_pod_comes_back_until_it_has_tried_often_enough(api: Api, operator: Operator) -> None:
    """Each try is a run of its own, which the one before asked for."""
    created = await api.create(resource(PROBE, "patient", SPACE, cache="nowhere", command="id", tries=3))
    probe = await api.until(PROBE, SPACE, "patient", lambda found: (found.get("status") or {}).get("tries") == 3)

    async def last_look() -> bool:
        runs = [line for line in operator.lines("run finished") if line["ref"] == f"{SPACE}/patient"]
        return len(runs) == 4

    await eventually(last_look, what="three tries and the look that ends them")
    assert probe["metadata"]["generation"] == created["metadata"]["generation"]
