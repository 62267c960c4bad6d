"""Decides which node image a cluster gets. Pure, but for the questions it is given."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from cluster.kind.errors import UnexpectedSourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeImage:
    """What kind is told."""

    name: str
    built_here: bool
    """Whether it is ours, to be built and given to the engine."""


def node_image(*, wanted: str, own_engine: bool, official: str, has: Callable[[str], bool], ours: str) -> NodeImage:
    """The image that was asked for, else kind's own where docker has it or can get it, else ours.

    Args:
        wanted: What the user named; empty: nothing.
        own_engine: The engine is ours. Then kind's own is not tried: its containerd asks for more than ours may do.
        official: The image that this kind takes by default.
        has: Says whether docker has an image, pulling it where it can.
        ours: The name of the one that is built here.
    """
    if wanted:
        return NodeImage(name=wanted, built_here=wanted == ours)
    if not own_engine and has(official):
        return NodeImage(name=official, built_here=False)
    return NodeImage(name=ours, built_here=True)


def official(source: str) -> str:
    """The image that kind takes by default, by the text of its pkg/apis/config/defaults/image.go.

    Raises:
        UnexpectedSourceError: It names none.
    """
    found = re.search(r'^const Image = "([^"]+)"$', source, re.MULTILINE)
    if found is None:
        raise UnexpectedSourceError("image.go of kind names no default image")
    return found[1]
