"""A thin client of the API server: one aiohttp session, raw JSON in and out.

Promises: every call has a deadline of its own; a failure is an `ApiError`, `Unreachable` or `Fenced` and nothing else;
a write asks the fence first, and is sent once; where a pace is set, each call waits for its turn before its deadline
begins and the fence is asked, a watch only once. Does not: retry (the queue does, with back-off), cache, or know any
kind.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import aiohttp
from aiohttp import AddrInfoType

from runner.kube.answers import Lines, decode, failure
from runner.kube.config import Connection
from runner.kube.errors import ApiError, Unreachable
from runner.kube.once import once
from runner.objects import ObjectRef, Raw, Resource

__all__ = ["APPLY", "JSON_PATCH", "MERGE_PATCH", "METADATA", "KubeClient", "ListPage", "at_once"]

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.9"
"""Accepts an object's metadata alone, or the whole from a server that knows no better; a list has a form of its own."""
_METADATA_LIST = METADATA.replace("PartialObjectMetadata", "PartialObjectMetadataList")
_JSON = "application/json"

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_DEADLINE_S = 30.0
_UNDELIVERED_MS = 4000
"""Below lease duration less renew deadline (15 s and 10 s by default)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """One page of a list; `continue_token` is empty on the last."""

    items: list[Raw]
    resource_version: str
    continue_token: str


async def at_once() -> None:
    """No pace: each request is sent at once."""


class KubeClient:
    """Reads and writes raw objects. Close it when done; one per process is enough, the leader elector has its own."""

    def __init__(
        self,
        connection: Connection,
        *,
        user_agent: str,
        check_fence: Callable[[], None] = lambda: None,
        observe: Callable[[str, str], None] = lambda _method, _code: None,
        pace: Callable[[], Awaitable[None]] = at_once,
    ) -> None:
        """Args:
        check_fence: called before each write; raises `Fenced` where the lease is not surely ours.
        observe: told method and status code (or `<error>`) of each finished call, for metrics.
        pace: returns when one more request may be sent, such as `TokenBucket.take`.
        """
        self.connection = connection
        self.pace = pace
        """For those who send by `open` or `session`, which do not wait."""
        self._check_fence = check_fence
        self._observe = observe
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Raw | list[Raw] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        deadline_s: float = _DEADLINE_S,
    ) -> Raw:
        """Send one request and return the decoded answer.

        Raises:
            ApiError: the server answered with a failure.
            Unreachable: no whole answer within `deadline_s`.
            Fenced: a write that must not be sent.
        """
        headers = {"Accept": accept}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body, ensure_ascii=False).encode()
        await self.pace()
        try:
            async with (
                asyncio.timeout(deadline_s),
                self.open(method, path, params=params, headers=headers, data=data) as response,
            ):
                return decode(await response.read())
        except TimeoutError as error:
            raise Unreachable(f"{method} {path}: no answer within {deadline_s:g} s") from error

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        read_timeout_s: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request and hand over the open answer, of which the status was checked.

        `read_timeout_s` bounds the silence between two chunks; `None`: silence is allowed.
        """
        if method not in _READS:
            self._check_fence()
        code = "<error>"
        try:
            response = await self._send(method, path, params, headers or {}, data, read_timeout_s)
            try:
                code = str(response.status)
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise await failure(response)
                yield response
            finally:
                response.release()
        except (aiohttp.ClientError, ConnectionError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise Unreachable(f"{method} {path}: silent for {read_timeout_s} s") from error
            raise Unreachable(f"{method} {path}: {error or type(error).__name__}") from error
        finally:
            self._observe(method, code)

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        data: Any,
        read_timeout_s: float | None,
    ) -> aiohttp.ClientResponse:
        session = self.session()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=read_timeout_s)
        for attempt in (0, 1):
            credentials = await self.connection.credentials.headers(renew=bool(attempt))
            response = await session.request(
                method,
                self.connection.server + path,
                params=params,
                headers={**headers, **credentials},
                data=data,
                timeout=timeout,
                allow_redirects=False,
                middlewares=() if method in _READS else (once,),
            )
            if response.status != HTTPStatus.UNAUTHORIZED or attempt:
                break
            response.release()  # the token may have been rotated under us: read it again, once
        return response

    def session(self) -> aiohttp.ClientSession:
        """The one session, made on first use because it belongs to the running loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self.connection.tls or True,
                limit=0,
                keepalive_timeout=60,
                ttl_dns_cache=30,
                socket_factory=_impatient_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": self._user_agent},
                proxy=self.connection.proxy,
                auto_decompress=False,
                skip_auto_headers=("Accept-Encoding",),
            )
        return self._session

    # Objects

    async def get(self, resource: Resource, ref: ObjectRef) -> Raw:
        return await self.request("GET", resource.path(ref))

    async def list_page(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        limit: int = 500,
        continue_token: str = "",
        label_selector: str = "",
        metadata_only: bool = False,
    ) -> ListPage:
        """Read one page of all objects, or of one namespace's. The list is consistent: no resource version is sent.

        With `metadata_only`, the items have no more than that; their kind is then `PartialObjectMetadata`.
        """
        params = {"limit": str(limit)}
        if continue_token:
            params["continue"] = continue_token
        if label_selector:
            params["labelSelector"] = label_selector
        accept = _METADATA_LIST if metadata_only else _JSON
        answer = await self.request("GET", resource.path(namespace=namespace), params=params, accept=accept)
        meta = answer.get("metadata") or {}
        return ListPage(
            items=answer.get("items") or [],
            resource_version=str(meta.get("resourceVersion") or ""),
            continue_token=str(meta.get("continue") or ""),
        )

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str = "",
        label_selector: str = "",
        metadata_only: bool = False,
        timeout_s: int,
        read_timeout_s: float,
    ) -> AsyncIterator[tuple[str, Raw]]:
        """Yield `(type, object)` of each event, bookmarks included, until the server ends the watch.

        With `metadata_only`, the objects have no more than that; their kind is then `PartialObjectMetadata`.

        Raises:
            ApiError: the server refused, or sent an ERROR event (410 among them).
            Unreachable: the connection broke, stayed silent for `read_timeout_s`, or a line was no JSON.
        """
        params = {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_s),
        }
        if label_selector:
            params["labelSelector"] = label_selector
        path = resource.path(namespace=namespace)
        headers = {"Accept": METADATA if metadata_only else _JSON}
        lines = Lines()
        await self.pace()
        async with self.open("GET", path, params=params, headers=headers, read_timeout_s=read_timeout_s) as response:
            async for chunk in response.content.iter_any():
                for line in lines.feed(chunk):
                    event = decode(line)
                    kind, obj = str(event.get("type") or ""), event.get("object") or {}
                    if kind == "ERROR":
                        raise ApiError.of(int(obj.get("code") or 500), obj)
                    yield kind, obj

    async def create(self, resource: Resource, body: Raw, *, namespace: str = "") -> Raw:
        return await self.request("POST", resource.path(namespace=namespace), body=body)

    async def replace(self, resource: Resource, ref: ObjectRef, body: Raw, *, deadline_s: float = _DEADLINE_S) -> Raw:
        return await self.request("PUT", resource.path(ref), body=body, deadline_s=deadline_s)

    async def patch(
        self,
        resource: Resource,
        ref: ObjectRef,
        body: Raw | list[Raw],
        *,
        content_type: str = MERGE_PATCH,
        subresource: str = "",
    ) -> Raw:
        return await self.request(
            "PATCH", resource.path(ref, subresource=subresource), body=body, content_type=content_type
        )

    async def delete(self, resource: Resource, ref: ObjectRef, *, uid: str = "") -> Raw:
        """Delete; with `uid` only that very object, so a namesake made meanwhile is safe."""
        body: Raw | None = {"preconditions": {"uid": uid}} if uid else None
        return await self.request("DELETE", resource.path(ref), body=body)


def _impatient_socket(address: AddrInfoType) -> socket.socket:
    """A socket that gives up what it could not deliver, instead of delivering it when a partition heals.

    A write that passed the fence may sit in the send buffer; it must be gone when another leader may act.
    """
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNDELIVERED_MS)
    return made
