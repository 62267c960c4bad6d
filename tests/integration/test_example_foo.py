"""examples/foo: each of its promises on a real API server, with no more rights than its own RBAC gives. No Pod runs here;
what the Pods print is in tests/e2e.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from harness import COLLECTED, CRD, POD, Api, Operator, condition_of, eventually, succeeded
from projects import EXAMPLES, FOO, Cluster, project_operator
from runner.kube.errors import ApiError
from runner.objects import GroupVersionKind, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PROJECT = EXAMPLES / "foo"
FORMER = GroupVersionKind("example.com", "v1alpha1", "Foo")
SPACE = "foos"
SEED: Raw = {
    "type": "object",
    "properties": {"testString": {"type": "string"}, "testNum": {"type": "integer"}},
}
"""The schema of the definition that people began with: v1alpha1 alone, and all but the types goes."""


@pytest.fixture(scope="module", autouse=True)
def operator(control_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The operator, with its samples before it."""
    cluster = Cluster(control_plane)
    cluster.install(PROJECT / "config" / "crd")
    cluster.namespace(SPACE, restricted=True)
    cluster.apply(f"--namespace={SPACE}", "-k", str(PROJECT / "config" / "samples"))
    with project_operator(control_plane, tmp_path_factory.mktemp("foo"), PROJECT) as running:
        yield running
    cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def foo(name: str, kind: GroupVersionKind = FOO, **fields: Any) -> Raw:
    metadata = {"name": name, "namespace": SPACE}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}


def printed(pod: Raw) -> list[str]:
    return list(pod["spec"]["containers"][0].get("args", []))


async def another(api: Api, name: str, than: Raw) -> Raw:
    uid = than["metadata"]["uid"]
    return await api.until(POD, SPACE, name, lambda pod: pod["metadata"]["uid"] != uid)


async def refused(api: Api, obj: Raw) -> str:
    with pytest.raises(ApiError) as caught:
        await api.create(obj)
    assert caught.value.status == 422
    return str(caught.value)


async def test_every_foo_has_a_pod_of_its_name_that_belongs_to_it(api: Api) -> None:
    """Those that were there before the operator too; and the namespace is strict about what a Pod may be."""
    made = await api.until(FOO, SPACE, "thrice", succeeded)
    pod = await api.until(POD, SPACE, "thrice")
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Foo", "thrice", True)
    assert owner["uid"] == made["metadata"]["uid"]
    assert printed(pod) == ["foo", "foo", "foo"]
    assert made["status"]["pod"] == "thrice"


async def test_text_is_an_argument_and_no_part_of_the_script(api: Api) -> None:
    text = "'; id; \"$(id)\" `id` {{ lookup('pipe', 'id') }} -n"
    await api.create(foo("literally", testString=text))
    pod = await api.until(POD, SPACE, "literally")
    assert printed(pod) == [text.replace("$", "$$")]
    thrice = await api.until(POD, SPACE, "thrice")
    scripts = {tuple(found["spec"]["containers"][0]["command"]) for found in (pod, thrice)}
    assert len(scripts) == 1


async def test_deleted_pod_is_made_again(api: Api) -> None:
    await api.create(foo("again"))
    first = await api.until(POD, SPACE, "again")
    await api.until(FOO, SPACE, "again", succeeded)
    await api.delete(POD, SPACE, "again")
    await another(api, "again", first)


@pytest.mark.timeout(240)
async def test_deleted_foo_takes_its_pod_along(api: Api) -> None:
    await api.create(foo("brief"))
    await api.until(POD, SPACE, "brief")
    await api.delete(FOO, SPACE, "brief")
    await api.gone(POD, SPACE, "brief", within=COLLECTED)


async def test_changed_foo_gets_a_pod_that_prints_what_it_says_now(api: Api) -> None:
    await api.create(foo("changing", testString="before"))
    first = await api.until(POD, SPACE, "changing")
    await api.until(FOO, SPACE, "changing", succeeded)
    await api.patch(FOO, SPACE, "changing", {"testString": "after", "testNum": 2})
    assert printed(await another(api, "changing", first)) == ["after", "after"]


async def test_hand_on_the_pod_is_undone(api: Api) -> None:
    """A label is put right where it is; another image takes another Pod."""
    await api.create(foo("touched"))
    first = await api.until(POD, SPACE, "touched")
    await api.until(FOO, SPACE, "touched", succeeded)
    label = "app.kubernetes.io/name"
    await api.patch(POD, SPACE, "touched", {"metadata": {"labels": {label: "mine"}}})
    righted = await api.until(POD, SPACE, "touched", lambda pod: pod["metadata"]["labels"][label] == "foo")
    assert righted["metadata"]["uid"] == first["metadata"]["uid"]
    await api.patch(POD, SPACE, "touched", {"spec": {"containers": [{**container(first), "image": "mine"}]}})
    assert container(await another(api, "touched", first))["image"] == "busybox:1.36.1"


def container(pod: Raw) -> Raw:
    return dict(pod["spec"]["containers"][0])


async def test_pod_that_has_ended_for_good_is_made_again(api: Api) -> None:
    """As one that was evicted has; nobody starts it anew."""
    await api.create(foo("evicted"))
    first = await api.until(POD, SPACE, "evicted")
    await api.until(FOO, SPACE, "evicted", succeeded)
    await api.patch(POD, SPACE, "evicted", {"status": {"phase": "Failed", "reason": "Evicted"}}, "status")
    await another(api, "evicted", first)


async def test_somebody_else_s_pod_of_the_name_is_named_and_left_alone(api: Api) -> None:
    before = await api.until(POD, SPACE, "thrice")
    theirs = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "taken", "namespace": SPACE}}
    keys = ("securityContext", "containers")
    created = await api.create(theirs | {"spec": {key: before["spec"][key] for key in keys}})
    await api.create(foo("taken"))
    failing = await api.until(FOO, SPACE, "taken", lambda obj: condition_of(obj, "Failure").get("status") == "True")
    assert 'Pod "taken" exists and belongs to somebody else.' in condition_of(failing, "Failure")["message"]
    assert await api.get(POD, SPACE, "taken") == created
    await api.delete(FOO, SPACE, "taken")


async def test_nothing_is_asked_of_the_api_server_while_nothing_happens(api: Api, operator: Operator) -> None:
    """Each run is one that something was the reason for: a Foo that rests is not looked at again and again."""
    await api.create(foo("resting"))
    await api.until(FOO, SPACE, "resting", succeeded)

    for number in range(3):  # what others do meanwhile is no reason
        await api.create(foo(f"busy-{number}"))
        await api.until(FOO, SPACE, f"busy-{number}", succeeded)
    assert len([line for line in operator.lines("run finished") if line["ref"] == f"{SPACE}/resting"]) == 1


async def test_fields_that_are_left_out_have_the_same_default_in_each_version(api: Api) -> None:
    for kind in (FOO, FORMER):
        made = await api.create(foo(f"empty-{kind.version}", kind))
        assert (made["testString"], made["testNum"]) == ("foo", 1)


@pytest.mark.parametrize("kind", [FOO, FORMER], ids=lambda kind: kind.version)
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"testNum": -1}, "testNum"),
        ({"testNum": 1001}, "testNum"),
        ({"testNum": "three"}, "testNum"),
        ({"testString": ""}, "testString"),
        ({"testString": 7}, "testString"),
        ({"testString": "x" * 1025}, "testString"),
        ({"testString": "a\0b"}, "must not contain a NUL character"),
        ({"testString": "x" * 1000, "testNum": 66}, "testString must be shorter or testNum smaller"),
    ],
    ids=["negative", "too many", "no number", "empty", "no text", "too long", "nul", "too much"],
)
async def test_bad_value_is_refused_by_name(api: Api, kind: GroupVersionKind, fields: Raw, told: str) -> None:
    assert told in await refused(api, foo("bad", kind, **fields))


async def test_each_version_reads_what_the_other_has_written(api: Api) -> None:
    await api.create(foo("former", FORMER, testString="written as v1alpha1", testNum=2))
    await api.create(foo("latter", FOO, testString="written as v1beta1", testNum=3))
    for name, number in (("former", 2), ("latter", 3)):
        for kind in (FOO, FORMER):
            found = await api.until(kind, SPACE, name)
            assert found["apiVersion"] == kind.api_version
            assert found["testNum"] == number
    # Both are served alike, and the status that is written in one version is there in the other.
    for name in ("former", "latter"):
        await api.until(FORMER, SPACE, name, succeeded)
        await api.until(POD, SPACE, name)


def definition(*versions: str, group: str) -> Raw:
    """The example's definition in a group of its own, with some of its versions; the first one is stored."""
    file = PROJECT / "config" / "crd" / "bases" / "example.com_foos.yaml"
    crd: Raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    by_name = {version["name"]: version for version in crd["spec"]["versions"]}
    crd["metadata"]["name"] = f"foos.{group}"
    crd["spec"]["group"] = group
    crd["spec"]["versions"] = [by_name[name] | {"storage": name == versions[0]} for name in versions]
    return crd


async def stored_versions(api: Api, name: str) -> list[str]:
    crd = await api.until(CRD, "", name)
    return list(crd["status"]["storedVersions"])


async def test_storage_moves_to_the_second_version_and_the_first_can_go(
    api: Api, control_plane: "ControlPlane", tmp_path: Path
) -> None:
    """From the definition that people began with to one that knows v1beta1 alone; no object is lost, nor its status."""
    group = "migration.example.com"
    name = f"foos.{group}"
    kind = GroupVersionKind(group, "v1beta1", "Foo")
    seed = definition("v1alpha1", group=group)
    seed["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = SEED
    await api.apply(seed)
    await established(api, name)
    # As it could be then: no default, and no bound.
    old = foo("old", GroupVersionKind(group, "v1alpha1", "Foo"), testString="first foo", testNum=-5)
    await created(api, old)
    await api.apply(definition("v1beta1", "v1alpha1", group=group))
    assert await stored_versions(api, name) == ["v1alpha1", "v1beta1"]
    await api.until(kind, SPACE, "old")
    with pytest.raises(ApiError, match=r"storedVersions\[0\]"):
        await api.apply(definition("v1beta1", group=group))

    for _ in range(2):  # the second time there is nothing to do
        migrate(control_plane, name, tmp_path)
    assert await stored_versions(api, name) == ["v1beta1"]
    await api.apply(definition("v1beta1", group=group))
    found = await api.until(kind, SPACE, "old")
    assert (found["testString"], found["testNum"]) == ("first foo", -5)
    await api.patch(kind, SPACE, "old", {"status": {"pod": "old"}}, "status")
    await api.delete(CRD, "", name)


async def test_migration_without_any_object_is_none(api: Api, control_plane: "ControlPlane", tmp_path: Path) -> None:
    name = "foos.empty.example.com"
    await api.apply(definition("v1beta1", group="empty.example.com"))
    await established(api, name)
    migrate(control_plane, name, tmp_path)
    assert await stored_versions(api, name) == ["v1beta1"]
    await api.delete(CRD, "", name)


async def established(api: Api, name: str) -> None:
    await api.until(CRD, "", name, lambda crd: condition_of(crd, "Established").get("status") == "True")


async def created(api: Api, obj: Raw) -> Raw:
    """A definition that is established is not served at once."""

    async def attempt() -> Raw | None:
        try:
            return await api.create(obj)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    return await eventually(attempt, what="the kind is served")


def migrate(plane: "ControlPlane", crd: str, directory: Path) -> None:
    """Run the script as a user does, who has kubectl on PATH and the cluster in KUBECONFIG."""
    kubectl = directory / "kubectl"
    if not kubectl.exists():
        kubectl.symlink_to(plane.kubectl)
    environment = {
        "PATH": f"{directory}:{os.environ['PATH']}",
        "KUBECONFIG": str(plane.kubeconfig),
        "HOME": str(directory),  # kubectl keeps a cache there
    }
    command = ["sh", str(PROJECT / "migrate-storage.sh"), crd]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
