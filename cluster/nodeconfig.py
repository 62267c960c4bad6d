"""Configuration files and command lines of a node's programs. Pure: values in, text out.

Files that are YAML by name are written as JSON, which is YAML.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster import components, images
from cluster.certificates import Pair

NODE_NAME = "echoperator-node"
NETWORK_NAME = "echoperator"

CONTAINERD = "containerd"
KUBELET = "kubelet"
KUBE_PROXY = "kube-proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePorts:
    """The TCP ports of the node's programs; all but the kubelet's on loopback."""

    kubelet: int
    kubelet_health: int
    proxy_health: int
    proxy_metrics: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """Everything that the node's configuration depends on."""

    configuration: Path
    """Where the configuration files are, below the control plane's directory."""
    data: Path
    run: Path
    binaries: Mapping[str, Path]
    containerd: Path
    runc: Path
    cni_plugins: Path
    snapshotter: str
    socket: Path
    address: str
    ports: NodePorts
    authority: Path
    serving: Pair

    @property
    def kubelet_root(self) -> Path:
        return self.data / "kubelet"


def files(settings: NodeSettings) -> dict[str, str]:
    """The configuration files by their path below `settings.configuration`."""
    return {
        "containerd.toml": containerd(settings),
        "cni/10-echoperator.conflist": cni(settings),
        "kubelet.json": kubelet(settings),
        "kube-proxy.json": kube_proxy(settings),
    }


def commands(settings: NodeSettings) -> dict[str, list[str]]:
    """The programs' command lines, in the order they are started."""
    configuration = settings.configuration
    return {
        CONTAINERD: [str(settings.containerd), "--config", str(configuration / "containerd.toml")],
        KUBELET: [
            str(settings.binaries[KUBELET]),
            f"--config={configuration / 'kubelet.json'}",
            f"--kubeconfig={configuration / 'kubelet.kubeconfig'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={settings.address}",
            f"--root-dir={settings.kubelet_root}",
        ],
        KUBE_PROXY: [str(settings.binaries[KUBE_PROXY]), f"--config={configuration / 'kube-proxy.json'}"],
    }


def containerd(settings: NodeSettings) -> str:
    """The containerd configuration: its container runtime interface, runc, and nothing it would put elsewhere."""
    text = json.dumps  # a JSON string is a TOML string
    return f"""version = 2
root = {text(str(settings.data / "containerd"))}
state = {text(str(settings.run / "containerd"))}
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
address = {text(str(settings.socket))}

[ttrpc]
address = {text(str(settings.socket) + ".ttrpc")}

[plugins."io.containerd.internal.v1.opt"]
path = {text(str(settings.data / "opt"))}

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {text(images.PAUSE)}
# Works without the right to lower an out-of-memory score.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = {text(settings.snapshotter)}
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = {text(str(settings.runc))}
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {text(str(settings.cni_plugins))}
conf_dir = {text(str(settings.configuration / "cni"))}
"""


def cni(settings: NodeSettings) -> str:
    """The Pod network: point to point, so that all traffic is routed and Services work without br_netfilter."""
    return json.dumps(
        {
            "cniVersion": "0.4.0",
            "name": NETWORK_NAME,
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": True,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(settings.run / "addresses"),
                        "ranges": [[{"subnet": components.POD_NETWORK}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
                # Where the machine drops what it forwards by default, as Docker sets it.
                {"type": "firewall", "backend": "iptables"},
            ],
        },
        indent=2,
    )


def kubelet(settings: NodeSettings) -> str:
    plenty = {
        "memory.available": "50Mi",
        "nodefs.available": "1%",
        "nodefs.inodesFree": "1%",
        "imagefs.available": "1%",
    }
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": settings.address,
            "port": settings.ports.kubelet,
            "readOnlyPort": 0,
            "healthzBindAddress": "127.0.0.1",
            "healthzPort": settings.ports.kubelet_health,
            "tlsCertFile": str(settings.serving.certificate),
            "tlsPrivateKeyFile": str(settings.serving.key),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(settings.authority)},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": f"unix://{settings.socket}",
            "cgroupDriver": "cgroupfs",
            "failSwapOn": False,
            "failCgroupV1": False,
            "oomScoreAdj": 0,
            "enforceNodeAllocatable": [],
            "evictionHard": plenty,
            # Images come from files: one that was collected could not be pulled again.
            "imageGCHighThresholdPercent": 100,
            "podLogsDir": str(settings.data / "pod-logs"),
            "volumePluginDir": str(settings.data / "volume-plugins"),
            # One user at a time waits for each change, on a control plane that has nothing else to do.
            "kubeAPIQPS": 100,
            "kubeAPIBurst": 200,
        },
        indent=2,
    )


def kube_proxy(settings: NodeSettings) -> str:
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(settings.configuration / "kube-proxy.kubeconfig")},
            "mode": "iptables",
            "nodePortAddresses": ["primary"],
            "iptables": {"localhostNodePorts": False},
            "clusterCIDR": components.POD_NETWORK,
            "hostnameOverride": NODE_NAME,
            "healthzBindAddress": f"127.0.0.1:{settings.ports.proxy_health}",
            "metricsBindAddress": f"127.0.0.1:{settings.ports.proxy_metrics}",
            # Zero: leave the machine's own settings alone.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        },
        indent=2,
    )
