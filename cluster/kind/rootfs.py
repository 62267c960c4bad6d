"""Turns an unpacked Debian into a kind node's root file system, as kind's own Dockerfile does. Needs root.

What is installed comes from Debian and from Go modules; what a node is configured with comes from kind's module.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster import versions
from cluster.images import Entry
from cluster.kind import nodefiles, steps
from cluster.kind.errors import StepFailedError
from cluster.progress import Progress

_CNI = ("host-local", "loopback", "ptp", "portmap")
_CONTAINERD = ("containerd", "containerd-shim-runc-v2", "ctr")
_ON_THE_NODE = ("kubeadm", "kubelet", "kubectl")
_UNITS = ("kubelet", "containerd", "undo-mount-hacks")
_UNWANTED = (
    # Debian's own would be taken for kind's where this is missing.
    "lib/systemd/system/containerd.service",
    "lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
    "lib/systemd/system/multi-user.target.wants/*",
    "etc/systemd/system/*.wants/*",
    "lib/systemd/system/local-fs.target.wants/*",
    "lib/systemd/system/sockets.target.wants/*udev*",
    "lib/systemd/system/sockets.target.wants/*initctl*",
    "lib/systemd/system/basic.target.wants/*",
    "var/cache/apt/*",
    "var/cache/debconf/*",
    "var/lib/apt/lists/*",
    "var/log/*",
)
"""What kind's Dockerfile removes: units that are not for containers, and what an installation leaves."""

_PROXY_PACKAGES = (
    *("iptables", "libxtables12", "libnftnl11", "libmnl0", "libip4tc2", "libip6tc2", "libnetfilter-conntrack3"),
    *("libnfnetlink0", "libedit2", "libbsd0", "libmd0", "libtinfo6", "libjansson4", "libnftables1", "libgmp10"),
    *("libc6", "conntrack", "netbase"),
)
_IPTABLES = tuple(f"{family}{suffix}" for family in ("iptables", "ip6tables") for suffix in ("", "-save", "-restore"))


def prepare(root: Path, source: Path, binaries: Mapping[str, Path], pause: str, progress: Progress) -> None:
    """Make the Debian in `root` a node, but for its images.

    Args:
        root: The unpacked Debian.
        source: The directory of kind's module.
        binaries: The programs by their names.
        pause: The image that holds a Pod's namespaces open, as kubeadm names it.
        progress: Where to say what is done.
    """
    for pattern in _UNWANTED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    _copy_kinds_own(source / "images" / "base" / "files", root)
    _place_programs(root, binaries)
    _write(root, "kind/version", f"v{versions.KUBERNETES.version}")
    _write(root, "kind/manifests/default-cni.yaml", nodefiles.DEFAULT_CNI)
    storage = source / "pkg" / "build" / "nodeimage" / "const_storage.go"
    _write(root, "kind/manifests/default-storage.yaml", nodefiles.storage(storage.read_text()))
    _write(root, "usr/local/bin/crictl", nodefiles.CRICTL, mode=0o755)
    containerd = root / "etc/containerd/config.toml"
    _write(root, "etc/containerd/config.toml", nodefiles.containerd(containerd.read_text(), pause))
    _write(root, nodefiles.CNI_TEMPLATE.lstrip("/"), nodefiles.cni())
    _write(root, "etc/containerd/cri-base.json", nodefiles.base_spec(_in(root, ["ctr", "oci", "spec"])))
    (root / "etc/kubernetes/manifests").mkdir(parents=True)
    with (root / "etc/systemd/journald.conf").open("a") as journald:
        journald.write("ReadKMsg=no\n")  # the kernel's lines are not the node's
    for unit in _UNITS:
        _in(root, ["systemctl", "enable", f"{unit}.service"])
    # It would register its formats with the whole machine's kernel.
    _in(root, ["systemctl", "mask", "systemd-binfmt.service"])
    progress.say(f"  a node's files: kind {source.name.partition('@')[2]}, Kubernetes {versions.KUBERNETES.version}")


def kubeadm_images(root: Path) -> dict[str, str]:
    """Which image the node's kubeadm wants for which program."""
    version = f"--kubernetes-version=v{versions.KUBERNETES.version}"
    return nodefiles.component_images(_in(root, ["/usr/bin/kubeadm", "config", "images", "list", version]))


def proxy_files(root: Path) -> list[Entry]:
    """The packet filter's programs and the libraries they load, for the image of kube-proxy."""
    listed = _in(root, ["dpkg", "--listfiles", *_PROXY_PACKAGES]).splitlines()
    names = {canonical(line) for line in listed if line.startswith("/") and "/share/doc" not in line}
    entries = [Entry(path=f"{name}", link=f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin")]
    entries += [_entry(root, name) for name in sorted(names) if name and (root / name).exists(follow_symlinks=False)]
    return entries + [Entry(path=f"usr/sbin/{name}", link="xtables-nft-multi") for name in _IPTABLES]


def _entry(root: Path, name: str) -> Entry:
    path = root / name
    if path.is_symlink():
        return Entry(path=name, link=str(path.readlink()))
    mode = path.stat().st_mode & 0o7777
    if path.is_dir():
        return Entry(path=name, directory=True, mode=mode)
    return Entry(path=name, content=path.read_bytes(), mode=mode)


def canonical(listed: str) -> str:
    """A package's path as it is on a Debian whose /bin, /lib and /sbin are links into /usr."""
    name = listed.strip("/.")
    top = name.partition("/")[0]
    if top in ("bin", "lib", "lib64", "sbin"):
        return f"usr/{name}"
    return name


def _copy_kinds_own(files: Path, root: Path) -> None:
    for path in sorted(files.rglob("*")):
        if path.is_file():
            name = path.relative_to(files)
            script = name.is_relative_to("usr/local/bin") or name.is_relative_to("kind/bin")
            _write(root, str(name), path.read_text(), mode=0o755 if script else 0o644)


def _place_programs(root: Path, binaries: Mapping[str, Path]) -> None:
    for name in _ON_THE_NODE:
        _place(binaries[name], root / "usr/bin" / name)
    for name in _CONTAINERD:  # where kind's unit looks for them
        (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{name}")
    plugins = root / "opt/cni/bin"
    plugins.mkdir(parents=True)
    for name in _CNI:
        (root / "usr/lib/cni" / name).rename(plugins / name)
    shutil.rmtree(root / "usr/lib/cni")


def _place(program: Path, target: Path) -> None:
    shutil.copyfile(program, target)
    target.chmod(0o755)


def _write(root: Path, name: str, text: str, *, mode: int = 0o644) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _in(root: Path, command: Sequence[str]) -> str:
    """Run a program of the root file system in it; returns its standard output."""
    done = subprocess.run(
        ["chroot", root, *command], capture_output=True, text=True, check=False, env=steps.environment()
    )
    if done.returncode != 0:
        raise StepFailedError(" ".join(command), done.stdout + done.stderr)
    return done.stdout
