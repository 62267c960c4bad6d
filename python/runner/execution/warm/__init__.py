"""Ansible without its start-up cost: see `execution.WarmExecution`."""

from runner.execution.warm.execution import WarmExecution

__all__ = ["WarmExecution"]
