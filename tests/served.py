"""What Pods of the node answer over HTTP, and the server that is put there to answer: hashicorp/http-echo, built here."""

import asyncio
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from harness import Api, eventually
from runner.objects import GroupVersionKind

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

__all__ = ["give_http_echo", "node_url", "until_served"]

_NODE = GroupVersionKind("", "v1", "Node")


def give_http_echo(plane: "ControlPlane", directory: Path) -> str:
    """Have the control plane's node take in the image; its name there. `directory`: for its archive."""
    from cluster import images  # noqa: PLC0415 - only where a node is needed
    from cluster.node import Node  # noqa: PLC0415

    node = Node.of(plane.kubeconfig)
    assert node is not None
    node.load_image(images.build_http_echo(directory / "http-echo.tar"))
    return images.HTTP_ECHO


async def node_url(api: Api, port: int, path: str = "/") -> str:
    """Where a node port answers."""
    (node,) = await api.list(_NODE)
    address = next(entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP")
    return f"http://{address}:{port}{path}"


async def until_served(url: str, wanted: bytes) -> None:
    async def look() -> bool:
        return await asyncio.to_thread(_fetched, url) == wanted

    await eventually(look, what=f"{url} answers {wanted!r}")


def _fetched(url: str) -> bytes:
    """What is answered; nothing where nobody does."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bytes(answer.read())
    except OSError:
        return b""
