"""The gateway between real clients and a real API server.

What only these two can decide: whether clients find the token, whether the server takes what the gateway writes, and
whether an owner's mark survives the ways in which clients replace and apply.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import aiohttp
import pytest
import yaml

from gateway_door import CONFIG_MAP, Answer, Door, config_map
from harness import ECHO, eventually
from runner.objects import GroupVersionKind, Raw

pytestmark = pytest.mark.integration

SECRET = GroupVersionKind("", "v1", "Secret")
SERVICE_ACCOUNT = GroupVersionKind("", "v1", "ServiceAccount")
CLUSTER_ROLE = GroupVersionKind("rbac.authorization.k8s.io", "v1", "ClusterRole")
APPLY = "application/apply-patch+yaml"


# Clients


PYTHON_CLIENT = """
import sys
from kubernetes import config, dynamic
client = dynamic.DynamicClient(config.new_client_from_config())
maps = client.resources.get(api_version="v1", kind="ConfigMap")
body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": sys.argv[1]}, "data": {"a": "b"}}
maps.create(body=body, namespace=sys.argv[2])
print(maps.get(name=sys.argv[1], namespace=sys.argv[2]).data.a)
"""


@pytest.mark.parametrize("proxied", [False, True])
async def test_python_client_creates_a_child_with_our_reference(door: Door, proxied: bool):
    text = await door.run(sys.executable, "-c", PYTHON_CLIENT, "child", door.namespace, proxied=proxied)
    assert text.strip() == "b"
    assert await door.owners("child") == [door.reference]


@pytest.mark.parametrize("proxied", [False, True])
async def test_kubectl_creates_a_child_with_our_reference(door: Door, proxied: bool):
    await door.kubectl("create", "configmap", "child", "--from-literal=a=b", proxied=proxied)
    assert await door.owners("child") == [door.reference]
    assert "child" in await door.kubectl("get", "configmaps", "--output=name", proxied=proxied)


@pytest.mark.parametrize("proxied", [False, True])
async def test_helm_installs_a_release_whose_objects_have_our_reference(
    door: Door, helm: Path, tmp_path: Path, proxied: bool
):
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 0.1.0\n")
    (chart / "templates" / "map.yaml").write_text(yaml.safe_dump(config_map("from-chart")))
    await door.run(helm, "install", "tiny", str(chart), proxied=proxied)
    await door.run(helm, "upgrade", "tiny", str(chart), "--set=x=y", proxied=proxied)
    assert await door.owners("from-chart") == [door.reference]
    assert await door.owners("sh.helm.release.v1.tiny.v2", SECRET) == [door.reference]


@pytest.mark.parametrize("name", ["n", "y", "off", "1e3", "0x1", "1234"])
async def test_a_namespace_that_yaml_could_take_for_something_else_is_a_name(door: Door, name: str):
    door.namespace = name
    path = "-o=jsonpath={.contexts[0].context.namespace}"
    assert await door.kubectl("config", "view", path) == name
    text = await door.run(
        sys.executable, "-c", "from kubernetes import config; print(config.list_kube_config_contexts())"
    )
    assert f"'namespace': '{name}'" in text


# Ownership


async def test_server_side_apply_twice_keeps_the_reference(door: Door):
    manifest = yaml.safe_dump(config_map("child", a="1"))
    await door.kubectl("apply", "--server-side", "-f", "-", stdin=manifest)
    first = await door.owners("child")
    manifest = yaml.safe_dump(config_map("child", a="2"))
    await door.kubectl("apply", "--server-side", "-f", "-", stdin=manifest)
    assert first == [door.reference]
    assert await door.owners("child") == [door.reference]


async def test_apply_of_an_object_created_by_post_by_another_manager_keeps_a_controller_reference(door: Door):
    """The applied reference must equal the other manager's to the letter, or the server reports a conflict."""
    access = door.grant(controller_reference=True)
    created = await door.ask("POST", f"{door.maps()}?fieldManager=one", config_map("child"), access=access)
    assert created.status == 201
    path = f"{door.maps('child')}?fieldManager=two"
    applied = await door.ask("PATCH", path, config_map("child"), content_type=APPLY)
    assert applied.status == 200, applied.body
    assert await door.owners("child") == [door.reference | {"controller": True, "blockOwnerDeletion": True}]


async def test_apply_in_yaml_gets_the_reference(door: Door):
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: child\ndata:\n  day: '2026-01-01'\n"
    answer = await door.ask("PATCH", f"{door.maps('child')}?fieldManager=x", text, content_type=APPLY)
    assert answer.status == 201, answer.body
    assert await door.owners("child") == [door.reference]


async def test_replace_keeps_the_reference(door: Door):
    await door.ask("POST", door.maps(), config_map("child"))
    answer = await door.ask("PUT", door.maps("child"), config_map("child", a="replaced"))
    assert (answer.status, answer.json["data"]) == (200, {"a": "replaced"})
    assert await door.owners("child") == [door.reference]


async def test_kubectl_replace_force_makes_a_child_again(door: Door):
    await door.ask("POST", door.maps(), config_map("child"))
    await door.kubectl("replace", "--force", "-f", "-", stdin=yaml.safe_dump(config_map("child", a="again")))
    assert await door.owners("child") == [door.reference]


async def test_put_of_an_absent_object_is_a_creation(door: Door):
    """Leases are among the kinds that the API server creates by PUT."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{door.namespace}/leases/child"
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "child"}, "spec": {}}
    answer = await door.ask("PUT", path, lease)
    assert answer.status == 201, answer.body
    assert answer.json["metadata"]["ownerReferences"] == [door.reference]


@pytest.mark.parametrize(
    ("method", "content_type"),
    [
        ("PUT", "application/json"),
        ("PATCH", APPLY),
        ("PATCH", "application/merge-patch+json"),
        ("PATCH", "application/strategic-merge-patch+json"),
    ],
)
@pytest.mark.parametrize("gvk", [CONFIG_MAP, SECRET])
async def test_a_foreign_object_is_never_adopted(door: Door, method: str, content_type: str, gvk: GroupVersionKind):
    foreign = {"apiVersion": "v1", "kind": gvk.kind, "metadata": {"name": "foreign", "namespace": door.namespace}}
    await door.api.create(foreign)
    path = f"/api/v1/namespaces/{door.namespace}/{gvk.kind.lower()}s/foreign?fieldManager=x"
    changed = foreign | {"metadata": {"name": "foreign", "labels": {"touched": "yes"}}}
    answer = await door.ask(method, path, changed, content_type=content_type)
    assert answer.status == 200, answer.body
    obj = await door.api.get(gvk, door.namespace, "foreign")
    assert obj is not None
    assert obj["metadata"]["labels"] == {"touched": "yes"}
    assert "ownerReferences" not in obj["metadata"]
    assert "annotations" not in obj["metadata"]
    assert door.seen.children == []


async def test_a_child_in_another_namespace_gets_annotations(door: Door):
    answer = await door.ask("POST", door.maps(namespace="default"), config_map(f"child-of-{door.namespace}"))
    metadata = answer.json["metadata"]
    assert "ownerReferences" not in metadata
    assert metadata["annotations"] == {
        "operator-sdk/primary-resource": f"{door.namespace}/owner",
        "operator-sdk/primary-resource-type": "Echo.mmontes.io",
    }
    again = await door.ask(
        "PUT", door.maps(metadata["name"], namespace="default"), config_map(metadata["name"], a="again")
    )
    assert again.json["metadata"]["annotations"] == metadata["annotations"]


async def test_a_cluster_scoped_child_gets_annotations(door: Door):
    name = f"child-of-{door.namespace}"
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    answer = await door.ask("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", role)
    assert answer.status == 201, answer.body
    assert "ownerReferences" not in answer.json["metadata"]
    assert answer.json["metadata"]["annotations"]["operator-sdk/primary-resource"] == f"{door.namespace}/owner"


async def test_another_controller_on_the_object_leaves_us_a_plain_reference(door: Door):
    """The API server refuses a second reference with controller=true."""
    body = config_map("child")
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "not-ours", "controller": True}
    body["metadata"]["ownerReferences"] = [other]
    access = door.grant(controller_reference=True)
    answer = await door.ask("POST", f"{door.maps()}?dryRun=All", body, access=access)
    assert answer.status == 201, answer.body
    assert answer.json["metadata"]["ownerReferences"][1] == door.reference | {"blockOwnerDeletion": True}


async def test_injection_can_be_switched_off(door: Door):
    answer = await door.ask("POST", door.maps(), config_map("child"), access=door.grant(inject_owner=False))
    assert answer.status == 201
    assert await door.owners("child") == []


async def test_virtual_kinds_and_subresources_are_left_alone(door: Door):
    """A SelfSubjectAccessReview with metadata is refused by the API server."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
    }
    answer = await door.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert (answer.status, answer.json["status"]["allowed"]) == (201, True)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa"}}
    await door.ask("POST", f"/api/v1/namespaces/{door.namespace}/serviceaccounts", account)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = await door.ask("POST", f"/api/v1/namespaces/{door.namespace}/serviceaccounts/sa/token", request)
    assert answer.status == 201, answer.body
    assert "ownerReferences" not in answer.json["metadata"]


async def test_a_create_in_a_format_we_cannot_mark_is_refused_with_the_remedy(door: Door):
    answer = await door.ask("POST", door.maps(), b"\xd9\xd9\xf7\xa0", content_type="application/cbor")
    assert answer.status == 415
    assert "application/json" in answer.json["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "configmap", "child", "--from-literal=a=b"),
        ("create", "secret", "generic", "child", "--from-literal=a=b"),
        ("create", "job", "child", "--image=none"),
        ("create", "deployment", "child", "--image=none"),
        ("create", "role", "child", "--verb=get", "--resource=pods"),
        ("create", "service", "clusterip", "child", "--tcp=80"),
        ("create", "ingress", "child", "--rule=x/=y:80"),
        ("create", "poddisruptionbudget", "child", "--selector=a=b", "--min-available=1"),
        ("create", "clusterrole", "child", "--verb=get", "--resource=pods"),
        ("create", "priorityclass", "child", "--value=1"),
    ],
    ids=lambda arguments: arguments[1],
)
async def test_kubectl_generators_send_protobuf_and_their_objects_are_marked(door: Door, arguments: tuple[str, ...]):
    await door.kubectl(*arguments)
    try:
        text = await door.kubectl("get", arguments[1], "child", "--output=json")
    finally:
        await door.kubectl("delete", arguments[1], "child")
    metadata = json.loads(text)["metadata"]
    if metadata.get("namespace"):
        assert metadata["ownerReferences"] == [door.reference]
    else:
        assert metadata["annotations"]["operator-sdk/primary-resource"] == f"{door.namespace}/owner"


async def test_a_kind_that_is_not_served_gets_the_servers_own_answer(door: Door):
    path = f"/apis/example.com/v1/namespaces/{door.namespace}/nothings"
    direct = await door.api.client.session().post(f"{door.api.client.connection.server}{path}", json={})
    answer = await door.ask("POST", path, {"apiVersion": "example.com/v1", "kind": "Nothing", "metadata": {}})
    assert (answer.status, answer.body) == (404, await direct.read())


async def test_a_kind_defined_a_moment_ago_gets_its_owner(door: Door):
    """Discovery may have looked, and found nothing, in the very second before the run defined the kind."""
    group = f"{door.namespace}.example.com"
    path = f"/apis/{group}/v1/namespaces/{door.namespace}/things"
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "child"}}
    assert (await door.ask("POST", path, thing)).status == 404
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    await door.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)

    async def create() -> Answer | None:
        answer = await door.ask("POST", path, thing)
        return answer if answer.status == 201 else None

    created = await eventually(create, within=20, every=0.05)
    assert created.json["metadata"]["ownerReferences"] == [door.reference]
    assert door.seen.children[-1] == (GroupVersionKind(group, "v1", "Thing"), door.namespace)


# Who may, and when


async def test_a_token_is_required_and_ends_with_its_run(door: Door):
    unknown = await door.ask("GET", door.maps(), headers={"Authorization": "Bearer wrong"})
    assert (unknown.status, unknown.json["reason"], unknown.json["kind"]) == (401, "Unauthorized", "Status")
    none = await door.ask("GET", door.maps(), headers={"Authorization": ""})
    assert none.status == 401
    assert (await door.ask("GET", door.maps())).status == 200
    door.gateway.revoke(door.access)
    assert (await door.ask("GET", door.maps())).status == 401
    assert "provide credentials" in await door.kubectl("get", "configmaps", ok=False)


async def test_a_fenced_write_is_answered_503_and_not_sent(door: Door):
    door.fenced = True
    for method, path in (("POST", door.maps()), ("PUT", door.maps("child")), ("DELETE", door.maps("kube-root-ca.crt"))):
        answer = await door.ask(method, path, config_map("child") if method != "DELETE" else None)
        assert (answer.status, answer.json["reason"]) == (503, "Fenced"), (method, answer.body)
        assert "Retry-After" not in answer.headers
    assert (await door.ask("GET", door.maps())).status == 200
    door.fenced = False
    assert await door.api.get(CONFIG_MAP, door.namespace, "child") is None
    assert door.access.usage.changed == 0


async def test_a_dry_run_stores_nothing(door: Door):
    await door.api.create(config_map("there") | {"metadata": {"name": "there", "namespace": door.namespace}})
    access = door.grant(dry_run=True)
    before = await door.api.get(CONFIG_MAP, door.namespace, "there")

    async def ask(method: str, path: str, body: Raw | None = None, content_type: str = "application/json") -> int:
        return (await door.ask(method, path, body, access=access, content_type=content_type)).status

    assert await ask("POST", f"{door.maps()}?dryRun=", config_map("new")) == 201
    assert await ask("PUT", door.maps("there"), config_map("there", a="changed")) == 200
    assert await ask("PATCH", door.maps("there"), {"data": {"a": "x"}}, "application/merge-patch+json") == 200
    assert await ask("PATCH", f"{door.maps('new')}?fieldManager=x", config_map("new"), APPLY) == 201
    assert await ask("DELETE", door.maps("there")) == 200
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    assert await ask("DELETE", door.maps("there"), options) == 200
    assert await ask("DELETE", door.maps(), options) == 200
    door.access = access
    await door.kubectl("delete", "configmap", "there", "--wait=false")
    await door.kubectl("create", "configmap", "new", "--from-literal=a=b")
    assert await door.api.get(CONFIG_MAP, door.namespace, "there") == before
    assert await door.api.get(CONFIG_MAP, door.namespace, "new") is None
    assert access.usage.changed == 0
    assert door.seen.children == []


async def test_a_dry_run_does_not_evict(door: Door):
    """Eviction takes its options from the body as well."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pod", "namespace": door.namespace},
        "spec": {"containers": [{"name": "c", "image": "none"}], "serviceAccountName": "default"},
    }
    await door.api.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": door.namespace}}
    )
    await door.api.create(pod)
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "pod"},
        "deleteOptions": {"gracePeriodSeconds": 0},
    }
    path = f"/api/v1/namespaces/{door.namespace}/pods/pod/eviction"
    answer = await door.ask("POST", path, eviction, access=door.grant(dry_run=True))
    assert answer.status == 201, answer.body
    obj = await door.api.get(GroupVersionKind("", "v1", "Pod"), door.namespace, "pod")
    assert obj is not None
    assert "deletionTimestamp" not in obj["metadata"]


async def test_usage_counts_writes_that_changed_something(door: Door):
    await door.ask("POST", door.maps(), config_map("child"))
    await door.ask("GET", door.maps("child"))
    patch = "application/merge-patch+json"
    await door.ask("PATCH", door.maps("child"), {"data": {"a": "b"}}, content_type=patch)
    unchanged = door.access.usage.changed
    await door.ask("PATCH", door.maps("child"), {"data": {"a": "c"}}, content_type=patch)
    await door.ask("DELETE", door.maps("child"))
    usage = door.access.usage
    assert (unchanged, usage.requests, usage.writes, usage.changed) == (1, 5, 4, 3)


# Streams and sizes


async def test_a_watch_streams_events_as_they_happen(door: Door):
    url = f"{door.access.server}{door.maps()}?watch=true&resourceVersion=0&fieldSelector=metadata.name=live"
    headers = {"Authorization": f"Bearer {door.access.token}"}
    async with asyncio.timeout(20), door.session.get(url, headers=headers) as response:
        assert response.status == 200  # the headers arrive though nothing has happened yet
        started = time.monotonic()
        await door.api.create(config_map("live") | {"metadata": {"name": "live", "namespace": door.namespace}})
        line = json.loads(await response.content.readline())
        assert (line["type"], line["object"]["metadata"]["name"]) == ("ADDED", "live")
        assert time.monotonic() - started < 5


async def test_a_watch_over_a_websocket_is_tunnelled(door: Door):
    """The API server speaks WebSocket for watches too, so no kubelet is needed to see the tunnel work."""
    url = f"{door.access.server}{door.maps()}?watch=true&resourceVersion=0&fieldSelector=metadata.name=live"
    headers = {"Authorization": f"Bearer {door.access.token}"}
    async with asyncio.timeout(20), door.session.ws_connect(url, headers=headers, origin="http://x") as socket:
        await door.api.create(config_map("live") | {"metadata": {"name": "live", "namespace": door.namespace}})
        event = json.loads((await socket.receive()).data)
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "live")


async def test_revoking_cuts_a_watch(door: Door):
    url = f"{door.access.server}{door.maps()}?watch=true"
    async with door.session.get(url, headers={"Authorization": f"Bearer {door.access.token}"}) as response:
        door.gateway.revoke(door.access)
        async with asyncio.timeout(5):
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_body_of_20_mb_is_refused_and_does_not_hang(door: Door, method: str):
    body = config_map("big", a="x" * 20_000_000)
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    path = door.maps() if method == "POST" else door.maps("kube-root-ca.crt")
    answer = await door.ask(method, path, body, content_type=kind)
    assert answer.status == 413
    assert answer.json["reason"] == "RequestEntityTooLarge"


async def test_a_long_list_passes_whole(door: Door):
    """1.5 MB is more than the gateway holds back."""
    names = [f"part-{index}" for index in range(5)]
    for name in names:
        obj = config_map(name, a="x" * 300_000)
        obj["metadata"]["namespace"] = door.namespace
        await door.api.create(obj)
    answer = await door.ask("GET", door.maps())
    assert {item["metadata"]["name"] for item in answer.json["items"]} >= set(names)
    packed = await door.ask("GET", door.maps(), headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) < 100_000


# Dependents


async def test_creating_and_looking_at_a_child_tells_of_it(door: Door):
    await door.ask("POST", door.maps(), config_map("child"))
    await door.ask("GET", door.maps("child"))
    await door.ask("GET", door.maps("kube-root-ca.crt"))
    assert door.seen.children == [(CONFIG_MAP, door.namespace)] * 2


async def test_blacklisted_kinds_are_not_told_of(door: Door):
    access = door.grant(blacklist=frozenset({CONFIG_MAP}))
    await door.ask("POST", door.maps(), config_map("child"), access=access)
    await door.ask("POST", door.maps(), config_map("child-2"), access=door.grant(watch_dependents=False))
    assert door.seen.children == []


async def test_owner_and_garbage_collection_agree(door: Door):
    """The reference is one that the garbage collector honours."""
    await door.ask("POST", door.maps(), config_map("child"))
    await door.api.delete(ECHO, door.namespace, "owner")
    await door.api.gone(CONFIG_MAP, door.namespace, "child", within=60)
