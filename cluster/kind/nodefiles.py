"""The files of a kind node that differ from kind's own, and those that kind has no file for. Pure: text in, text out.

kind's files come from its module (`images/base/files`), written for a registry's images and for a root that may do
everything; each change here says which of the two it gives up.
"""

import json
import re
from typing import Any

from cluster.kind.errors import UnexpectedSourceError

PROVISIONER_IMAGE = "localhost/echoperator/local-path-provisioner:v0.0.30"
HELPER_IMAGE = "localhost/echoperator/local-path-helper:v0.0.30"
"""What makes and removes a volume's directory: a shell."""

CNI_TEMPLATE = "/etc/containerd/cni.conflist.template"
_BASE_SPEC_HOOK = "/kind/bin/mount-product-files.sh"

DEFAULT_CNI = """\
# The node's containerd makes each Pod's network from its node's own range; there is nothing to install for it.
apiVersion: v1
kind: ConfigMap
metadata: {name: pod-network, namespace: kube-system}
data: {plugins: "ptp, host-local and portmap, configured by containerd"}
"""

CRICTL = """\
#!/bin/bash
# Stands in for crictl, as far as kind asks: "inspecti NAME-OR-ID" and "images".
set -euo pipefail
ctr() { command ctr --namespace=k8s.io "$@"; }
case "${1:-}" in
  images) ctr images list ;;
  inspecti)
    wanted="${2:?crictl inspecti: which image?}"
    id="" tags=()
    while read -r name; do
      target=$(ctr images list "name==${name}" | awk 'NR == 2 { print $3 }')
      config=$(ctr content get "${target}" |
        jq -r 'if .config then .config.digest else "index " + .manifests[0].digest end')
      [[ "${config}" != index* ]] || config=$(ctr content get "${config#index }" | jq -r .config.digest)
      case "${wanted}" in
        "${config}" | "${config#sha256:}") id="${config}" ;;
        "${name}" | "${name#docker.io/library/}" | "${name#docker.io/}") id="${config}" ;;
      esac
      tags+=("${config} ${name}")
    done < <(ctr images list -q | grep -v -e '^sha256:' -e '@sha256:')
    [[ -n "${id}" ]] || { echo "no such image: ${wanted}" >&2; exit 1; }
    printf '%s\\n' "${tags[@]}" | awk -v id="${id}" '$1 == id { print $2 }' |
      jq -Rn --arg id "${id}" '{status: {id: $id, repoTags: [inputs]}}' ;;
  *) echo "this crictl knows inspecti and images only" >&2; exit 1 ;;
esac
"""


def containerd(original: str, pause: str) -> str:
    """The containerd configuration of kind, changed to start Pods with less privilege and from images that are there.

    Args:
        original: The text of kind's own.
        pause: The image that holds a Pod's namespaces open, as kubeadm names it.

    Raises:
        UnexpectedSourceError: It lacks what has to be changed.
    """
    text = _replaced(original, r"restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
    text = _replaced(text, r'sandbox_image = "[^"]*"', f'sandbox_image = "{pause}"')
    # Its program is not built: it serves engines without root.
    text = _replaced(text, r"(?ms)^\[proxy_plugins\].*?(?=^\[plugins)", "")
    return (
        text.rstrip("\n")
        + f"""

[plugins."io.containerd.grpc.v1.cri".cni]
  conf_template = "{CNI_TEMPLATE}"
"""
    )


def cni() -> str:
    """The template of a node's Pod network, in place of kindnet: no routes to other nodes' Pods, no NetworkPolicy."""
    return json.dumps(
        {
            "cniVersion": "0.4.0",
            "name": "kind",
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": True,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": "/run/cni-ipam-state",
                        "ranges": [[{"subnet": "{{.PodCIDR}}"}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        },
        indent=2,
    )


def base_spec(specification: str) -> str:
    """The runtime specification that a node's containers start from: containerd's default, with kind's hook.

    Args:
        specification: What `ctr oci spec` prints.
    """
    spec: dict[str, Any] = json.loads(specification)
    spec.setdefault("hooks", {}).setdefault("createContainer", []).append({"path": _BASE_SPEC_HOOK})
    spec["process"].pop("rlimits", None)
    return json.dumps(spec)


def storage(source: str) -> str:
    """The manifest of the default storage class: kind's, with images that are there.

    Args:
        source: The text of kind's const_storage.go.

    Raises:
        UnexpectedSourceError: The manifest is not in there as it is known.
    """
    found = re.search(r"const defaultStorageManifest = `(.*)`\n", source, re.DOTALL)
    if found is None:
        raise UnexpectedSourceError("const_storage.go of kind has no defaultStorageManifest")
    manifest = found[1]
    for constant, image in (("storageProvisionerImage", PROVISIONER_IMAGE), ("storageHelperImage", HELPER_IMAGE)):
        manifest = _replaced(manifest, rf"` \+ {constant} \+ `", image)
    return manifest


def component_images(listed: str) -> dict[str, str]:
    """Which image kubeadm wants for which program, by the output of `kubeadm config images list`.

    Raises:
        UnexpectedSourceError: It names one that nothing here is built for, or lacks one.
    """
    names = {name.rpartition(":")[0].rpartition("/")[2]: name for name in listed.split()}
    known = {
        *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"),
        *("coredns", "etcd", "pause"),
    }
    if names.keys() != known:
        raise UnexpectedSourceError(
            f"kubeadm wants images of {', '.join(sorted(names))}, known: {', '.join(sorted(known))}"
        )
    return names


def _replaced(text: str, pattern: str, replacement: str) -> str:
    changed, count = re.subn(pattern, lambda _: replacement, text)
    if count == 0:
        raise UnexpectedSourceError(f"kind's file has no {pattern}")
    return changed
