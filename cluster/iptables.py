"""Removes the packet filter chains that kube-proxy, the kubelet and the network plugins leave.

Only chains with their prefixes that were not there before the node started; rules of others are left as they are.
"""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from cluster import packages

_OURS = re.compile(r"^(KUBE|CNI)-")
_FAMILIES = ("iptables", "ip6tables")


@dataclass(frozen=True, slots=True, order=True)
class Chain:
    """A chain: `family` is the command, iptables or ip6tables."""

    family: str
    table: str
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as iptables-save prints it, without its `-A`."""

    table: str
    chain: str
    text: str
    target: str
    """The chain or verdict it jumps to; empty when it has none."""


def parse(family: str, saved: str) -> tuple[list[Chain], list[Rule]]:
    """Read the output of iptables-save: all chains and all rules."""
    chains, rules = [], []
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            chains.append(Chain(family=family, table=table, name=line[1:].split()[0]))
        elif line.startswith("-A "):
            text = line[3:]
            jump = re.search(r"(?:^| )(?:-j|-g) (\S+)", text)
            rules.append(Rule(table=table, chain=text.split()[0], text=text, target=jump[1] if jump else ""))
    return chains, rules


def removal(family: str, saved: str, keep: Iterable[Chain]) -> str:
    """Input for `iptables-restore --noflush` that removes the node's chains and the jumps to them.

    Args:
        family: iptables or ip6tables.
        saved: The output of its save command.
        keep: Chains that were there before the node.

    Returns:
        Empty when there is nothing to remove.
    """
    kept = set(keep)
    chains, rules = parse(family, saved)
    doomed = [chain for chain in chains if _OURS.match(chain.name) and chain not in kept]
    lines = []
    for table in dict.fromkeys(chain.table for chain in doomed):
        names = [chain.name for chain in doomed if chain.table == table]
        jumps = [rule for rule in rules if rule.table == table and rule.target in names and rule.chain not in names]
        lines.append(f"*{table}")
        lines += [f":{name} - [0:0]" for name in names]  # which empties them
        lines += [f"-D {rule.text}" for rule in jumps]
        lines += [f"-X {name}" for name in names]
        lines.append("COMMIT")
    return "".join(f"{line}\n" for line in lines)


def chains() -> list[Chain]:
    """The chains of node programs that the machine has now."""
    found = []
    for family in _FAMILIES:
        found += [chain for chain in parse(family, _save(family))[0] if _OURS.match(chain.name)]
    return found


def remove(keep: Iterable[Chain]) -> int:
    """Remove all chains of node programs but `keep`; returns how many went."""
    kept = set(keep)
    before = len(set(chains()) - kept)
    for family in _FAMILIES:
        text = removal(family, _save(family), kept)
        restore = packages.command(f"{family}-restore")
        if text and restore:
            subprocess.run([restore, "--noflush"], input=text, capture_output=True, text=True, check=False)
    return before - len(set(chains()) - kept)


def _save(family: str) -> str:
    save = packages.command(f"{family}-save")
    if save is None:
        return ""
    return subprocess.run([save], capture_output=True, text=True, check=False).stdout
