"""Kernel settings: reading, setting, putting back.

The record is made before the first change and holds everything that the node's programs are known to set, so that
`restore` leaves the machine as it was found.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path("/proc/sys")

WANTED = {"net.ipv4.ip_forward": "1"}
"""What we set: without it no packet of a Pod leaves the Pod."""

SET_BY_KUBELET = {
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.keys.root_maxbytes": "25000000",
}

_ALSO_RECORDED = (
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.vs.conntrack",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
)
"""What kube-proxy and the network plugins may set, depending on their version."""


def read(names: tuple[str, ...] = ()) -> dict[str, str]:
    """The values that the machine has now; settings this kernel lacks are left out."""
    names = names or (*WANTED, *SET_BY_KUBELET, *_ALSO_RECORDED)
    values = {}
    for name in names:
        with contextlib.suppress(OSError):
            values[name] = _path(name).read_text().strip()
    return values


def to_change(have: Mapping[str, str]) -> dict[str, str]:
    """What a node will set to another value than it has, whether we do it or the kubelet."""
    wanted = {**WANTED, **SET_BY_KUBELET}
    return {name: value for name, value in wanted.items() if name in have and have[name] != value}


def apply() -> None:
    """Set what we want set; the kubelet does its own."""
    for name, value in WANTED.items():
        _path(name).write_text(value)


def restore(recorded: Mapping[str, str]) -> list[str]:
    """Put recorded values back; returns the names of those that had changed."""
    changed = []
    for name, value in recorded.items():
        if read((name,)).get(name, value) != value:
            with contextlib.suppress(OSError):
                _path(name).write_text(value)
                changed.append(name)
    return changed


def _path(name: str) -> Path:
    return _ROOT / name.replace(".", "/")
