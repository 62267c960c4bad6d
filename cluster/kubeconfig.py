"""Kubeconfig files with their certificates embedded, so that one file is all a client needs.

Written as JSON, which is YAML: the package needs no YAML library.
"""

import base64
import json
from pathlib import Path

from cluster import certificates


def render(*, cluster: str, server: str, authority: bytes, user: str, certificate: bytes, key: bytes) -> str:
    """A kubeconfig with one cluster, one user and one context, which is current."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster,
                    "cluster": {"server": server, "certificate-authority-data": _encoded(authority)},
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _encoded(certificate),
                        "client-key-data": _encoded(key),
                    },
                }
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
            "current-context": cluster,
        },
        indent=2,
    )


def write(
    path: Path,
    *,
    cluster: str,
    server: str,
    authority: certificates.Authority,
    user: str,
    client: certificates.Pair,
) -> Path:
    """Write the kubeconfig of one client, readable by its owner only."""
    text = render(
        cluster=cluster,
        server=server,
        authority=authority.files.certificate.read_bytes(),
        user=user,
        certificate=client.certificate.read_bytes(),
        key=client.key.read_bytes(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    certificates.write_private(path, text.encode())
    return path


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
