"""examples/printer: each of its promises on a real API server, with no more rights than its own RBAC gives.

No Pod runs here: how one ends is written into its status as a kubelet would. What the Pod prints is in tests/e2e.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from harness import COLLECTED, POD, Api, Operator, condition_of, succeeded
from projects import EXAMPLES, PRINTER, Cluster, project_operator, resource
from runner.kube.errors import ApiError
from runner.objects import Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PROJECT = EXAMPLES / "printer"
SPACE = "printers"


def printer(name: str, text: str = "hello", **spec: Any) -> Raw:
    return resource(PRINTER, name, SPACE, textToPrint=text, **spec)


def pod(name: str, **metadata: Any) -> Raw:
    """A Pod that the namespace lets in."""
    secure = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": SPACE, **metadata},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "printer", "image": "x", "securityContext": secure}],
        },
    }


def left_by_a_crash(cluster: Cluster) -> str:
    """A Printer whose Pod was made and whose status does not say so; returns the Pod's uid."""

    def create(obj: Raw) -> Raw:
        return dict(json.loads(cluster.kubectl("create", "-f", "-", "-o", "json", given=json.dumps(obj))))

    owner = create(printer("crashed"))
    assert owner["status"] == {"current": "pending"}
    reference = {
        "apiVersion": PRINTER.api_version,
        "kind": "Printer",
        "name": "crashed",
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    made: Raw = create(pod("crashed", ownerReferences=[reference]))
    return str(made["metadata"]["uid"])


@pytest.fixture(scope="module")
def crashed(control_plane: "ControlPlane") -> str:
    """What there is before the operator starts: its samples, and what an operator has left that crashed."""
    cluster = Cluster(control_plane)
    cluster.install(PROJECT / "config" / "crd")
    cluster.namespace(SPACE, restricted=True)
    cluster.apply(f"--namespace={SPACE}", "-k", str(PROJECT / "config" / "samples"))
    return left_by_a_crash(cluster)


@pytest.fixture(scope="module", autouse=True)
def operator(
    control_plane: "ControlPlane", crashed: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    with project_operator(control_plane, tmp_path_factory.mktemp("printer"), PROJECT) as running:
        yield running
    Cluster(control_plane).kubectl("delete", "namespace", SPACE, "--wait=false")


def status(obj: Raw) -> Raw:
    """What the role says in the status, without what the operator says."""
    ours = ("current", "pod", "reason", "message")
    return {key: value for key, value in (obj.get("status") or {}).items() if key in ours}


async def current(api: Api, name: str, value: str) -> Raw:
    return await api.until(PRINTER, SPACE, name, lambda obj: status(obj).get("current") == value)


async def ends(api: Api, name: str, phase: str, **more: Any) -> None:
    """Do the kubelet's part."""
    await api.patch(POD, SPACE, name, {"status": {"phase": phase, **more}}, subresource="status")


async def refused(api: Api, obj: Raw) -> str:
    with pytest.raises(ApiError) as caught:
        await api.create(obj)
    assert caught.value.status == 422
    return str(caught.value)


async def test_printers_that_were_there_before_the_operator_are_handled(api: Api) -> None:
    made = await current(api, "print-hello-world", "created")
    assert status(made) == {"current": "created", "pod": "print-hello-world"}
    assert await api.get(POD, SPACE, "print-hello-world") is not None


async def test_crash_between_pod_and_status_makes_no_second_pod(api: Api, crashed: str) -> None:
    """The Pod has the one name that it can have, so who comes next finds it."""
    made = await current(api, "crashed", "created")
    uid = made["metadata"]["uid"]
    owned = [
        found["metadata"]["uid"]
        for found in await api.list(POD, SPACE)
        if any(owner["uid"] == uid for owner in found["metadata"].get("ownerReferences", []))
    ]
    assert owned == [crashed]


async def test_pod_belongs_to_its_printer_and_keeps_to_restricted_pod_security(api: Api) -> None:
    """The namespace enforces it, so a Pod that is there has passed."""
    made = await current(api, "print-literally", "created")
    found = await api.until(POD, SPACE, "print-literally")
    (owner,) = found["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": PRINTER.api_version,
        "kind": "Printer",
        "name": "print-literally",
        "uid": made["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    (container,) = found["spec"]["containers"]
    assert container["resources"] == {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}
    assert container["image"] == "busybox:1.36.1"
    assert found["spec"]["restartPolicy"] == "Never"


async def test_no_shell_and_no_template_reads_the_text(api: Api) -> None:
    """Each `$` is doubled, which Kubernetes takes back; all else is there as it was written."""
    await current(api, "print-literally", "created")
    found = await api.until(POD, SPACE, "print-literally")
    text = "\"$$(id)\" `id` $$(HOME) {{ lookup('pipe', 'id') }} it's %s\\n"
    assert found["spec"]["containers"][0]["command"] == ["printf", "%s\\n", text]


async def test_image_of_the_spec_goes_before_the_operator_s(api: Api) -> None:
    await api.create(printer("own-image", image="registry.example/own:1"))
    found = await api.until(POD, SPACE, "own-image")
    assert found["spec"]["containers"][0]["image"] == "registry.example/own:1"


async def test_printed_stays_when_the_pod_is_removed(api: Api, operator: Operator) -> None:
    """A print is done once."""
    await api.create(printer("once"))
    await current(api, "once", "created")
    terminated = {"name": "printer", "image": "x", "imageID": "x", "ready": False, "restartCount": 0}
    terminated |= {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    await ends(api, "once", "Succeeded", containerStatuses=[terminated])
    printed = await current(api, "once", "printed")
    assert status(printed) == {"current": "printed", "pod": "once", "reason": "Completed"}
    runs = len([line for line in operator.lines("run finished") if line["ref"] == f"{SPACE}/once"])
    await api.delete(POD, SPACE, "once")
    # A change of the spec makes sure that the role has looked since.
    await api.patch(PRINTER, SPACE, "once", {"spec": {"image": "another"}})
    after = await api.until(PRINTER, SPACE, "once", succeeded)
    assert status(after) == status(printed)
    assert len([line for line in operator.lines("run finished") if line["ref"] == f"{SPACE}/once"]) > runs
    assert await api.get(POD, SPACE, "once") is None


async def test_failure_of_the_pod_is_told_with_its_reason(api: Api) -> None:
    await api.create(printer("fails"))
    await current(api, "fails", "created")
    waiting = {"name": "printer", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    pulling = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    await ends(api, "fails", "Pending", containerStatuses=[waiting | pulling])
    await api.until(PRINTER, SPACE, "fails", lambda obj: status(obj).get("reason") == "ErrImagePull")
    killed = {"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    await ends(api, "fails", "Failed", containerStatuses=[waiting | killed])
    failed = await current(api, "fails", "failed")
    assert status(failed) == {
        "current": "failed",
        "pod": "fails",
        "reason": "OOMKilled",
        "message": "exit code 137",
    }


async def test_pod_that_goes_before_it_has_printed_is_made_again(api: Api) -> None:
    await api.create(printer("impatient"))
    await current(api, "impatient", "created")
    first = await api.until(POD, SPACE, "impatient")
    await api.delete(POD, SPACE, "impatient")
    uid = first["metadata"]["uid"]
    await api.until(POD, SPACE, "impatient", lambda found: found["metadata"]["uid"] != uid)
    await current(api, "impatient", "created")


async def test_somebody_else_s_pod_of_the_name_is_named_and_left_alone(api: Api) -> None:
    before = await api.create(pod("taken"))
    await api.create(printer("taken"))
    failed = await current(api, "taken", "failed")
    message = 'Pod "taken" exists and belongs to somebody else. Delete it, or give the Printer another name.'
    assert status(failed) == {"current": "failed", "pod": "taken", "reason": "NameTaken", "message": message}
    assert await api.get(POD, SPACE, "taken") == before
    await api.delete(POD, SPACE, "taken")
    # The role would look by itself in half a minute.
    await api.patch(PRINTER, SPACE, "taken", {"spec": {"image": "another"}})
    assert status(await current(api, "taken", "created")) == {"current": "created", "pod": "taken"}


@pytest.mark.timeout(240)
async def test_deleted_printer_takes_its_pod_along(api: Api) -> None:
    await api.create(printer("brief"))
    await current(api, "brief", "created")
    await api.delete(PRINTER, SPACE, "brief")
    await api.gone(POD, SPACE, "brief", within=COLLECTED)


async def test_text_can_not_be_changed_and_the_user_is_told_why(api: Api) -> None:
    await api.create(printer("fixed"))
    with pytest.raises(ApiError) as caught:
        await api.patch(PRINTER, SPACE, "fixed", {"spec": {"textToPrint": "something else"}})
    assert "a text is printed once; make another Printer" in str(caught.value)


async def test_text_that_no_program_can_be_given_is_refused(api: Api) -> None:
    assert "must not contain a NUL character" in await refused(api, printer("nul", "a\0b"))
    assert 'each "$" counting twice' in await refused(api, printer("dollars", "$" * 70_000))
    without: Raw = printer("without")
    del without["spec"]["textToPrint"]
    assert "spec.textToPrint" in await refused(api, without)


async def test_what_the_api_server_has_against_the_pod_is_told_in_the_printer_itself(api: Api) -> None:
    await api.create(printer("bad-image", image=" busybox"))
    failing = await api.until(
        PRINTER, SPACE, "bad-image", lambda obj: condition_of(obj, "Failure").get("status") == "True"
    )
    assert status(failing) == {"current": "pending"}
    assert "must not have leading or trailing whitespace" in condition_of(failing, "Failure")["message"]
    await api.patch(PRINTER, SPACE, "bad-image", {"spec": {"image": "busybox"}})
    await current(api, "bad-image", "created")
