"""The node: real Pods, and a machine that is as it was afterwards."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_traces import Cluster, require_node

from cluster import images
from cluster.controlplane import ControlPlane, ControlPlaneOptions
from cluster.errors import NodeRefusedError
from cluster.images import Entry
from cluster.node import Node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_WEB = f"""
apiVersion: v1
kind: Pod
metadata: {{name: web, labels: {{app: web}}}}
spec:
  containers:
  - name: web
    image: {images.BUSYBOX}
    command: [sh, -c, "mkdir /tmp/w && echo served > /tmp/w/index.html && httpd -f -p 8080 -h /tmp/w"]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
"""


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    require_node()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    directory = tmp_path_factory.mktemp("plane")
    options = ControlPlaneOptions(directory=directory, scheduler=True, reachable_from_pods=True, tied_to_caller=True)
    with (
        ControlPlane.start(options) as plane,
        Node.start(plane, [images.build_busybox(directory / "busybox.tar")]) as started,
    ):
        yield started


@pytest.fixture(scope="module")
def cluster(node: Node) -> Cluster:
    plane = ControlPlane.attach(node.directory)
    assert plane is not None
    return Cluster(plane.kubectl, plane.kubeconfig)


def test_a_job_completes_and_its_log_can_be_read(cluster: Cluster) -> None:
    assert cluster.run_job("hello", "printf", "%s\\n", "Hola, 世界!") == "Hola, 世界!\n"


def test_a_pod_reaches_another_through_a_service(cluster: Cluster) -> None:
    cluster("apply", "-f", "-", stdin=_WEB)
    assert "condition met" in cluster("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    address = cluster("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    fetch = f"for i in 1 2 3 4 5; do wget -qO- http://{address}/ && exit; sleep 1; done; exit 1"
    assert cluster.run_job("fetch", "sh", "-c", fetch).endswith("served\n")
    # And itself, which needs the way back to be translated too.
    assert cluster("exec", "web", "--", "wget", "-qO-", f"http://{address}/") == "served\n"


def test_a_pod_reaches_the_api_server_with_its_account(cluster: Cluster) -> None:
    """So an operator's own image can be deployed."""
    ask = (
        'wget -qO- --no-check-certificate --header "Authorization: Bearer '
        '$(cat /var/run/secrets/kubernetes.io/serviceaccount/token)" '
        "https://10.96.0.1/apis/authorization.k8s.io/v1"
    )
    assert json.loads(cluster.run_job("ask", "sh", "-c", ask))["groupVersion"] == "authorization.k8s.io/v1"


def test_a_restricted_pod_runs_as_nobody(cluster: Cluster) -> None:
    """What the echo role makes: restricted Pod Security."""
    overrides = {
        "spec": {
            "securityContext": {"runAsUser": 65534, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "who",
                    "image": images.BUSYBOX,
                    "command": ["id", "-u"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        }
    }
    cluster("run", "who", f"--image={images.BUSYBOX}", "--restart=Never", f"--overrides={json.dumps(overrides)}")
    done = cluster("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/who", "--timeout=60s")
    assert "condition met" in done, cluster("describe", "pod", "who")
    assert cluster("logs", "who") == "65534\n"


def test_an_image_loaded_later_runs(node: Node, cluster: Cluster, tmp_path: Path) -> None:
    busybox = next(path for path in (Path("/bin/busybox"), *_cached_busybox()) if path.exists())
    name = "localhost/echoperator/loaded-later:test"
    entries = [Entry(path="busybox", content=busybox.read_bytes())]
    images.archive(tmp_path / "later.tar", name, entries, {"Entrypoint": ["/busybox"]})
    node.load_image(tmp_path / "later.tar")
    assert cluster.run_job("later", "/busybox", "echo", "here", image=name) == "here\n"


def test_status_shows_the_nodes_programs(node: Node) -> None:
    found = node.status()
    assert [component.name for component in found] == ["containerd", "kubelet", "kube-proxy"]
    assert all(component.healthy for component in found)


def test_a_second_node_is_refused_by_naming_the_first(node: Node, tmp_path: Path) -> None:
    options = ControlPlaneOptions(
        directory=tmp_path, controller_manager=False, reachable_from_pods=True, tied_to_caller=True
    )
    with ControlPlane.start(options) as other, pytest.raises(NodeRefusedError, match=str(node.directory)):
        Node.start(other)
    assert all(component.healthy for component in node.status())


def test_a_control_plane_on_loopback_can_have_no_node(tmp_path: Path) -> None:
    options = ControlPlaneOptions(directory=tmp_path, controller_manager=False, tied_to_caller=True)
    with ControlPlane.start(options) as plane, pytest.raises(NodeRefusedError, match="loopback only"):
        Node.start(plane)


def _cached_busybox() -> list[Path]:
    from cluster import cache  # noqa: PLC0415 - one use

    return [cache.root() / "busybox" / "busybox"]
