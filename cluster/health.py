"""Asks a component over HTTPS, from this machine, whether it works, or for an object."""

import http.client
import json
import ssl
from typing import Any

from cluster.components import Health


def healthy(health: Health, timeout_s: float = 5.0) -> bool:
    """Say whether the component answers its health path with 200 within `timeout_s` seconds."""
    return _get(health, health.path, timeout_s) is not None


def read(health: Health, path: str, method: str = "GET", timeout_s: float = 5.0) -> dict[str, Any] | None:
    """What the component's server answers as JSON.

    Returns:
        `None`: it does not answer, or not with 200.
    """
    body = _get(health, path, timeout_s, method)
    if body is None:
        return None
    answer: dict[str, Any] = json.loads(body)
    return answer


def healthy_plain(port: int, path: str = "/healthz", timeout_s: float = 5.0) -> bool:
    """Say whether a plain HTTP server on loopback answers `path` with 200 within `timeout_s` seconds."""
    return _ask(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s), path) is not None


def _get(health: Health, path: str, timeout_s: float, method: str = "GET") -> bytes | None:
    try:
        context = ssl.create_default_context(cafile=str(health.authority))
        if health.client is not None:
            context.load_cert_chain(str(health.client.certificate), str(health.client.key))
    except OSError:  # the files have been removed
        return None
    return _ask(
        http.client.HTTPSConnection("127.0.0.1", health.port, timeout=timeout_s, context=context),
        path,
        method,
    )


def _ask(connection: http.client.HTTPConnection, path: str, method: str = "GET") -> bytes | None:
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if response.status == http.client.OK else None
