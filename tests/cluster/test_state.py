"""state.json is how another process finds what to stop."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cluster import machine, state
from cluster.components import Layout, Ports, Settings
from cluster.errors import UnreadableStateError
from cluster.iptables import Chain
from cluster.nodeconfig import NodePorts
from cluster.processes import ProcessId


def example(directory: Path) -> state.State:
    settings = Settings(
        layout=Layout(directory),
        ports=Ports(etcd_client=1, etcd_peer=2, api_server=3, controller_manager=4, scheduler=5),
        binaries={"etcd": Path("/bin/etcd")},
        address="127.0.0.1",
        durable=True,
        audit=False,
        controller_manager=True,
        scheduler=False,
    )
    known = state.State(kubernetes="1.34", settings=settings, tied_to_caller=True)
    return known.with_running("etcd", ProcessId(10, 20))


def test_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    known = replace(example(tmp_path), complete=True)
    state.write(known)
    assert state.read(tmp_path) == known


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert state.read(tmp_path) is None


def test_restart_replaces_the_process_and_keeps_the_others(tmp_path: Path) -> None:
    known = example(tmp_path).with_running("kube-apiserver", ProcessId(11, 21)).with_running("etcd", ProcessId(12, 22))
    assert {name: running.process for name, running in known.running.items()} == {
        "etcd": ProcessId(12, 22),
        "kube-apiserver": ProcessId(11, 21),
    }


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "ports": {}}'])
def test_a_file_of_another_making_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableStateError):
        state.from_json(text, tmp_path)


def test_state_holds_the_server_for_people_who_look(tmp_path: Path) -> None:
    assert json.loads(state.to_json(example(tmp_path)))["server"] == "https://127.0.0.1:3"


def test_machine_record_comes_back_as_it_was_written() -> None:
    """It says what to put back; what is lost here is never put back."""
    record = machine.Record(
        directory=Path("/d"),
        sysctls={"kernel.panic": "1"},
        chains=(Chain("iptables", "nat", "KUBE-OTHER"),),
        cgroups=("/sys/fs/cgroup/cpu/kubepods",),
        absent=("/run/containerd",),
        ports=NodePorts(kubelet=1, kubelet_health=2, proxy_health=3, proxy_metrics=4),
    ).with_running("kubelet", ProcessId(10, 20))
    assert machine.from_json(machine.to_json(record)) == record
