"""What goes where in an OLM bundle, with made-up objects. tests/integration/test_bundle.py has the real ones."""

import json
from typing import Any

import pytest
import yaml

from runner.objects import Raw
from scripts.bundle.errors import BundleError
from scripts.bundle.files import files

SYSTEM = "mine-system"
CSV = "bundle/manifests/mine.clusterserviceversion.yaml"
READ = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
LEASE = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update"]}


def obj(kind: str, name: str, *, api: str = "v1", namespace: str = "", **rest: Any) -> Raw:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def definition(*versions: Raw) -> Raw:
    names = {"kind": "Cup", "plural": "cups"}
    spec = {"group": "x.io", "names": names, "versions": list(versions)}
    return obj("CustomResourceDefinition", "cups.x.io", api="apiextensions.k8s.io/v1", spec=spec)


def version(name: str, *, served: bool = True) -> Raw:
    spec = {"properties": {"maxSize": {"type": "integer", "description": "How much."}, "lid": {"type": "boolean"}}}
    status = {"properties": {"conditions": {"type": "array", "description": "How it is."}}}
    schema = {"description": "Holds tea.", "properties": {"spec": spec, "status": status}}
    return {"name": name, "served": served, "schema": {"openAPIV3Schema": schema}}


def deployment() -> Raw:
    pod = {"serviceAccountName": "works", "containers": [{"name": "manager", "image": "reg/mine:1"}]}
    made = obj("Deployment", "mine", api="apps/v1", namespace=SYSTEM, spec={"template": {"spec": pod}})
    made["metadata"]["labels"] = {"is": "mine"}
    return made


def role(kind: str, name: str, *rules: Raw) -> Raw:
    return obj(kind, name, api="rbac.authorization.k8s.io/v1", rules=list(rules))


def binding(kind: str, ref: tuple[str, str], *, account: str = "works", namespace: str = "") -> Raw:
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": SYSTEM}]
    reference = {"kind": ref[0], "name": ref[1]}
    name = f"{ref[1]}-binding"
    api = "rbac.authorization.k8s.io/v1"
    return obj(kind, name, api=api, namespace=namespace, roleRef=reference, subjects=subjects)


def base(*owned: Raw) -> Raw:
    spec = {"displayName": "Mine", "customresourcedefinitions": {"owned": list(owned)}}
    return obj("ClusterServiceVersion", "mine.v0.0.0", api="operators.coreos.com/v1alpha1", spec=spec)


def project(*more: Raw, without: str = "") -> list[Raw]:
    """The least that makes a bundle, and `more`."""
    least = [
        base(),
        definition(version("v1")),
        deployment(),
        obj("Namespace", SYSTEM),
        obj("ServiceAccount", "works", namespace=SYSTEM),
        obj("Configuration", "config", api="scorecard.operatorframework.io/v1alpha3"),
    ]
    return [*(each for each in least if each["kind"] != without), *more]


def made(
    *more: Raw, without: str = "", number: str = "1.2.3", channels: tuple[str, ...] = ("alpha",)
) -> dict[str, str]:
    objects = project(*more, without=without)
    return files(objects, package="mine", version=number, channels=channels, icon=b"<svg/>")


def service_version(*more: Raw, without: str = "") -> Raw:
    read: Raw = yaml.safe_load(made(*more, without=without)[CSV])
    return read


def test_version_and_image_are_in_the_service_version() -> None:
    whole = service_version()
    assert (whole["metadata"]["name"], whole["spec"]["version"]) == ("mine.v1.2.3", "1.2.3")
    assert whole["metadata"]["annotations"]["containerImage"] == "reg/mine:1"
    (installed,) = whole["spec"]["install"]["spec"]["deployments"]
    assert installed == {"name": "mine", "label": {"is": "mine"}, "spec": deployment()["spec"]}


@pytest.mark.parametrize("number", ["", "1.2", "v1.2.3", "1.2.03", "1.2.3-"])
def test_what_is_no_semantic_version_is_refused_by_the_name_of_the_variable(number: str) -> None:
    with pytest.raises(BundleError, match=r"^VERSION='.*give one such as 1\.2\.3"):
        made(number=number)


@pytest.mark.parametrize("number", ["0.1.0", "1.2.3-rc.1", "1.2.3+build.5"])
def test_semantic_versions_are_taken(number: str) -> None:
    assert yaml.safe_load(made(number=number)[CSV])["spec"]["version"] == number


def test_first_channel_is_the_default_and_none_is_refused() -> None:
    said = yaml.safe_load(made(channels=("stable", "alpha"))["bundle/metadata/annotations.yaml"])["annotations"]
    assert said["operators.operatorframework.io.bundle.channels.v1"] == "stable,alpha"
    assert said["operators.operatorframework.io.bundle.channel.default.v1"] == "stable"
    with pytest.raises(BundleError, match=r"^CHANNELS is empty"):
        made(channels=())


def test_rights_in_the_operators_namespace_follow_the_operator_group_and_others_do_not() -> None:
    spec = service_version(
        role("ClusterRole", "reads", READ),
        role("Role", "leads", LEASE),
        role("ClusterRole", "asks", READ, LEASE),
        binding("RoleBinding", ("ClusterRole", "reads"), namespace=SYSTEM),
        binding("RoleBinding", ("Role", "leads"), namespace=SYSTEM),
        binding("ClusterRoleBinding", ("ClusterRole", "asks")),
    )["spec"]["install"]["spec"]
    assert spec["permissions"] == [{"serviceAccountName": "works", "rules": [READ, LEASE]}]
    assert spec["clusterPermissions"] == [{"serviceAccountName": "works", "rules": [READ, LEASE]}]


def test_roles_and_bindings_of_others_stay_manifests() -> None:
    names = made(
        role("ClusterRole", "for-people", READ),
        binding("ClusterRoleBinding", ("ClusterRole", "for-people"), account="somebody"),
    )
    assert "bundle/manifests/for-people_rbac.authorization.k8s.io_v1_clusterrole.yaml" in names
    assert "bundle/manifests/for-people-binding_rbac.authorization.k8s.io_v1_clusterrolebinding.yaml" in names


def test_manifests_have_no_namespace_and_nothing_that_olm_makes_itself() -> None:
    found = made(obj("Service", "metrics", namespace=SYSTEM))
    manifests = {name: yaml.safe_load(text) for name, text in found.items() if name.startswith("bundle/manifests/")}
    assert set(manifests) == {CSV, "bundle/manifests/x.io_cups.yaml", "bundle/manifests/metrics_v1_service.yaml"}
    assert manifests["bundle/manifests/metrics_v1_service.yaml"]["metadata"] == {"name": "metrics"}


def test_fields_are_described_in_the_words_of_the_schema() -> None:
    (owned,) = service_version()["spec"]["customresourcedefinitions"]["owned"]
    assert owned == {
        "name": "cups.x.io",
        "version": "v1",
        "kind": "Cup",
        "displayName": "Cup",
        "description": "Holds tea.",
        "specDescriptors": [
            {
                "path": "lid",
                "displayName": "Lid",
                "description": "",
                "x-descriptors": ["urn:alm:descriptor:com.tectonic.ui:booleanSwitch"],
            },
            {
                "path": "maxSize",
                "displayName": "Max Size",
                "description": "How much.",
                "x-descriptors": ["urn:alm:descriptor:com.tectonic.ui:number"],
            },
        ],
        "statusDescriptors": [
            {
                "path": "conditions",
                "displayName": "Conditions",
                "description": "How it is.",
                "x-descriptors": ["urn:alm:descriptor:io.kubernetes.conditions"],
            }
        ],
    }


def test_what_people_say_of_a_kind_wins_and_must_be_of_one_that_is_there() -> None:
    said = {"name": "cups.x.io", "version": "v1", "kind": "Cup", "displayName": "Tea cup"}
    whole = service_version(base(said), without="ClusterServiceVersion")
    (owned,) = whole["spec"]["customresourcedefinitions"]["owned"]
    assert (owned["displayName"], owned["description"]) == ("Tea cup", "Holds tea.")
    with pytest.raises(BundleError, match=r"owns cups\.x\.io/v9, which no definition has \(have: cups\.x\.io/v1\)"):
        made(base({**said, "version": "v9"}), without="ClusterServiceVersion")


def test_versions_that_are_not_served_are_not_owned() -> None:
    whole = service_version(
        definition(version("v1"), version("v1alpha1", served=False)), without="CustomResourceDefinition"
    )
    assert [owned["version"] for owned in whole["spec"]["customresourcedefinitions"]["owned"]] == ["v1"]


def test_samples_become_examples_for_any_namespace() -> None:
    sample = obj("Cup", "first", api="x.io/v1", namespace="default", spec={"maxSize": 2})
    found = made(sample)
    (example,) = json.loads(yaml.safe_load(found[CSV])["metadata"]["annotations"]["alm-examples"])
    assert example == {**sample, "metadata": {"name": "first"}}
    assert not [name for name in found if name.endswith("_cup.yaml")]


@pytest.mark.parametrize(
    "kind", ["ClusterServiceVersion", "Deployment", "Namespace", "ServiceAccount", "Configuration"]
)
def test_what_is_missing_is_named(kind: str) -> None:
    with pytest.raises(BundleError, match=f"one {kind} is wanted, found: none"):
        made(without=kind)


def test_what_is_there_twice_is_named() -> None:
    with pytest.raises(BundleError, match="one Namespace is wanted, found: Namespace/mine-system, Namespace/other"):
        made(obj("Namespace", "other"))


def test_what_olm_does_not_install_is_refused_by_name() -> None:
    with pytest.raises(BundleError, match="OLM installs no CronJob/nightly: leave it out"):
        made(obj("CronJob", "nightly", api="batch/v1"))


def test_bindings_that_a_bundle_cannot_say_are_refused_by_name() -> None:
    with pytest.raises(BundleError, match="RoleBinding/leads-binding is in the namespace elsewhere"):
        made(role("Role", "leads", LEASE), binding("RoleBinding", ("Role", "leads"), namespace="elsewhere"))
    with pytest.raises(BundleError, match="ClusterRoleBinding/gone-binding: no ClusterRole/gone"):
        made(binding("ClusterRoleBinding", ("ClusterRole", "gone")))
