"""The pure parts of a kind cluster: files of its node, names of its images, which image, which engine."""

import io
import json
import os
import tarfile
import tomllib
from pathlib import Path

import pytest

from cluster import machine, nodecheck, packages, processes
from cluster.errors import ClusterError
from cluster.kind import (
    base,
    choice,
    clusters,
    components,
    engine,
    needs,
    nodefiles,
    nodeimage,
    preload,
    programs,
    record,
    rootfs,
    steps,
    summary,
)
from cluster.kind.errors import StepFailedError, UnexpectedSourceError
from cluster.nodeconfig import NodePorts
from cluster.processes import ProcessId
from cluster.progress import Progress

_CONTAINERD = """\
version = 2

[proxy_plugins]
# fuse-overlayfs is used for rootless
[proxy_plugins."fuse-overlayfs"]
  type = "snapshot"
  address = "/run/containerd-fuse-overlayfs.sock"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.example/pause:3.10"
  restrict_oom_score_adj = false
"""

_LISTED = """\
registry.example/kube-apiserver:v1.34.4
registry.example/kube-controller-manager:v1.34.4
registry.example/kube-scheduler:v1.34.4
registry.example/kube-proxy:v1.34.4
registry.example/coredns/coredns:v1.12.1
registry.example/pause:3.10.1
registry.example/etcd:3.6.5-0
"""


def test_containerd_runs_pods_with_what_is_on_the_node() -> None:
    settings = tomllib.loads(nodefiles.containerd(_CONTAINERD, "registry.example/pause:3.10.1"))
    assert settings == {
        "version": 2,
        "plugins": {
            "io.containerd.grpc.v1.cri": {
                "containerd": {"snapshotter": "overlayfs"},
                "sandbox_image": "registry.example/pause:3.10.1",
                "restrict_oom_score_adj": True,
                "cni": {"conf_template": nodefiles.CNI_TEMPLATE},
            }
        },
    }


@pytest.mark.parametrize("lost", ["restrict_oom_score_adj", "sandbox_image", "[proxy_plugins]"])
def test_a_configuration_that_kind_has_changed_is_not_guessed_at(lost: str) -> None:
    with pytest.raises(UnexpectedSourceError, match="kind's file has no"):
        nodefiles.containerd(_CONTAINERD.replace(lost, "other"), "pause")


def test_pods_get_addresses_of_their_own_nodes_range() -> None:
    ptp, portmap = json.loads(nodefiles.cni())["plugins"]
    assert (ptp["type"], ptp["ipam"]["ranges"]) == ("ptp", [[{"subnet": "{{.PodCIDR}}"}]])
    assert portmap["type"] == "portmap"


def test_containers_start_from_containerds_specification_with_kinds_hook_and_without_limits() -> None:
    spec = json.loads(nodefiles.base_spec('{"process": {"rlimits": [1], "args": []}, "root": {}}'))
    hook = {"createContainer": [{"path": "/kind/bin/mount-product-files.sh"}]}
    assert spec == {"process": {"args": []}, "root": {}, "hooks": hook}


def test_the_default_storage_class_is_kinds_with_images_that_are_there() -> None:
    source = "const defaultStorageManifest = `\na: ` + storageProvisionerImage + `\nb: ` + storageHelperImage + `\n`\n"
    manifest = nodefiles.storage(source)
    assert manifest == f"\na: {nodefiles.PROVISIONER_IMAGE}\nb: {nodefiles.HELPER_IMAGE}\n"
    with pytest.raises(UnexpectedSourceError):
        nodefiles.storage("package nodeimage")


def test_each_image_that_kubeadm_asks_for_has_its_program() -> None:
    names = nodefiles.component_images(_LISTED)
    assert names["coredns"] == "registry.example/coredns/coredns:v1.12.1"
    made = {component.image for component in components.components(names, [])}
    assert made == {*names.values(), nodefiles.PROVISIONER_IMAGE}
    built = {program.name for program in programs.IN_NODE_IMAGE}
    assert {component.program for component in components.components(names, [])} <= built


@pytest.mark.parametrize("listed", [_LISTED + "registry.example/new:v1\n", _LISTED.replace("/pause:", "/hold:")])
def test_an_image_that_nothing_is_built_for_is_named(listed: str) -> None:
    with pytest.raises(UnexpectedSourceError, match="kubeadm wants images of"):
        nodefiles.component_images(listed)


def test_coredns_is_the_version_that_kubeadm_asks_for() -> None:
    """The node image is refused where they differ: the name that is asked for is the one it is given."""
    go_mod = (programs.COREDNS.module.directory / "go.mod").read_text()
    assert f"github.com/coredns/coredns v{programs.COREDNS.module.version}\n" in go_mod


@pytest.mark.parametrize("program", [programs.KIND, programs.KUBEADM, programs.PROVISIONER])
def test_go_mod_pins_the_version_that_the_constant_names(program: programs.Program) -> None:
    go_mod = (program.module.directory / "go.mod").read_text()
    module = program.package.removesuffix("/cmd/kubeadm")
    assert f"{module} v{program.module.version} " in go_mod
    assert f"tool {program.package}\n" in go_mod


@pytest.mark.parametrize(
    ("wanted", "own", "there", "expected"),
    [
        ("", False, True, ("official", False)),
        ("", False, False, ("ours", True)),
        ("", True, True, ("ours", True)),
        ("mine", False, True, ("mine", False)),
        ("mine", True, False, ("mine", False)),
        ("ours", False, True, ("ours", True)),
    ],
)
def test_which_node_image(wanted: str, own: bool, there: bool, expected: tuple[str, bool]) -> None:
    chosen = choice.node_image(wanted=wanted, own_engine=own, official="official", has=lambda _: there, ours="ours")
    assert (chosen.name, chosen.built_here) == expected


def test_kinds_default_image_is_read_from_its_source() -> None:
    assert choice.official('// x\nconst Image = "kindest/node:v1@sha256:0"\n') == "kindest/node:v1@sha256:0"
    with pytest.raises(UnexpectedSourceError):
        choice.official("package defaults\n")


def test_the_engine_writes_no_packet_filter_rule_and_touches_no_other_engine() -> None:
    settings = engine.settings(Path("/data"), Path("/run/x"), Path("/run/x/s"), Path("/run/x/w"))
    assert (settings["iptables"], settings["ip-forward"], settings["ip-masq"], settings["bridge"]) == (
        False,
        False,
        False,
        "none",
    )
    assert settings["hosts"] == ["unix:///run/x/s"]
    places = [settings[name] for name in ("data-root", "exec-root", "pidfile", "deprecated-key-path")]
    assert all(str(place).startswith(("/data/", "/run/x/")) for place in places)
    assert settings["default-runtime"] in settings["runtimes"]  # type: ignore[operator]


def test_only_our_engine_needs_to_be_named_to_a_client() -> None:
    assert engine.Engine(ours=False).environment == {}
    assert engine.Engine(ours=True).environment == {"DOCKER_HOST": f"unix://{record.RUN}/docker.sock"}


@pytest.mark.parametrize("process", [None, ProcessId(pid=7, start=8)])
def test_a_record_is_read_as_it_was_written(process: ProcessId | None) -> None:
    known = record.Record(sysctls={"a.b": "1"}, absent=("/x",), process=process)
    assert record.from_json(record.to_json(known)) == known


def test_a_sealed_program_ends_with_the_one_that_is_killed() -> None:
    command = steps.sealed(["dockerd", "--flag"])
    assert {"--mount", "--pid", "--fork", "--kill-child"} <= set(command)
    assert command[-3:] == ["--", "dockerd", "--flag"]


def test_a_failed_step_shows_the_last_lines(tmp_path: Path) -> None:
    error = StepFailedError("making it", "\n".join(f"line {number}" for number in range(100)))
    assert isinstance(error, ClusterError)
    assert str(error).splitlines()[:2] == ["making it failed; it said last:", "  line 80"]
    assert str(error).endswith("  line 99")


def test_a_step_that_fails_is_not_said_to_be_done() -> None:
    output = io.StringIO()
    with pytest.raises(StepFailedError, match="the disk is full"):
        steps.run("writing it", ["sh", "-c", "echo the disk is full; exit 3"], Progress(stream=output))
    assert "failed after" in output.getvalue()
    assert "done" not in output.getvalue()


def test_a_program_that_is_not_there_fails_its_step() -> None:
    with pytest.raises(StepFailedError, match="no-such-program"):
        steps.run("asking it", ["no-such-program"], Progress(quiet=True))
    assert steps.answer(["no-such-program"]) is None


def test_what_is_changed_on_the_machine_is_said_with_its_purpose() -> None:
    lines = needs.announcement([need for need in needs.ENGINE if need.package == "docker.io"], {"kernel.panic": "10"})
    assert "will be installed and stay" in lines[0]
    assert lines[1].split()[0] == "docker.io"
    assert "kind-down puts back" in lines[2]
    assert lines[3:] == ["  kernel.panic = 10"]
    assert needs.announcement([], {}) == []


def test_a_nodes_packages_are_not_the_machines() -> None:
    """What is installed here is what runs here; the node's Debian is made of its own."""
    here = {need.package for need in (*needs.ENGINE, *needs.IMAGE)}
    assert here == {"docker.io", "runc", "iproute2", "mmdebstrap", "containerd"}
    assert packages.NEEDS is not needs.ENGINE


def test_a_kind_clusters_directory_is_none_of_an_embedded_ones(tmp_path: Path) -> None:
    from cluster.commands import valid_name  # noqa: PLC0415 - one use

    place = clusters.Place(root=tmp_path, name="default")
    assert not valid_name(place.directory.relative_to(tmp_path.resolve()).parts[0])
    assert clusters.facts(place) is None
    assert not clusters.in_docker(place)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("/lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("/usr/sbin/xtables-nft-multi", "usr/sbin/xtables-nft-multi"),
        ("/lib64", "usr/lib64"),
        ("/library/x", "library/x"),
        ("/.", ""),
    ],
)
def test_a_packages_paths_are_those_of_a_merged_usr(listed: str, expected: str) -> None:
    assert rootfs.canonical(listed) == expected


def test_an_image_for_docker_holds_its_layer_under_our_own_name(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        tar.addfile(tarfile.TarInfo("x"), io.BytesIO())
    nodeimage.write_archive(tmp_path / "image.tar", layer)
    with tarfile.open(tmp_path / "image.tar") as tar:
        (manifest,) = json.loads((tar.extractfile("manifest.json") or io.BytesIO()).read())
        config = json.loads((tar.extractfile(manifest["Config"]) or io.BytesIO()).read())
        assert (tar.extractfile(manifest["Layers"][0]) or io.BytesIO()).read() == layer.read_bytes()
    assert manifest["RepoTags"] == [nodeimage.name()]
    assert "kindest" not in nodeimage.name()
    assert config["config"]["StopSignal"] == "SIGRTMIN+3"
    assert config["config"]["Entrypoint"] == ["/usr/local/bin/entrypoint", "/sbin/init"]


def test_another_package_makes_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    first = nodeimage.name()
    monkeypatch.setattr(base, "PACKAGES", (*base.PACKAGES, "nano"))
    assert nodeimage.name() != first


def test_images_are_taken_by_a_containerd_that_runs_no_pods() -> None:
    settings = tomllib.loads(preload.settings(Path("/node/store"), Path("/s")))
    assert settings["root"] == "/node/store"
    assert "io.containerd.grpc.v1.cri" in settings["disabled_plugins"]
    assert settings["grpc"]["address"] == "/s/socket"


@pytest.mark.parametrize("own", [True, False])
def test_what_is_said_of_a_cluster_lets_others_use_it(tmp_path: Path, own: bool) -> None:
    said = summary.Summary(
        place=clusters.Place(root=tmp_path, name="x"),
        kind=clusters.Kind(program=Path("/bin/kind"), engine=engine.Engine(ours=own)),
        kubectl=Path("/bin/kubectl"),
        kubernetes="v1.34.4",
        node_image="node",
        test_image="test",
        already_up=False,
        took_s=61.0,
    )
    answer = json.loads(said.as_json())
    assert (answer["testImage"], answer["ownEngine"], answer["alreadyUp"]) == ("test", own, False)
    exported = dict(
        line.removeprefix("export ").split("=", 1) for line in said.as_text().splitlines() if "export" in line
    )
    expected = {"KUBECONFIG": answer["kubeconfig"], "RELATED_IMAGE_ECHO": "test", **answer["environment"]}
    assert exported == expected
    assert ("DOCKER_HOST" in exported) is own


def test_a_node_and_an_engine_for_kind_exclude_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both put the kernel's settings back: the one that ends last would put back what the other had changed."""
    alive = processes.identify(os.getpid())
    assert alive is not None
    known = record.Record(sysctls={}, absent=(), process=alive)
    monkeypatch.setattr(record, "read", lambda: known)
    assert "make kind-down" in (nodecheck.occupied() or "")
    node = machine.Record(
        directory=tmp_path,
        sysctls={},
        chains=(),
        cgroups=(),
        absent=(),
        ports=NodePorts(kubelet=1, kubelet_health=2, proxy_health=3, proxy_metrics=4),
    ).with_running("kubelet", alive)
    monkeypatch.setattr(machine, "read", lambda: node)
    assert str(tmp_path) in (needs.occupied() or "")
    monkeypatch.setattr(machine, "read", lambda: None)
    assert needs.occupied() is None
