"""An Ansible module that may run in a fork."""

from dataclasses import dataclass
from types import CodeType

__all__ = ["Module"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module: its code, compiled and with its imports loaded."""

    name: str
    """Fully qualified, such as `kubernetes.core.k8s`."""
    package: str
    """Its Python name, such as `ansible_collections.kubernetes.core.plugins.modules.k8s`."""
    path: str
    code: CodeType
    profile: str
