"""kubernetes.core's client in a process that runs more than one of its modules.

The collection keeps clients in a pool and discovery in a file under the temporary directory, for modules that each have
a process. In a run's process the pooled client is found again, with what it has discovered, so the file is not written.
"""

import sys
from typing import Any

__all__ = ["forget_clients", "install", "use_kubeconfig"]

_CLIENT = "ansible_collections.kubernetes.core.plugins.module_utils.k8s.client"
_DISCOVERY = "kubernetes.dynamic.discovery"
_CONFIG = "kubernetes.config.kube_config"


def install() -> None:
    """Keep discovery off the disk. Once, before forking."""
    discovery: Any = sys.modules.get(_DISCOVERY)
    if discovery is not None:
        discovery.Discoverer._write_cache = lambda _self: None


def forget_clients() -> None:
    """Drop pooled clients, whose connections this process would share with the one it was forked from."""
    client: Any = sys.modules.get(_CLIENT)
    if client is not None:
        client._pool.clear()


def use_kubeconfig(path: str) -> None:
    """Make that the default, which the client reads from the environment when it is imported."""
    config: Any = sys.modules.get(_CONFIG)
    if config is not None:
        config.KUBE_CONFIG_DEFAULT_LOCATION = path
