"""What comes back from the API server: objects, failures, and a watch's events one a line."""

import json
from collections.abc import Iterator

import aiohttp

from runner.kube.errors import ApiError, Unreachable
from runner.objects import Raw

__all__ = ["Lines", "decode", "failure"]


class Lines:
    """Cuts a byte stream into lines, whatever the chunks. Lines may be megabytes long, so no reader limit applies."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield each line that `chunk` completes, without its newline; blank ones are dropped."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return (line for line in lines if line.strip())


def decode(data: bytes) -> Raw:
    """Read one JSON object.

    Raises:
        Unreachable: it is something else, such as a page that a proxy made.
    """
    try:
        decoded = json.loads(data)
    except ValueError as error:
        raise Unreachable(f"the answer is no JSON ({len(data)} bytes)") from error
    if not isinstance(decoded, dict):
        raise Unreachable(f"the answer is no JSON object but {type(decoded).__name__}")
    return decoded


async def failure(response: aiohttp.ClientResponse) -> ApiError:
    """Read what the server says went wrong."""
    data = await response.read()
    try:
        body = json.loads(data)
    except ValueError:
        body = data.decode(errors="replace")
    if not isinstance(body, dict):
        body = str(body)
    return ApiError.of(response.status, body, response.headers.get("Retry-After"))
