"""examples/webecho (seed 002): Deployment and Service of an Echo, each promise on a real API server.

The operator has no more rights than the example's own RBAC gives. No Pod runs here; who answers what is in tests/e2e.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from harness import DEPLOYMENT, POD, Api, Operator, condition_of, eventually, succeeded
from projects import EXAMPLES, WEB_ECHO, Cluster, project_operator, resource
from runner.kube.errors import ApiError
from runner.objects import GroupVersionKind, ObjectRef, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PROJECT = EXAMPLES / "webecho"
SERVICE = GroupVersionKind("", "v1", "Service")
SPACE = "web"


@pytest.fixture(scope="module", autouse=True)
def operator(control_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    cluster = Cluster(control_plane)
    with project_operator(control_plane, tmp_path_factory.mktemp("webecho"), PROJECT) as running:
        cluster.namespace(SPACE, restricted=True)
        cluster.apply(f"--namespace={SPACE}", "-k", str(PROJECT / "config" / "samples"))
        yield running
        # The operator has to let them go.
        cluster.kubectl("delete", "echoes.test.com", "--all", "--all-namespaces", "--timeout=60s")
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def web_echo(
    name: str, text: str = "hello", replicas: int = 1, *, finalizers: tuple[str, ...] = (), **spec: Any
) -> Raw:
    made = resource(WEB_ECHO, name, SPACE, text=text, replicas=replicas, **spec)
    made["metadata"]["finalizers"] = list(finalizers)
    return made


def container(deployment: Raw) -> Raw:
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


def pods_of(name: str, found: dict[str, Raw], count: int) -> list[str]:
    """Names of an Echo's Pods, once there are that many."""
    names = [pod for pod in found if pod.startswith(f"{name}-")]
    return names if len(names) == count else []


async def test_sample_becomes_a_deployment_and_a_service_on_a_node_port(api: Api) -> None:
    await api.until(WEB_ECHO, SPACE, "test-echo", succeeded)
    deployment = await api.until(DEPLOYMENT, SPACE, "test-echo")
    service = await api.until(SERVICE, SPACE, "test-echo")
    assert deployment["spec"]["replicas"] == 2
    assert container(deployment)["image"] == "hashicorp/http-echo:1.0.0"
    # The seed had quotes around it, which were served too.
    assert container(deployment)["args"] == ["-text=Hello world"]
    assert service["spec"]["type"] == "NodePort"
    assert [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]] == [(5678, "http")]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == {"test.com/app": "test-echo"}


async def test_both_belong_to_the_echo(api: Api) -> None:
    echo = await api.until(WEB_ECHO, SPACE, "test-echo", succeeded)
    expected = {
        "apiVersion": "test.com/v1",
        "kind": "Echo",
        "name": "test-echo",
        "uid": echo["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    for kind in (DEPLOYMENT, SERVICE):
        child = await api.until(kind, SPACE, "test-echo")
        assert child["metadata"]["ownerReferences"] == [expected]


async def test_pods_are_admitted_where_restricted_pod_security_is_enforced(api: Api) -> None:
    """The namespace enforces it, and the controller manager makes the Pods."""
    await api.when(POD, SPACE, lambda found: pods_of("test-echo", found, 2))


async def test_status_has_the_node_port_and_where_to_ask(api: Api) -> None:
    echo = await api.until(WEB_ECHO, SPACE, "test-echo", succeeded)
    service = await api.until(SERVICE, SPACE, "test-echo")
    status = echo["status"]
    assert status["nodePort"] == service["spec"]["ports"][0]["nodePort"]
    assert status["url"] == f"http://test-echo.{SPACE}.svc:5678/"
    assert status["path"] == f"/api/v1/namespaces/{SPACE}/services/test-echo:http/proxy/"


async def test_status_follows_pods_that_become_ready(api: Api) -> None:
    """Nobody edits the Echo. The test says of two Pods what a kubelet would."""
    await api.create(web_echo("followed", replicas=3))
    pods = await api.when(POD, SPACE, lambda found: pods_of("followed", found, 3))
    for name in pods[:2]:
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await api.patch(POD, SPACE, name, {"status": ready}, "status")
    seen = lambda echo: echo["status"].get("readyReplicas") == 2 and echo["status"]["replicas"] == 3  # noqa: E731
    await api.until(WEB_ECHO, SPACE, "followed", seen)


async def test_changed_text_and_replicas_are_carried_over(api: Api) -> None:
    await api.create(web_echo("edited", "before", replicas=1))
    await api.until(WEB_ECHO, SPACE, "edited", succeeded)
    await api.patch(WEB_ECHO, SPACE, "edited", {"spec": {"text": "after", "replicas": 3}})
    deployment = await api.until(DEPLOYMENT, SPACE, "edited", lambda found: found["spec"]["replicas"] == 3)
    assert container(deployment)["args"] == ["-text=after"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("jinja", "{{ lookup('pipe', 'id') }} {% raw %}"),
        ("shell", '$(id) `id` \'; id; echo "x" # \\n'),
        ("variable", "$(PATH) $$(PATH) $PATH $"),
        ("option", "-listen=:1"),
        ("unicode", "Hola, 世界!\nsecond line\t "),
        ("number", "007"),
        ("truth", "true"),
    ],
)
async def test_hostile_text_becomes_one_argument_as_it_is(api: Api, name: str, text: str) -> None:
    """Kubernetes halves each `$$` when it starts the container; nothing else reads the argument before the server."""
    await api.create(web_echo(name, text))
    deployment = await api.until(DEPLOYMENT, SPACE, name)
    (argument,) = container(deployment)["args"]
    assert argument == "-text=" + text.replace("$", "$$")


async def test_image_of_the_echo_wins(api: Api) -> None:
    await api.create(web_echo("imaged", image="registry.example/http-echo:1.0.0"))
    deployment = await api.until(DEPLOYMENT, SPACE, "imaged")
    assert container(deployment)["image"] == "registry.example/http-echo:1.0.0"


@pytest.mark.parametrize("kind", [DEPLOYMENT, SERVICE], ids=lambda kind: kind.kind)
async def test_deleted_child_is_made_again_within_seconds(api: Api, kind: GroupVersionKind) -> None:
    name = f"lost-{kind.kind.lower()}"
    await api.create(web_echo(name))
    await api.until(WEB_ECHO, SPACE, name, succeeded)
    before = await api.until(kind, SPACE, name)
    await api.delete(kind, SPACE, name)
    await api.until(kind, SPACE, name, lambda found: found["metadata"]["uid"] != before["metadata"]["uid"])


async def test_hand_on_the_deployment_is_undone_within_seconds(api: Api) -> None:
    """Also what is added: a second container would answer, or listen, beside ours."""
    await api.create(web_echo("handled", "mine", replicas=2))
    await api.until(WEB_ECHO, SPACE, "handled", succeeded)
    wanted = await api.until(DEPLOYMENT, SPACE, "handled")
    changed = {**container(wanted), "args": ["-text=theirs"]}
    other = {"name": "other", "image": "other"}
    await api.patch(
        DEPLOYMENT,
        SPACE,
        "handled",
        {"spec": {"replicas": 5, "template": {"spec": {"containers": [changed, other]}}}},
    )
    await api.until(DEPLOYMENT, SPACE, "handled", lambda found: found["spec"] == wanted["spec"])


async def test_hand_on_the_service_is_undone_and_the_node_port_stays(api: Api) -> None:
    """The seed left a Service alone once it was there, and its author asked whether that was right."""
    await api.create(web_echo("served"))
    await api.until(WEB_ECHO, SPACE, "served", succeeded)
    wanted = await api.until(SERVICE, SPACE, "served")
    (port,) = wanted["spec"]["ports"]
    extra = {"name": "extra", "port": 80, "protocol": "TCP"}
    theirs = {"selector": {"test.com/app": "someone"}, "ports": [{**port, "targetPort": 1}, extra]}
    await api.patch(SERVICE, SPACE, "served", {"spec": theirs})
    await api.until(SERVICE, SPACE, "served", lambda found: found["spec"] == wanted["spec"])


async def test_finalizers_of_others_stay_when_ours_comes_and_goes(api: Api) -> None:
    """The seed wrote the whole list, and so dropped everybody's."""
    theirs = "others.example.com/keep"
    await api.create(web_echo("guarded", finalizers=(theirs,)))
    echo = await api.until(WEB_ECHO, SPACE, "guarded", succeeded)
    assert echo["metadata"]["finalizers"] == [theirs, "echo.test.com"]
    await api.delete(WEB_ECHO, SPACE, "guarded")
    await api.until(WEB_ECHO, SPACE, "guarded", lambda found: found["metadata"]["finalizers"] == [theirs])
    for kind in (DEPLOYMENT, SERVICE):
        await api.gone(kind, SPACE, "guarded")
    await api.patch(WEB_ECHO, SPACE, "guarded", {"metadata": {"finalizers": []}})
    await api.gone(WEB_ECHO, SPACE, "guarded")


async def test_both_are_gone_by_the_time_the_echo_is(api: Api) -> None:
    """Garbage collection would only begin then."""
    await api.create(web_echo("brief", finalizers=("others.example.com/witness",)))
    await api.until(WEB_ECHO, SPACE, "brief", succeeded)
    await api.delete(WEB_ECHO, SPACE, "brief")
    for kind in (SERVICE, DEPLOYMENT):
        await api.gone(kind, SPACE, "brief")
    assert await api.get(WEB_ECHO, SPACE, "brief") is not None
    await api.patch(WEB_ECHO, SPACE, "brief", {"metadata": {"finalizers": []}})


async def test_both_stay_where_the_echo_is_to_leave_orphans(api: Api) -> None:
    """Kubernetes lets them go from their owner in its own time, and then the Echo."""
    await api.create(web_echo("parent"))
    await api.until(WEB_ECHO, SPACE, "parent", succeeded)
    path = (await api.resource(WEB_ECHO)).path(ObjectRef(SPACE, "parent"))
    await api.client.request("DELETE", path, params={"propagationPolicy": "Orphan"})

    async def let_go() -> bool:
        echo = await api.get(WEB_ECHO, SPACE, "parent")
        return echo is None or echo["metadata"]["finalizers"] == ["orphan"]

    await eventually(let_go)
    for kind in (DEPLOYMENT, SERVICE):
        child = await api.get(kind, SPACE, "parent")
        assert child is not None
        assert "deletionTimestamp" not in child["metadata"]


async def test_child_of_somebody_else_is_neither_changed_nor_removed(api: Api) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "taken", "namespace": SPACE},
        "spec": {"ports": [{"port": 80}]},
    }
    await api.create(theirs)
    before = await api.get(SERVICE, SPACE, "taken")
    await api.create(web_echo("taken"))
    echo = await api.until(
        WEB_ECHO, SPACE, "taken", lambda found: condition_of(found, "Failure").get("status") == "True"
    )
    assert 'Service "taken" is here that is not this Echo\'s' in condition_of(echo, "Failure")["message"]
    await api.delete(WEB_ECHO, SPACE, "taken")
    await api.gone(WEB_ECHO, SPACE, "taken")
    assert await api.get(SERVICE, SPACE, "taken") == before


async def test_look_at_an_echo_that_is_as_it_should_be_changes_nothing(api: Api, operator: Operator) -> None:
    def runs() -> int:
        return len([line for line in operator.lines("run finished") if line["ref"] == f"{SPACE}/still"])

    async def another() -> bool:
        return runs() > before

    await api.create(web_echo("still"))
    await api.until(WEB_ECHO, SPACE, "still", lambda echo: succeeded(echo) and echo["status"]["replicas"] == 1)
    echo, deployment = [await api.until(kind, SPACE, "still") for kind in (WEB_ECHO, DEPLOYMENT)]
    before = runs()
    # A label is nothing that the role cares for, but a change of a child, so the role runs.
    service = await api.patch(SERVICE, SPACE, "still", {"metadata": {"labels": {"note": "mine"}}})
    await eventually(another, what="another look")
    assert await api.get(SERVICE, SPACE, "still") == service
    assert (await api.until(DEPLOYMENT, SPACE, "still"))["spec"] == deployment["spec"]
    assert (await api.until(WEB_ECHO, SPACE, "still"))["status"] == echo["status"]


@pytest.mark.parametrize(
    ("name", "spec", "told"),
    [
        ("empty", {"text": ""}, "spec.text"),
        ("negative", {"replicas": -1}, "spec.replicas"),
        ("long", {"text": "$" * 65533}, 'each "$" counting twice'),
        ("1st", {}, "the name has to suit a Service too"),
        ("with.dot", {}, "the name has to suit a Service too"),
    ],
)
async def test_what_could_never_run_is_refused_when_it_is_written(api: Api, name: str, spec: Raw, told: str) -> None:
    with pytest.raises(ApiError, match="nvalid") as refused:
        await api.create(web_echo(name, **spec))
    assert refused.value.status == 422
    assert told in str(refused.value)
