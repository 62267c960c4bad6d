"""A cluster's context in a kubeconfig that is somebody's own: there, current, and gone again without a trace."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster import build, components, kubeconfig, usercontext, versions
from cluster.components import Layout, Ports, Settings
from cluster.errors import ContextRefusedError

pytestmark = pytest.mark.integration  # kubectl edits the files

SOMEBODY = {
    "cluster": "prod",
    "server": "https://prod.example",
    "authority": b"ca",
    "user": "me",
    "certificate": b"certificate",
    "key": b"key",
}
Cluster = Callable[[str], Settings]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """Make what is on disk of a cluster."""
    kubectl = build.provide([versions.KUBERNETES.program("kubectl")])["kubectl"]

    def make(name: str) -> Settings:
        layout = Layout(tmp_path / name)
        authority = components.Pki.at(layout.pki).authority.certificate
        authority.parent.mkdir(parents=True)
        authority.touch()
        return Settings(
            layout=layout,
            ports=Ports(etcd_client=1, etcd_peer=2, api_server=3, controller_manager=4, scheduler=5),
            binaries={"kubectl": kubectl},
            address="127.0.0.1",
            durable=False,
            audit=False,
            controller_manager=True,
            scheduler=True,
        )

    return make


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A kubeconfig with a context that is somebody's."""
    path = tmp_path / "home" / "config"
    path.parent.mkdir()
    path.write_text(kubeconfig.render(**SOMEBODY))  # type: ignore[arg-type]
    return path


def read(settings: Settings, file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        usercontext._run(str(settings.binaries["kubectl"]), str(file), "view", "--raw", "--output=json")
    )
    return found


def test_it_is_current_and_leads_to_the_cluster(cluster: Cluster, file: Path) -> None:
    one = cluster("one")
    usercontext.add(one, "echoperator", file)
    found = read(one, file)
    assert found["current-context"] == "echoperator"
    entries = {entry["name"]: entry["cluster"] for entry in found["clusters"]}
    authority = str(components.Pki.at(one.layout.pki).authority.certificate)
    assert entries["echoperator"]["server"] == "https://127.0.0.1:3"
    assert (file.parent / entries["echoperator"]["certificate-authority"]).resolve() == Path(authority)


def test_somebody_s_own_is_as_it_was_afterwards_and_current_again(cluster: Cluster, file: Path) -> None:
    one = cluster("one")
    before = read(one, file)
    usercontext.add(one, "echoperator", file)
    assert [entry for entry in read(one, file)["clusters"] if entry["name"] == "prod"] == before["clusters"]
    usercontext.remove(one.layout.directory)
    assert read(one, file) == before
    usercontext.remove(one.layout.directory)  # nothing to do


def test_a_second_start_renews_it_and_still_knows_what_was_current(cluster: Cluster, file: Path) -> None:
    one = cluster("one")
    before = read(one, file)
    usercontext.add(one, "echoperator", file)
    usercontext.add(replace(one, ports=replace(one.ports, api_server=7)), "echoperator", file)
    servers = [entry["cluster"]["server"] for entry in read(one, file)["clusters"]]
    assert sorted(servers) == ["https://127.0.0.1:7", "https://prod.example"]
    usercontext.remove(one.layout.directory)
    assert read(one, file) == before


def test_who_has_chosen_another_context_meanwhile_keeps_it(cluster: Cluster, file: Path) -> None:
    one = cluster("one")
    usercontext.add(one, "echoperator", file)
    usercontext._run(str(one.binaries["kubectl"]), str(file), "set-context", "other", "--cluster=prod")
    usercontext._run(str(one.binaries["kubectl"]), str(file), "use-context", "other")
    usercontext.remove(one.layout.directory)
    assert read(one, file)["current-context"] == "other"


def test_a_file_that_was_not_there_is_not_there_afterwards(cluster: Cluster, tmp_path: Path) -> None:
    one, file = cluster("one"), tmp_path / "nobody" / "config"
    usercontext.add(one, "echoperator", file)
    assert file.stat().st_mode & 0o077 == 0
    usercontext.remove(one.layout.directory)
    assert not file.exists()


def test_a_name_that_somebody_else_has_is_left_alone(cluster: Cluster, file: Path) -> None:
    one = cluster("one")
    before = file.read_bytes()
    with pytest.raises(ContextRefusedError, match='"prod" of somebody else'):
        usercontext.add(one, "prod", file)
    with pytest.raises(ContextRefusedError, match='"me" of somebody else'):
        usercontext.add(one, "me", file)
    assert file.read_bytes() == before


def test_another_checkout_s_is_left_alone_until_its_files_have_gone(cluster: Cluster, file: Path) -> None:
    one, other = cluster("one"), cluster("other")
    usercontext.add(one, "echoperator", file)
    with pytest.raises(ContextRefusedError):
        usercontext.add(other, "echoperator", file)
    components.Pki.at(one.layout.pki).authority.certificate.unlink()
    usercontext.add(other, "echoperator", file)
    usercontext.remove(one.layout.directory)
    assert read(other, file)["current-context"] == "echoperator"


def test_a_file_that_cannot_be_read_is_refused_and_kept(cluster: Cluster, file: Path) -> None:
    file.write_text("{")
    with pytest.raises(ContextRefusedError, match=str(file)):
        usercontext.add(cluster("one"), "echoperator", file)
    assert file.read_text() == "{"


def test_a_kill_after_any_of_its_steps_is_made_good(
    cluster: Cluster, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cluster("one")
    before = read(one, file)
    run = usercontext._run
    for steps in range(4):
        left = iter(range(steps))

        def dying(kubectl: str, file: str, *arguments: str, left: Any = left) -> str:
            if arguments[0] != "view" and next(left, None) is None:
                raise SystemExit
            return run(kubectl, file, *arguments)

        with monkeypatch.context() as patched:
            patched.setattr(usercontext, "_run", dying)
            with pytest.raises(SystemExit):
                usercontext.add(one, "echoperator", file)
        usercontext.remove(one.layout.directory)
        assert read(one, file) == before


def test_an_interrupt_waits_until_the_file_is_whole(
    cluster: Cluster, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cluster("one")
    run = usercontext._run

    def interrupted(kubectl: str, file: str, *arguments: str) -> str:
        if arguments[0] == "set-cluster":
            signal.raise_signal(signal.SIGINT)
        return run(kubectl, file, *arguments)

    monkeypatch.setattr(usercontext, "_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        usercontext.add(one, "echoperator", file)
    assert read(one, file)["current-context"] == "echoperator"


def test_who_has_set_kubeconfig_has_said_what_kubectl_works_on(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", "/somewhere")
    assert usercontext.offer("default", cluster("one")).startswith("none made: KUBECONFIG is set")
    assert not (tmp_path / ".kube").exists()
    monkeypatch.delenv("KUBECONFIG")
    assert usercontext.offer("two", cluster("two")).startswith(f"echoperator-two of {tmp_path}/.kube/config is current")
