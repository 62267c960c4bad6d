"""Ending a connection for good."""

import asyncio
import socket
import struct
from contextlib import suppress

__all__ = ["reset"]

_DISCARD = struct.pack("ii", 1, 0)
"""`struct linger`: on, zero seconds."""


def reset(transport: asyncio.WriteTransport) -> None:
    """End a connection, and have neither asyncio nor the kernel send what is still buffered.

    An ordinary close would go on trying to deliver it, for minutes if the network is broken: a write of a leader that
    is none any more would arrive when the network heals.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):  # closed already, and then nothing was buffered
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
    transport.abort()
