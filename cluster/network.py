"""Ports and addresses of this machine."""

import errno
import random
import socket
from collections.abc import Iterable

from cluster.errors import NoFreePortError

# Below the range the kernel takes for outgoing connections and below NodePorts, so that a port stays free while
# its component is restarted.
_FIRST_PORT = 10_000
_LAST_PORT = 29_999


def is_free(port: int) -> bool:
    """Say whether nobody listens on the TCP port, on any address."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - only tried, never listened on
        try:
            with socket.socket(family, socket.SOCK_STREAM) as attempt:
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    attempt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                attempt.bind((address, port))
        except OSError as error:
            if family == socket.AF_INET6 and error.errno != errno.EADDRINUSE:
                continue  # no IPv6 here
            return False
    return True


def free_ports(count: int, *, choose: random.Random | None = None) -> list[int]:
    """Choose `count` distinct free ports.

    Raises:
        NoFreePortError: A thousand tries found too few.
    """
    choose = choose or random.SystemRandom()
    found: list[int] = []
    for _ in range(1000):
        if len(found) == count:
            return found
        port = choose.randint(_FIRST_PORT, _LAST_PORT)
        if port not in found and is_free(port):
            found.append(port)
    raise NoFreePortError(f"no {count} free TCP ports between {_FIRST_PORT} and {_LAST_PORT}")


def taken(ports: Iterable[int]) -> list[int]:
    """Those of `ports` somebody listens on."""
    return [port for port in ports if not is_free(port)]


def machine_address() -> str | None:
    """The IPv4 address this machine is reached at by its own Pods.

    Returns:
        `None`: it has none but loopback.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Asks the routing table only; a datagram socket sends nothing on connect.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address
