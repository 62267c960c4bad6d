"""The Helm chart as it renders. No cluster is asked; tests/integration/test_chart_release.py installs it."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import ROOT
from helm_chart import CHART, Helm
from manifests import Right, assert_room_in_tmp, one, parsed, rights_of
from runner.objects import Raw
from runner.settings import table

pytestmark = pytest.mark.integration

CONFIG = ROOT / "config"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SERVICE_MONITORS = "--api-versions=monitoring.coreos.com/v1/ServiceMonitor"


@pytest.fixture(scope="module")
def offline(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(program=helm, home=tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def rendered(offline: Helm) -> list[Raw]:
    return offline.template()


def kinds(objects: list[Raw]) -> list[str]:
    return [obj["kind"] for obj in objects]


def hook(obj: Raw) -> str:
    return str((obj["metadata"].get("annotations") or {}).get("helm.sh/hook", ""))


def own(objects: list[Raw]) -> list[Raw]:
    """Without what belongs to hooks."""
    return [obj for obj in objects if not hook(obj)]


def test_linter_finds_nothing(offline: Helm) -> None:
    offline("lint", "--strict", str(CHART))


def test_values_and_defaults_are_the_go_echoperators_but_for_the_image() -> None:
    election = {"leaseDurationSeconds": 15, "renewDeadlineSeconds": 10, "retryPeriodSeconds": 2}
    assert VALUES["image"] == {"repository": "localhost/echo-operator", "pullPolicy": "IfNotPresent", "tag": ""}
    monitoring = {key: value for key, value in VALUES["monitoring"].items() if key != "secure"}
    assert monitoring == {
        "enabled": True,
        "path": "/metrics",
        "port": 2112,
        "namespace": "monitoring",
        "interval": "10s",
        "labels": {"release": "monitoring"},
    }
    assert VALUES["ha"] == {"enabled": True, "leaderElection": election, "replicaCount": 3}
    rest = ("nameOverride", "fullnameOverride", "env", "logLevel", "numWorkers", "resources", "nodeSelector")
    assert [VALUES[name] for name in rest] == ["", "", "production", "info", 4, {}, {}]


@pytest.mark.parametrize(
    ("release", "arguments", "full"),
    [
        ("echoperator", [], "echoperator"),
        ("my-echoperator-1", [], "my-echoperator-1"),
        ("mine", [], "mine-echoperator"),
        ("mine", ["--set=nameOverride=other"], "mine-other"),
        ("mine", ["--set=fullnameOverride=whole"], "whole"),
    ],
)
def test_names_selector_and_lease_are_the_go_echoperators(
    offline: Helm, release: str, arguments: list[str], full: str
) -> None:
    """A selector can't be changed, and another Lease would let two lead."""
    objects = own(offline.template(*arguments, release=release))
    deployment = one(objects, "Deployment")
    name = "other" if "--set=nameOverride=other" in arguments else "echoperator"
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": release}
    assert deployment["metadata"]["name"] == full
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    pod = deployment["spec"]["template"]["spec"]
    assert [container["name"] for container in pod["containers"]] == [full]
    assert pod["serviceAccountName"] == full
    data = one(objects, "ConfigMap", full)["data"]
    assert (data["HA_LEASE_LOCK_NAME"], data["NAMESPACE"]) == (full, "ops")
    assert one(objects, "ServiceAccount")["metadata"]["name"] == full
    assert one(objects, "ClusterRoleBinding", full)["roleRef"]["name"] == full
    assert one(objects, "Service")["metadata"]["name"] == f"{full}-metrics"


def test_names_stay_names_when_the_release_has_a_long_one(offline: Helm) -> None:
    objects = offline.template("--set=networkPolicy.enabled=true", f"--set=fullnameOverride={'x' * 54}")
    too_long = [obj["metadata"]["name"] for obj in objects if len(obj["metadata"]["name"]) > 63]
    assert too_long == []
    names = [(obj["kind"], obj["metadata"]["name"]) for obj in objects]
    assert len(names) == len(set(names))


def test_environment_is_what_the_settings_read_under_env_compat(rendered: list[Raw]) -> None:
    ours = {"METRICS_ENABLED", "METRICS_PORT", "ANSIBLE_GATHERING"}
    known = {option.compat for option in table.TABLE} | ours
    assert set(one(rendered, "ConfigMap", "echoperator")["data"]) <= known


@pytest.mark.parametrize("arguments", [[], ["--set=monitoring.secure=true", "--set=extraArgs={--kube-api-qps=5}"]])
def test_arguments_are_the_operators(offline: Helm, arguments: list[str]) -> None:
    (container,) = one(offline.template(*arguments), "Deployment")["spec"]["template"]["spec"]["containers"]
    known = {flag: option for option in table.TABLE for flag in (option.flag, *option.aliases)}
    for argument in container["args"]:
        flag, _, value = argument.partition("=")
        known[flag].parse(value or "true")


def config_rights() -> set[Right]:
    files = sorted((CONFIG / "rbac").glob("*role*.yaml"))
    return rights_of(parsed("\n".join(file.read_text(encoding="utf-8") for file in files)), "controller-manager")


def test_rights_are_those_of_the_manifests(offline: Helm) -> None:
    """Which a test has found to be the ones that the operator uses."""
    secure = own(offline.template("--set=monitoring.secure=true"))
    assert rights_of(secure, "echoperator") == config_rights()


def test_rights_to_check_readers_come_with_secure_metrics_only(rendered: list[Raw]) -> None:
    checking = {right for right in config_rights() if right.resource.endswith("reviews")}
    assert rights_of(own(rendered), "echoperator") == config_rights() - checking


def test_peoples_roles_are_those_of_the_manifests(rendered: list[Raw]) -> None:
    for file in sorted((CONFIG / "rbac").glob("*echo_*_role.yaml")):
        (manifest,) = parsed(file.read_text(encoding="utf-8"))
        role = one(rendered, "ClusterRole", f"echoperator-{manifest['metadata']['name']}")
        assert role["rules"] == manifest["rules"]
        aggregated = {key for key in role["metadata"]["labels"] if "aggregate-to" in key}
        assert aggregated == {key for key in manifest["metadata"]["labels"] if "aggregate-to" in key}


def test_pods_are_those_of_the_manifests_where_nothing_ties_them(rendered: list[Raw]) -> None:
    """Probes, security and volumes: what is right for one is right for the other."""
    pod = one(rendered, "Deployment")["spec"]["template"]["spec"]
    (manifest,) = (
        obj for obj in parsed((CONFIG / "manager" / "manager.yaml").read_text()) if obj["kind"] == "Deployment"
    )
    theirs = manifest["spec"]["template"]["spec"]
    for name in ("securityContext", "terminationGracePeriodSeconds", "volumes"):
        assert pod[name] == theirs[name]
    (container,), (its,) = pod["containers"], theirs["containers"]
    for name in ("securityContext", "startupProbe", "livenessProbe", "readinessProbe", "volumeMounts"):
        assert container[name] == its[name]


def test_definitions_are_those_of_the_manifests(rendered: list[Raw]) -> None:
    """After a change: cp config/crd/bases/*.yaml charts/echoperator/files/crds/"""
    bases = {file.name: file.read_text(encoding="utf-8") for file in (CONFIG / "crd" / "bases").glob("*.yaml")}
    assert {file.name: file.read_text(encoding="utf-8") for file in (CHART / "files" / "crds").glob("*")} == bases
    mounted = one(rendered, "ConfigMap", "echoperator-crds")["data"]
    assert {name: text.rstrip("\n") for name, text in mounted.items()} == {
        name: text.rstrip("\n") for name, text in bases.items()
    }


def test_hook_may_touch_the_two_definitions_alone_and_delete_none(rendered: list[Raw]) -> None:
    (rule,) = one(rendered, "ClusterRole", "echoperator-crds")["rules"]
    assert rule == {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "resourceNames": ["echos.mmontes.io", "scheduledechos.mmontes.io"],
        "verbs": ["create", "get", "patch"],
    }
    assert {hook(obj) for obj in rendered} == {"", "pre-install,pre-upgrade", "test"}


def test_only_crds_keep_false_deletes_definitions_and_only_after_uninstall(offline: Helm) -> None:
    objects = offline.template("--set=crds.keep=false")
    job = one(objects, "Job", "echoperator-crds-delete")
    assert hook(job) == "post-delete"
    assert job["spec"]["template"]["spec"]["containers"][0]["command"][1] == "delete-crds"
    assert "delete" in one(objects, "ClusterRole", "echoperator-crds")["rules"][0]["verbs"]
    assert hook(one(objects, "Job", "echoperator-crds")) == "pre-install,pre-upgrade"


def test_without_crds_enabled_nothing_is_done_about_definitions(offline: Helm) -> None:
    assert [obj for obj in offline.template("--set=crds.enabled=false") if "crds" in obj["metadata"]["name"]] == []


def test_service_monitor_is_made_only_where_the_cluster_knows_it(offline: Helm, rendered: list[Raw]) -> None:
    """Else the install fails, as the Go echoperator's does."""
    assert "ServiceMonitor" not in kinds(rendered)
    monitor = one(offline.template(SERVICE_MONITORS), "ServiceMonitor")
    assert monitor["metadata"]["namespace"] == "monitoring"
    service = one(rendered, "Service")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert "ServiceMonitor" not in kinds(offline.template(SERVICE_MONITORS, "--set=monitoring.enabled=false"))


def test_watched_namespaces_have_the_only_bindings(offline: Helm) -> None:
    objects = own(offline.template("--set=watchNamespaces={a,b}"))
    bound = [obj for obj in objects if obj["kind"].endswith("RoleBinding")]
    bindings = [obj for obj in bound if obj["roleRef"]["name"] == "echoperator"]
    assert [(obj["kind"], obj["metadata"]["namespace"]) for obj in bindings] == [
        ("RoleBinding", "a"),
        ("RoleBinding", "b"),
    ]
    assert [obj["subjects"][0]["namespace"] for obj in bindings] == ["ops", "ops"]
    assert one(objects, "ConfigMap")["data"]["WATCH_NAMESPACE"] == "a,b"


def test_without_ha_there_is_one_and_never_two(offline: Helm) -> None:
    objects = own(offline.template("--set=ha.enabled=false"))
    spec = one(objects, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    assert not {"Role", "PodDisruptionBudget"} & set(kinds(objects))


def test_kubelet_waits_longer_than_the_operator_for_its_runs(offline: Helm) -> None:
    pod = one(offline.template("--set=gracefulShutdownSeconds=100"), "Deployment")["spec"]["template"]["spec"]
    assert "--graceful-shutdown-timeout=100s" in pod["containers"][0]["args"]
    assert pod["terminationGracePeriodSeconds"] == 115


def test_tmp_has_room_for_kept_runs_and_for_those_that_go_on(rendered: list[Raw]) -> None:
    """The kubelet evicts a Pod that has more there."""
    assert_room_in_tmp(one(rendered, "Deployment"))


def test_a_changed_setting_makes_new_pods(offline: Helm, rendered: list[Raw]) -> None:
    def checksum(objects: list[Raw]) -> str:
        return str(one(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    assert checksum(offline.template("--set=logLevel=debug")) != checksum(rendered)
    assert checksum(offline.template()) == checksum(rendered)


def test_pods_of_hooks_and_tests_are_not_taken_for_operators(offline: Helm) -> None:
    """The Service, the disruption budget and the network policy select by these labels."""
    objects = offline.template("--set=networkPolicy.enabled=true", "--set=crds.keep=false")
    selected = one(objects, "Deployment")["spec"]["selector"]["matchLabels"]
    for kind in ("PodDisruptionBudget", "Service", "NetworkPolicy"):
        spec = one(objects, kind)["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        assert selector.get("matchLabels", selector) == selected
    others = [one(objects, "Pod"), *(obj["spec"]["template"] for obj in objects if obj["kind"] == "Job")]
    assert len(others) == 3
    for other in others:
        assert not selected.items() <= other["metadata"]["labels"].items()
    (rule,) = one(objects, "NetworkPolicy")["spec"]["ingress"]
    assert rule["from"][1]["podSelector"]["matchLabels"] == one(objects, "Pod")["metadata"]["labels"]


@pytest.mark.parametrize(
    ("text", "passes"), [("ansible_operator_build_info 1\n", True), ("go_goroutines 7\n", False), (None, False)]
)
def test_helm_test_tells_our_operator_from_others(rendered: list[Raw], text: str | None, passes: bool) -> None:
    """Its Pod's own command, on a server that says this, or none."""
    (container,) = one(rendered, "Pod")["spec"]["containers"]
    _, *command, scheme, host, rest = container["command"]
    assert (scheme, host, rest) == ("http", "$(ECHOPERATOR_METRICS_SERVICE_HOST)", "2112/metrics")
    with saying(text) as port:
        done = subprocess.run([sys.executable, *command, scheme, "127.0.0.1", f"{port}/metrics"], check=False)
    assert (done.returncode == 0) is passes


@contextmanager
def saying(text: str | None) -> Iterator[int]:
    """A port with a server that answers so; `None`: nobody listens there."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        if text is None:
            port = server.server_port
            server.server_close()
            yield port
            return
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--set=monitorin.port=1", "additional properties 'monitorin' not allowed"),
        ("--set=ha.replicas=2", "additional properties 'replicas' not allowed"),
        ("--set=numWorkers=many", "at '/numWorkers'"),
        ("--set=logLevel=loud", "at '/logLevel'"),
        ("--set=watchNamespaces={A_b}", "at '/watchNamespaces/0'"),
        ("--set=crds=null", "missing property 'crds'"),
        ("--set=image.repository=x/mmontes11/echoperator", "--reset-then-reuse-values"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(offline: Helm, argument: str, said: str) -> None:
    """The last two are what helm's --reuse-values brings from the Go echoperator's chart."""
    done = offline.run("template", "x", str(CHART), argument)
    assert done.returncode != 0
    assert said in done.stderr


def test_chart_speaks_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (chart["name"], chart["appVersion"]) == ("echoperator", project["version"])


def test_packaged_chart_deploys_the_image_that_it_was_packaged_with(offline: Helm, tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    wish = [f"HELM={offline.program}", f"CHART_DIR={tmp_path}", "IMG=reg.example/team/echo-operator:9.8"]
    subprocess.run(["make", "chart", *wish], cwd=ROOT, env=inherited, check=True, capture_output=True)
    (package,) = tmp_path.iterdir()
    deployed = one(parsed(offline("template", "x", str(package))), "Deployment")
    (container,) = deployed["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "reg.example/team/echo-operator:9.8"


def test_every_value_is_in_the_table_of_the_readme_with_its_default() -> None:
    page = (CHART / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Za-z.]+)` \| `(.*?)` \|", page, re.MULTILINE)
    assert dict(rows) == {name: json.dumps(value) for name, value in leaves(VALUES)}
    assert len(rows) == len(dict(rows))


def leaves(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Each value that is set by itself; a mapping that is set as a whole is one."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value and name != "labels":
            found += leaves(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found
