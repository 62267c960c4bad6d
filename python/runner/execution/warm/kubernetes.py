"""kubernetes.core's client in a process that runs more than one of its modules.

The collection keeps clients in a pool and discovery in a file under the temporary directory, for modules that each have
a process. In a run's process the pooled client is found again, with what it has discovered, so the file is not written.
The kubeconfig is read for each module all the same, and libyaml reads it ten times faster.
"""

import sys
from typing import Any

__all__ = ["forget_clients", "install", "use_kubeconfig"]

_CLIENT = "ansible_collections.kubernetes.core.plugins.module_utils.k8s.client"
_DISCOVERY = "kubernetes.dynamic.discovery"
_CONFIG = "kubernetes.config.kube_config"


def install() -> None:
    """Keep discovery off the disk and read kubeconfigs fast. Once, before forking."""
    discovery: Any = sys.modules.get(_DISCOVERY)
    if discovery is not None:
        discovery.Discoverer._write_cache = lambda _self: None
    config: Any = sys.modules.get(_CONFIG)
    if config is not None and hasattr(config.yaml, "CSafeLoader"):
        config.yaml = LibYaml(config.yaml)


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


class LibYaml:
    """PyYAML, whose `safe_load` has libyaml read what that can read."""

    def __init__(self, yaml: Any) -> None:
        self._yaml = yaml

    def safe_load(self, source: Any) -> Any:
        """`source`: a text or a file. Raises: `yaml.YAMLError`, in PyYAML's own words."""
        text = source if isinstance(source, str) else source.read()
        try:
            return self._yaml.load(text, Loader=self._yaml.CSafeLoader)
        except self._yaml.YAMLError:
            return self._yaml.safe_load(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._yaml, name)
