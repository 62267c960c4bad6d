"""Requests and answers on their way through: what of them passes, and how.

An answer that is short and complete is sent in one piece, a long one as it comes, a watch or a log chunk by chunk
from the first byte. Hop-by-hop headers end here. Does not look inside.
"""

import logging
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from runner.gateway.answers import Refusal
from runner.gateway.discovery import Whole
from runner.logs import fields

__all__ = [
    "MAX_BODY_BYTES",
    "WHOLE_BYTES",
    "read_body",
    "read_whole",
    "refusal",
    "request_headers",
    "send_answer",
    "whole_answer",
]

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Ten times what the API server takes; beyond that its own refusal is not waited for."""
WHOLE_BYTES = 1024 * 1024
"""Up to this size an answer is held until it is complete."""

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_OF_A_BODY = frozenset({"content-type", "content-encoding"})
_NOT_FORWARDED = _HOP_BY_HOP | {"authorization", "content-length", "expect", "host"}
_CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
_WEBSOCKET = {"Connection": "Upgrade", "Upgrade": "websocket"}


def request_headers(
    headers: CIMultiDictProxy[str], *, websocket: bool = False, unconditional: bool = False
) -> CIMultiDict[str]:
    """Return the headers that go on to the API server.

    Args:
        headers: the request's.
        websocket: ask for the upgrade, which is no header that passes by itself.
        unconditional: ask for the answer even if the client has it.
    """
    passed = _without(headers, _NOT_FORWARDED | _CONDITIONS if unconditional else _NOT_FORWARDED)
    if websocket:
        passed.update(_WEBSOCKET)
    return passed


def _without(headers: CIMultiDictProxy[str], dropped: frozenset[str]) -> CIMultiDict[str]:
    named = headers.get("Connection", "")
    if named:
        dropped = dropped | {name.strip().lower() for name in named.split(",")}
    return CIMultiDict((key, value) for key, value in headers.items() if key.lower() not in dropped)


async def read_body(request: web.BaseRequest) -> bytes:
    """Read a request's whole body.

    Raises:
        Refusal: it is too large.
    """
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise Refusal.too_large(MAX_BODY_BYTES)
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refusal.too_large(MAX_BODY_BYTES)
    return bytes(body)


async def send_answer(
    request: web.BaseRequest,
    answer: aiohttp.ClientResponse,
    *,
    is_long: bool,
    look: Callable[[bytes], Awaitable[None]] | None = None,
) -> web.StreamResponse:
    """Send an answer on.

    Args:
        is_long: do not hold back anything of it.
        look: shown the whole body before it is sent, if it is short.

    Raises:
        Refusal: the answer broke off before anything of it was sent.
    """
    headers = _without(answer.headers, _HOP_BY_HOP)
    if request.method == "HEAD" or is_long:
        return await _stream(request, answer, headers, b"")
    begun, complete = await _begin(answer, WHOLE_BYTES)
    if not complete:
        return await _stream(request, answer, headers, begun)
    if look is not None:
        await look(begun)
    headers.popall("Content-Length", None)
    return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=begun)


async def read_whole(answer: aiohttp.ClientResponse) -> Whole:
    """Read an answer to its end, however long.

    Raises:
        Refusal: it broke off.
    """
    body, _ = await _begin(answer, sys.maxsize)
    headers = _without(answer.headers, _HOP_BY_HOP | {"content-length"})
    return Whole(status=answer.status, reason=answer.reason or "", headers=headers, body=body)


def whole_answer(request: web.BaseRequest, whole: Whole) -> web.Response:
    """Answer with what was read before; a client that has it already is told so."""
    if whole.status == HTTPStatus.OK and _has(request.headers.get("If-None-Match", ""), whole.headers.get("ETag", "")):
        headers = _without(CIMultiDictProxy(whole.headers), _OF_A_BODY)
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(status=whole.status, reason=whole.reason, headers=whole.headers, body=whole.body)


def _has(if_none_match: str, etag: str) -> bool:
    """Compare as RFC 9110 has it for this header: a weak tag equals a strong one."""
    held = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return bool(etag) and (etag.removeprefix("W/") in held or "*" in held)


async def _begin(answer: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """Read up to `most` bytes and the rest of a chunk, and tell whether that was all."""
    chunks: list[bytes] = []
    size = 0
    try:
        while size <= most:
            chunk = await answer.content.readany()
            if not chunk:
                return b"".join(chunks), True
            chunks.append(chunk)
            size += len(chunk)
    except TimeoutError as error:
        raise Refusal.timed_out("the API server stopped in the middle of its answer") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Refusal.bad_gateway(f"the API server's answer broke off: {error}") from error
    return b"".join(chunks), False


async def _stream(
    request: web.BaseRequest, answer: aiohttp.ClientResponse, headers: CIMultiDict[str], begun: bytes
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    try:
        if begun:
            await response.write(begun)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
    except (aiohttp.ClientError, OSError) as error:
        # An answer that breaks off must not look complete: the connection goes with it.
        logger.info("an answer broke off", extra=fields(status=answer.status, error=repr(error)))
        if request.transport is not None:
            request.transport.abort()
    return response


def refusal(error: Refusal) -> web.Response:
    headers = {"Content-Type": "application/json"}
    if error.code is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="gateway"'
    return web.Response(status=error.code, headers=headers, body=error.body())
