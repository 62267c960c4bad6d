"""config/ and the targets of the Makefile that deploy it, on a real API server with its controllers. No node, so the
Pods stay Pending: that they are made at all is what Pod Security has to say."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from deployment import SYSTEM, left_of_ours, make
from harness import POD, ROOT, Api, eventually, install_crds
from manifests import assert_room_in_tmp, kustomized, one, parsed
from runner.durations import parse_duration
from runner.objects import GroupVersionKind, Raw
from runner.settings import table

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

NAMESPACE = GroupVersionKind("", "v1", "Namespace")
CONFIG = ROOT / "config"


@pytest.fixture(scope="module")
def rendered(control_plane: "ControlPlane") -> list[Raw]:
    return kustomized(control_plane.kubectl, CONFIG / "default")


async def test_deploy_makes_two_restricted_pods_with_that_image_and_undeploy_leaves_nothing(
    control_plane: "ControlPlane", api: Api
) -> None:
    """The API server makes them only where Pod Security has nothing against them."""
    await asyncio.to_thread(make, control_plane, "deploy", "IMG=localhost/tried:1")
    try:
        namespace = await api.until(NAMESPACE, "", SYSTEM)
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"

        async def both() -> list[Raw] | None:
            pods = await api.list(POD, SYSTEM)
            return pods if len(pods) == 2 else None

        pods = await eventually(both, what="two Pods")
        assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"localhost/tried:1"}
        assert {pod["spec"]["serviceAccountName"] for pod in pods} == {"echoperator-controller-manager"}
    finally:
        await asyncio.to_thread(make, control_plane, "undeploy")
        left = await asyncio.to_thread(left_of_ours, control_plane)
        install_crds(control_plane)  # other tests' too
    assert left == []


def test_deploying_changes_no_file_of_the_work_tree(control_plane: "ControlPlane") -> None:
    def files() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in CONFIG.rglob("*") if file.is_file()}

    before = files()
    make(control_plane, "build-installer", "IMG=localhost/tried:2")
    assert files() == before


def test_installer_is_one_file_with_all_that_is_deployed(control_plane: "ControlPlane", rendered: list[Raw]) -> None:
    make(control_plane, "build-installer", "IMG=localhost/tried:2")
    installer = parsed((ROOT / "dist" / "install.yaml").read_text(encoding="utf-8"))
    one(rendered, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"] = "localhost/tried:2"
    assert installer == rendered


def test_default_is_two_replicas_of_which_one_leads(rendered: list[Raw]) -> None:
    spec = one(rendered, "Deployment")["spec"]
    arguments = spec["template"]["spec"]["containers"][0]["args"]
    assert spec["replicas"] == 2
    assert "--leader-elect" in arguments
    (lease,) = (argument.split("=")[1] for argument in arguments if argument.startswith("--leader-election-id="))
    (named,) = (rule for rule in one(rendered, "Role")["rules"] if rule.get("resourceNames"))
    assert named["resourceNames"] == [lease]


def test_kubelet_waits_longer_than_the_operator_for_its_runs(rendered: list[Raw]) -> None:
    """Else the Lease is not released, and the next one waits for it to run out."""
    spec = one(rendered, "Deployment")["spec"]["template"]["spec"]
    flags = dict(argument.partition("=")[::2] for argument in spec["containers"][0]["args"])
    assert spec["terminationGracePeriodSeconds"] >= parse_duration(flags["--graceful-shutdown-timeout"]) + 10


def test_tmp_has_room_for_kept_runs_and_for_those_that_go_on(rendered: list[Raw]) -> None:
    """The kubelet evicts a Pod that has more there."""
    assert_room_in_tmp(one(rendered, "Deployment"))


@pytest.mark.parametrize("overlay", ["default", "testing"])
def test_arguments_are_the_operators(control_plane: "ControlPlane", overlay: str) -> None:
    """A flag that it does not know would only show on a node."""
    (container,) = one(kustomized(control_plane.kubectl, CONFIG / overlay), "Deployment")["spec"]["template"]["spec"][
        "containers"
    ]
    known = {flag: option for option in table.TABLE for flag in (option.flag, *option.aliases)}
    for argument in container["args"]:
        flag, _, value = argument.partition("=")
        known[flag].parse(value or "true")


def test_probes_and_service_meet_the_ports_that_are_served(rendered: list[Raw]) -> None:
    (container,) = one(rendered, "Deployment")["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    flags = dict(argument.partition("=")[::2] for argument in container["args"])
    assert flags["--health-probe-bind-address"] == f":{ports['probes']}"
    assert flags["--metrics-bind-address"] == f":{ports['https']}"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "probes"
    (port,) = one(rendered, "Service")["spec"]["ports"]
    assert port["targetPort"] == "https"


def test_everything_that_selects_pods_selects_ours(control_plane: "ControlPlane", tmp_path: Path) -> None:
    """With what may be added to the default: a selector that selects nothing shows nowhere."""
    here = os.path.relpath(CONFIG, tmp_path)
    resources = [f"{here}/{name}" for name in ("default", "prometheus", "network-policy")]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": resources}), encoding="utf-8")
    objects = kustomized(control_plane.kubectl, tmp_path)
    deployment = one(objects, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert deployment["selector"]["matchLabels"] == labels
    assert spread["labelSelector"]["matchLabels"] == labels
    assert one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert one(objects, "Service")["spec"]["selector"] == labels
    monitored = one(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert monitored.items() <= one(objects, "Service")["metadata"]["labels"].items()


@pytest.mark.parametrize("policy", ["Always", "IfNotPresent", "Never"])
def test_each_pull_policy_is_a_patch_of_the_deployment(policy: str, rendered: list[Raw]) -> None:
    (patch,) = parsed((CONFIG / "testing" / "pull_policy" / f"{policy}.yaml").read_text(encoding="utf-8"))
    deployment = one(rendered, "Deployment")
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    assert (patch["metadata"]["name"], patch["metadata"]["namespace"]) == (
        deployment["metadata"]["name"],
        deployment["metadata"]["namespace"],
    )
    assert container == {"name": "manager", "imagePullPolicy": policy}
