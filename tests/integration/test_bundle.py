"""The OLM bundle that `make bundle` writes: what `operator-sdk bundle validate` and its scorecard look at, and whether the
bundle says the truth about config/. The API server takes the examples."""

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from harness import ROOT
from manifests import kustomized, one, rights_of
from runner.objects import Raw
from scripts.overlay import overlay

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = pytest.mark.integration

CONFIG = ROOT / "config"
IMAGE = "reg.example/echo-operator:9.8.7"
ACCOUNT = "echoperator-controller-manager"


@pytest.fixture(scope="module")
def directory(control_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a user has it made."""
    made = tmp_path_factory.mktemp("made")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    wish = [f"KUBECTL={control_plane.kubectl}", f"BUNDLE_DIR={made}", f"IMG={IMAGE}", "VERSION=9.8.7"]
    done = subprocess.run(
        ["make", "bundle", *wish], cwd=ROOT, env=inherited, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture(scope="module")
def manifests(directory: Path) -> list[Raw]:
    paths = sorted((directory / "bundle" / "manifests").iterdir())
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]


@pytest.fixture(scope="module")
def service_version(manifests: list[Raw]) -> Raw:
    return one(manifests, "ClusterServiceVersion")


@pytest.fixture(scope="module")
def rendered(control_plane: "ControlPlane") -> list[Raw]:
    return kustomized(control_plane.kubectl, CONFIG / "default")


def examples(service_version: Raw) -> list[Raw]:
    read: list[Raw] = json.loads(service_version["metadata"]["annotations"]["alm-examples"])
    return read


def bound(service_version: Raw, field: str) -> list[Raw]:
    """The RBAC objects that OLM makes of `permissions` or `clusterPermissions`."""
    prefix = "Cluster" if field == "clusterPermissions" else ""
    made: list[Raw] = []
    for index, entry in enumerate(service_version["spec"]["install"]["spec"][field]):
        name = f"{field}-{index}"
        account = {"kind": "ServiceAccount", "name": entry["serviceAccountName"]}
        reference = {"kind": f"{prefix}Role", "name": name}
        made.append({"kind": f"{prefix}Role", "metadata": {"name": name}, "rules": entry["rules"]})
        binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [account]}
        made.append({"kind": f"{prefix}RoleBinding", **binding})
    return made


def test_image_and_metadata_say_the_same_and_name_what_is_there(directory: Path) -> None:
    read = yaml.safe_load((directory / "bundle" / "metadata" / "annotations.yaml").read_text(encoding="utf-8"))
    lines = (directory / "bundle.Dockerfile").read_text(encoding="utf-8").splitlines()
    labels = dict(line.removeprefix("LABEL ").split("=", 1) for line in lines if line.startswith("LABEL "))
    assert labels == read["annotations"]
    copied = dict(line.split()[1:] for line in lines if line.startswith("COPY "))
    assert {target: (directory / source).is_dir() for source, target in copied.items()} == {
        "/manifests/": True,
        "/metadata/": True,
        "/tests/scorecard/": True,
    }
    named = {f"/{labels[name]}" for name in labels if name.endswith(("manifests.v1", "metadata.v1", "config.v1"))}
    assert named == set(copied.values())


def test_project_and_variables_decide_on_names(service_version: Raw) -> None:
    assert service_version["metadata"]["name"] == "echoperator.v9.8.7"
    assert service_version["metadata"]["annotations"]["containerImage"] == IMAGE
    assert (service_version["spec"]["version"], service_version["spec"]["minKubeVersion"]) == ("9.8.7", "1.31.0")


def test_every_definition_is_there_as_it_is_in_config_and_owned(manifests: list[Raw], service_version: Raw) -> None:
    written = [
        yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((CONFIG / "crd" / "bases").iterdir())
    ]
    assert [obj for obj in manifests if obj["kind"] == "CustomResourceDefinition"] == written
    owned = service_version["spec"]["customresourcedefinitions"]["owned"]
    assert [(entry["name"], entry["version"], entry["kind"]) for entry in owned] == [
        (crd["metadata"]["name"], version["name"], crd["spec"]["names"]["kind"])
        for crd in written
        for version in crd["spec"]["versions"]
    ]


def test_every_field_of_an_owned_kind_has_a_descriptor_with_words(manifests: list[Raw], service_version: Raw) -> None:
    for entry in service_version["spec"]["customresourcedefinitions"]["owned"]:
        (version,) = one(manifests, "CustomResourceDefinition", entry["name"])["spec"]["versions"]
        schema = version["schema"]["openAPIV3Schema"]["properties"]
        for half in ("spec", "status"):
            described = entry[f"{half}Descriptors"]
            assert {shown["path"] for shown in described} == set(schema[half]["properties"])
            assert all(shown["displayName"] and shown["description"] for shown in described)
        assert entry["description"]
        assert entry["displayName"]


def test_what_is_made_for_a_kind_is_named_and_may_be_made(service_version: Raw) -> None:
    rights = rights_of(bound(service_version, "permissions"), ACCOUNT)
    created = {right.resource for right in rights if right.verb == "create"}
    for entry in service_version["spec"]["customresourcedefinitions"]["owned"]:
        first, *_ = entry["resources"]
        assert f"{first['kind'].lower()}s" in created


def test_every_owned_kind_has_an_example_that_the_api_server_takes(
    control_plane: "ControlPlane", service_version: Raw
) -> None:
    found = examples(service_version)
    owned = service_version["spec"]["customresourcedefinitions"]["owned"]
    assert {example["kind"] for example in found} == {entry["kind"] for entry in owned}
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": found})
    asked = [control_plane.kubectl, f"--kubeconfig={control_plane.kubeconfig}", "--namespace=default"]
    done = subprocess.run(
        [*asked, "create", "--dry-run=server", "--validate=strict", "-f", "-"],
        input=listed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("created (server dry run)") == len(found)


def test_rights_are_those_of_config(service_version: Raw, rendered: list[Raw]) -> None:
    both = [*bound(service_version, "permissions"), *bound(service_version, "clusterPermissions")]
    assert rights_of(both, ACCOUNT) == rights_of(rendered, ACCOUNT)


def test_rights_in_the_whole_cluster_are_those_of_a_deployment_for_some_namespaces(
    control_plane: "ControlPlane", service_version: Raw, tmp_path: Path
) -> None:
    """What an OperatorGroup of some namespaces leaves is what WATCH_NAMESPACE leaves of `make deploy`."""
    for name, content in overlay(tmp_path, image=IMAGE, namespaces=["team-a"]).items():
        (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    deployed = [obj for obj in kustomized(control_plane.kubectl, tmp_path) if obj["kind"] != "RoleBinding"]
    assert rights_of(bound(service_version, "clusterPermissions"), ACCOUNT) == rights_of(deployed, ACCOUNT)


def test_deployment_is_that_of_config_and_watches_what_the_operator_group_names(
    service_version: Raw, rendered: list[Raw]
) -> None:
    """All install modes are true because of that one variable."""
    (installed,) = service_version["spec"]["install"]["spec"]["deployments"]
    wanted = one(rendered, "Deployment")["spec"]
    (container,) = wanted["template"]["spec"]["containers"]
    container["image"] = IMAGE
    namespaces = {"fieldRef": {"fieldPath": "metadata.annotations['olm.targetNamespaces']"}}
    container["env"].append({"name": "WATCH_NAMESPACE", "valueFrom": namespaces})
    assert installed["spec"] == wanted
    modes = {mode["type"]: mode["supported"] for mode in service_version["spec"]["installModes"]}
    assert modes == dict.fromkeys(("OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces"), True)


def test_all_else_of_config_is_there_without_a_namespace(manifests: list[Raw], rendered: list[Raw]) -> None:
    """OLM makes the account itself, out of the permissions: one that is in the bundle too is refused."""
    by_olm = {"Namespace", "ServiceAccount", "Deployment", "Role", "RoleBinding", "ClusterRoleBinding"}
    ours = {"echoperator-manager-role", "echoperator-metrics-auth-role", "echoperator-definition-reader-role"}
    wanted = {(obj["kind"], obj["metadata"]["name"]) for obj in rendered if obj["kind"] not in by_olm}
    there = {(obj["kind"], obj["metadata"]["name"]) for obj in manifests if obj["kind"] != "ClusterServiceVersion"}
    assert there == {(kind, name) for kind, name in wanted if name not in ours}
    placed = [obj["metadata"]["name"] for obj in manifests if "namespace" in obj["metadata"]]
    assert placed == ["echoperator.v9.8.7"]  # `placeholder`, as the field has it


def test_namespace_that_olm_suggests_keeps_to_the_restricted_standard(service_version: Raw) -> None:
    annotation = service_version["metadata"]["annotations"]["operatorframework.io/suggested-namespace-template"]
    suggested = json.loads(annotation)
    assert suggested["metadata"]["name"] == "echoperator-system"
    assert suggested["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_scorecard_runs_all_tests_of_both_suites(directory: Path) -> None:
    read = yaml.safe_load((directory / "bundle" / "tests" / "scorecard" / "config.yaml").read_text(encoding="utf-8"))
    (stage,) = read["stages"]
    assert [test["entrypoint"][1] for test in stage["tests"]] == [
        "basic-check-spec",
        "olm-bundle-validation",
        "olm-crds-have-validation",
        "olm-crds-have-resources",
        "olm-spec-descriptors",
        "olm-status-descriptors",
    ]
