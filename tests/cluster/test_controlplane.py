"""The control plane as real processes."""

import json
import signal
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_traces import cluster_command, cluster_process, processes_of

from cluster import cache, processes, state
from cluster.controlplane import ControlPlane, ControlPlaneOptions
from cluster.errors import AlreadyRunningError, ComponentFailed, NotRunningError

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def options(directory: Path, **changes: Any) -> ControlPlaneOptions:
    return ControlPlaneOptions(directory=directory, tied_to_caller=True, **changes)


def kubectl(plane: ControlPlane, *arguments: str, kubeconfig: Path | None = None) -> str:
    done = subprocess.run(
        [plane.kubectl, "--kubeconfig", kubeconfig or plane.kubeconfig, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane.start(options(tmp_path_factory.mktemp("plane"), scheduler=True, audit=True)) as started:
        yield started


def test_every_component_is_healthy_and_started_in_order(plane: ControlPlane) -> None:
    found = plane.status()
    assert [component.name for component in found] == [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ]
    assert all(component.healthy and component.running and not component.paused for component in found)
    assert [component.since for component in found] == sorted(component.since for component in found)


def test_a_strict_client_trusts_the_api_server(plane: ControlPlane) -> None:
    """Python 3.13 and our own client verify strictly."""
    pki = plane.layout.pki
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))
    with urllib.request.urlopen(f"{plane.server}/version", context=context, timeout=10) as answer:
        assert json.load(answer)["gitVersion"] == f"v{plane.release.version}"


def test_kubeconfig_and_keys_are_their_owners_alone(plane: ControlPlane) -> None:
    assert plane.kubeconfig.stat().st_mode & 0o077 == 0
    assert plane.layout.pki.stat().st_mode & 0o077 == 0


def test_another_user_has_that_users_name_groups_and_rights(plane: ControlPlane) -> None:
    jane = plane.user_kubeconfig("jane", ["devs", "ops"])
    who = kubectl(plane, "auth", "whoami", "-o", "json", kubeconfig=jane)
    assert json.loads(who)["status"]["userInfo"]["username"] == "jane"
    assert {"devs", "ops"} <= set(json.loads(who)["status"]["userInfo"]["groups"])
    assert "forbidden" in kubectl(plane, "get", "pods", kubeconfig=jane)
    kubectl(plane, "create", "rolebinding", "jane", "--clusterrole=view", "--user=jane")
    # The rights of "view" are gathered by a controller, and bindings are read from a cache.
    assert processes.wait_until(lambda: "No resources found" in kubectl(plane, "get", "pods", kubeconfig=jane), 30, 0.2)


def test_audit_log_tells_who_created_what_with_the_whole_job(plane: ControlPlane) -> None:
    kubectl(plane, "create", "job", "audited", "--image=x")
    kubectl(plane, "create", "configmap", "audited", "--from-literal=secret=unseen")

    def events(resource: str) -> list[dict[str, Any]]:
        lines = plane.audit_log.read_text().splitlines(keepends=True)
        read = [json.loads(line) for line in lines if line.endswith("\n")]
        return [
            event
            for event in read
            if event["verb"] == "create"
            and event["objectRef"].get("name") == "audited"
            and event["objectRef"]["resource"] == resource
        ]

    assert processes.wait_until(lambda: bool(events("jobs") and events("configmaps")), 10)
    (job,) = events("jobs")
    assert job["user"]["username"] == "kubernetes-admin"
    assert job["requestObject"]["kind"] == "Job"
    assert job["stage"] == "ResponseComplete"
    assert "requestObject" not in events("configmaps")[0]


def test_controller_manager_makes_the_pods_of_a_job_and_collects_them(plane: ControlPlane) -> None:
    kubectl(plane, "create", "job", "real", "--image=x")

    def pods() -> str:
        return kubectl(plane, "get", "pods", "-l", "job-name=real", "-o", "name")

    assert processes.wait_until(lambda: pods().startswith("pod/real-"), 30, 0.2)
    kubectl(plane, "delete", "job", "real")
    assert processes.wait_until(lambda: pods() == "", 30, 0.2)


def test_owner_references_need_the_right_to_block_deletion(plane: ControlPlane) -> None:
    """The admission plugin that OpenShift runs with; an operator without finalizer rights fails there."""
    owner = json.loads(kubectl(plane, "create", "configmap", "owner", "-o", "json"))
    kubectl(plane, "create", "role", "maker", "--verb=create", "--resource=configmaps")
    kubectl(plane, "create", "rolebinding", "maker", "--role=maker", "--user=maker")
    child = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "child",
            "namespace": "default",
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": "owner",
                    "uid": owner["metadata"]["uid"],
                    "blockOwnerDeletion": True,
                }
            ],
        },
    }
    manifest = plane.directory / "child.json"
    manifest.write_text(json.dumps(child))
    said = kubectl(plane, "create", "-f", str(manifest), kubeconfig=plane.user_kubeconfig("maker"))
    assert "cannot set blockOwnerDeletion" in said


def test_killed_api_server_comes_back_with_port_and_data(plane: ControlPlane) -> None:
    kubectl(plane, "create", "configmap", "kept")
    server = plane.server
    plane.kill("kube-apiserver")
    assert not {component.name: component for component in plane.status()}["kube-apiserver"].running
    assert plane.read("/api/v1/namespaces/default/configmaps/kept") is None
    plane.restart("kube-apiserver")
    assert plane.server == server
    assert plane.read("/api/v1/namespaces/default/configmaps/kept") is not None


def test_killed_etcd_comes_back_with_its_data(plane: ControlPlane) -> None:
    kubectl(plane, "create", "configmap", "kept-too")
    plane.kill("etcd")
    plane.restart("etcd")
    found: list[object] = []

    def there() -> bool:
        found.append(plane.read("/api/v1/namespaces/default/configmaps/kept-too"))
        return found[-1] is not None

    assert processes.wait_until(there, 30, 0.2)


def test_paused_api_server_answers_nothing_until_resumed(plane: ControlPlane) -> None:
    plane.pause("kube-apiserver")
    try:
        (paused,) = (component for component in plane.status() if component.paused)
        assert paused.name == "kube-apiserver"
        assert not paused.healthy
    finally:
        plane.resume("kube-apiserver")
    assert processes.wait_until(lambda: all(component.healthy for component in plane.status()), 30, 0.2)


def test_an_unknown_component_is_refused_with_the_known_ones(plane: ControlPlane) -> None:
    with pytest.raises(ValueError, match=r"no component 'kubelet' here \(have: etcd, kube-apiserver"):
        plane.kill("kubelet")


def test_a_second_start_in_the_same_directory_is_refused(plane: ControlPlane) -> None:
    with pytest.raises(AlreadyRunningError):
        ControlPlane.start(options(plane.directory))
    assert all(component.healthy for component in plane.status())


def test_two_run_side_by_side_and_stop_apart(plane: ControlPlane, tmp_path: Path) -> None:
    with ControlPlane.start(options(tmp_path / "second", controller_manager=False)) as second:
        assert second.server != plane.server
        kubectl(second, "create", "namespace", "only-in-second")
        assert second.read("/api/v1/namespaces/only-in-second") is not None
        assert plane.read("/api/v1/namespaces/only-in-second") is None
        second.stop()
        second.stop()  # a second stop does nothing
        assert processes_of(second.directory) == []
        with pytest.raises(NotRunningError):
            _ = second.server
    assert all(component.healthy for component in plane.status())


def test_another_process_attaches_and_stops_it(tmp_path: Path) -> None:
    first = ControlPlane.start(options(tmp_path, controller_manager=False))
    attached = ControlPlane.attach(tmp_path)
    assert attached is not None
    assert attached.server == first.server
    attached.stop()
    assert processes_of(tmp_path) == []
    assert ControlPlane.attach(tmp_path) is None


def test_a_start_on_kept_data_goes_on_with_the_same_objects(tmp_path: Path) -> None:
    with ControlPlane.start(options(tmp_path, controller_manager=False, durable=True)) as first:
        kubectl(first, "create", "namespace", "kept")
    with ControlPlane.start(options(tmp_path, controller_manager=False)) as second:
        assert second.read("/api/v1/namespaces/kept") is not None


def test_a_reused_pid_in_the_state_is_never_killed(tmp_path: Path) -> None:
    """After a crash and a reboot, state.json may name a pid that is somebody else's now."""
    ControlPlane.start(options(tmp_path, controller_manager=False)).stop()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        identity = processes.identify(stranger.pid)
        assert identity is not None
        text = _STATE.replace("PID", str(stranger.pid)).replace("TICKS", str(identity.start - 1))
        state.from_json(text, tmp_path)  # it is a state that would be believed
        (tmp_path / "state.json").write_text(text)
        assert ControlPlane.attach(tmp_path) is None
        ControlPlane(tmp_path).stop()
        assert stranger.poll() is None
        stranger.kill()


def test_failed_start_names_the_component_and_shows_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    program = assets / "kube-apiserver"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo Kubernetes v1.34.0; exit; }\necho "my last words"; exit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    with pytest.raises(ComponentFailed) as failed:
        ControlPlane.start(options(tmp_path / "plane"))
    assert failed.value.component == "kube-apiserver"
    assert failed.value.log_tail == "my last words"
    assert "kube-apiserver ended before it was ready" in str(failed.value)
    assert "my last words" in str(failed.value)
    assert processes_of(tmp_path / "plane") == []


def test_command_line_up_status_down(tmp_path: Path) -> None:
    up = cluster_command(tmp_path, "up", "--control-plane-only", "--name", "one")
    try:
        assert up.returncode == 0, up.stderr
        kubeconfig = tmp_path / "one" / "kubeconfig"
        assert f"export KUBECONFIG={kubeconfig}" in up.stdout.splitlines()
        assert "No node, so no Pod runs" in up.stdout
        again = cluster_command(tmp_path, "up", "--control-plane-only", "--name", "one", "--json")
        assert again.returncode == 0
        assert json.loads(again.stdout)["alreadyUp"] is True
        assert json.loads(again.stdout)["kubeconfig"] == str(kubeconfig)
        status = cluster_command(tmp_path, "status", "--name", "one", "--json")
        assert status.returncode == 0
        assert len(json.loads(status.stdout)["components"]) == 4
        etcd = json.loads(status.stdout)["components"][0]
        identity = processes.identify(etcd["pid"])
        assert identity is not None
        identity.signal(signal.SIGKILL)
        identity.wait_gone(5)
        broken = cluster_command(tmp_path, "status", "--name", "one")
        assert broken.returncode == 3
        assert "NOT healthy" in broken.stdout
    finally:
        down = cluster_command(tmp_path, "down", "--all")
    assert down.returncode == 0
    assert 'Stopped cluster "one": ' in down.stdout
    assert processes_of(tmp_path) == []
    assert not (tmp_path / "one").exists()
    assert cluster_command(tmp_path, "status", "--name", "one").returncode == 3


def test_a_bare_kubectl_works_on_the_cluster_until_down_if_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("ECHOPERATOR_CACHE", str(cache.root()))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    try:
        up = cluster_command(tmp_path, "up", "--control-plane-only", "--json")
        assert up.returncode == 0, up.stderr
        assert list(home.iterdir()) == []
        again = cluster_command(tmp_path, "up", "--control-plane-only", "--context", "--json")
        assert f"echoperator of {home}/.kube/config is current" in json.loads(again.stdout)["context"]
        bare = [json.loads(up.stdout)["kubectl"], "get", "namespace", "default", "--output=name"]
        assert subprocess.run(bare, capture_output=True, text=True, check=False).stdout == "namespace/default\n"
    finally:
        down = cluster_command(tmp_path, "down")
    assert down.returncode == 0
    assert not (home / ".kube" / "config").exists()


@pytest.mark.parametrize("component", ["etcd", "kube-apiserver", "kube-controller-manager"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_start_leaves_nothing(component: str, number: signal.Signals, code: int, tmp_path: Path) -> None:
    with cluster_process(tmp_path, "up", "--control-plane-only") as up:
        assert processes.wait_until(
            lambda: any(f"/{component} " in line for line in processes_of(tmp_path / "default")), 60
        )
        up.send_signal(number)
        _, said = up.communicate(timeout=30)
        assert up.returncode == code, said
        assert processes_of(tmp_path / "default") == []
        assert not (tmp_path / "default").exists()


@pytest.mark.parametrize("recorded", [True, False])
def test_down_stops_what_a_killed_start_left(recorded: bool, tmp_path: Path) -> None:
    """A start may be killed between starting a process and writing it down."""
    with cluster_process(tmp_path, "up", "--control-plane-only") as up:
        assert processes.wait_until(
            lambda: any("/kube-apiserver " in line for line in processes_of(tmp_path / "default")), 60
        )
        up.kill()
        up.wait()
        if not recorded:
            (tmp_path / "default" / "state.json").unlink()
        assert processes_of(tmp_path / "default") != []
        down = cluster_command(tmp_path, "down")
        assert down.returncode == 0
        assert processes_of(tmp_path / "default") == []


_STATE = """{
  "format": 1, "kubernetes": "1.34", "address": "127.0.0.1", "durable": false, "audit": false,
  "controllerManager": false, "scheduler": false, "tiedToCaller": false, "complete": true,
  "ports": {"etcd_client": 1, "etcd_peer": 2, "api_server": 3, "controller_manager": 4, "scheduler": 5},
  "binaries": {"etcd": "/bin/etcd", "kube-apiserver": "/bin/kube-apiserver"},
  "processes": {"etcd": {"pid": PID, "startTicks": TICKS, "since": "2026-01-01T00:00:00+00:00"}}
}"""
