"""The only door of a run to the API server: a server on the loopback interface that passes requests on.

Promises: without the token of a run that is going on nothing passes; a write passes only while the lease is surely
ours; what a run creates is marked as its owner's; in a dry run nothing is stored; when a run's access is revoked its
requests in flight are cut, and a client that goes away ends its request at the API server too. Caches no object;
what the API server said of its kinds is said again until a change of them is known.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus

import aiohttp
from aiohttp import web

from runner.gateway import answerbodies, bodies, definitions, policy, relay, tunnel
from runner.gateway.access import Access, Grant, Registry, Session, Usage, kubeconfig
from runner.gateway.answers import Refusal
from runner.gateway.children import Children, OnChild, Prepared
from runner.gateway.childwrites import UNGUARDED, ChildWrites, Loops, Sent, Shown
from runner.gateway.discovery import DiscoveryMemory, Question, Whole
from runner.gateway.policy import ApiRequest, BadPath, Restriction
from runner.gateway.upstream import Upstream
from runner.httpserver.server import AddressError
from runner.kube.client import KubeClient
from runner.kube.discovery import Discovery
from runner.logs import fields

__all__ = ["Access", "Gateway", "Grant", "Local", "OnChild", "Restriction", "Usage", "kubeconfig"]

logger = logging.getLogger(__name__)

_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_STOP_S = 1.0
_FLAG = "--proxy-port"
_HEADER_BYTES = 65536
"""Of one header or the request line: selectors and continue tokens outgrow the usual 8 KiB."""


Local = Callable[[web.BaseRequest, bool], Awaitable[web.StreamResponse]]
"""Answers a run's request; told whether the run is a dry run."""


class Gateway:
    """Listens from `start` to `stop`; grants can be given in between."""

    def __init__(
        self,
        client: KubeClient,
        discovery: Discovery,
        *,
        check_fence: Callable[[], None],
        on_child: OnChild,
        memory: DiscoveryMemory,
        loops: Loops = UNGUARDED,
        local: Mapping[str, Local] | None = None,
        observe: Callable[[str, int], None] = lambda _verb, _code: None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Args:
        check_fence: raises `Fenced` where the lease is not surely ours.
        on_child: told of each child that a run makes or looks at; see `dependents`.
        memory: answers discovery.
        loops: told when a run begins, and what it does to its owner's children.
        local: what is answered here and not by the API server, by path.
        observe: told verb and status code of each answer, for metrics.
        port: 0: any that is free.
        """
        self._upstream = Upstream(client, check_fence=check_fence)
        self._children = Children(client, discovery, on_child=on_child)
        self._loops = loops
        self._writes = ChildWrites(loops)
        self._memory = memory
        self._local = dict(local or {})
        self._observe = observe
        self._host = host
        self._port = port
        self._registry = Registry()
        self._http: web.Server | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            AddressError: the port is taken, or is none.
        """
        self._http = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        )
        try:
            self._listener = await asyncio.get_running_loop().create_server(self._http, self._host, self._port)
        except (OSError, OverflowError) as error:
            raise AddressError(
                f"{_FLAG}: cannot listen on {self._host}:{self._port}: {_words(error)};"
                f" set {_FLAG} to another port, or to 0 for any that is free"
            ) from error
        self._port = self._listener.sockets[0].getsockname()[1]

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        return self._port

    async def stop(self) -> None:
        """Revoke every access, cut what is in flight and stop listening."""
        if self._listener is None or self._http is None:
            return
        self._listener.close()
        self._registry.withdraw_all()
        await self._http.shutdown(timeout=_STOP_S)
        with suppress(TimeoutError):  # a client that never reads its last answer is not waited for
            await asyncio.wait_for(self._listener.wait_closed(), _STOP_S)
        self._listener = self._http = None

    def grant(self, grant: Grant) -> Access:
        """Let a run in, until `revoke`."""
        self._loops.begins(grant.owner, grant.owner_generation)
        return self._registry.issue(grant, host=self._host, port=self._port)

    def revoke(self, access: Access) -> None:
        """Shut a run out and cut its requests in flight. Revoking twice is fine."""
        self._registry.withdraw(access)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        verb = request.method.lower()
        session = None
        try:
            _check_method(request)
            session = self._registry.find(request.headers.get("Authorization", ""))
            if session is None:
                raise Refusal.unauthorized()
            if request.path in self._local:
                return await self._local[request.path](request, session.grant.dry_run)
            asked = _parse(request)
            verb = asked.verb
            response = await self._serve(session, request, asked)
        except Refusal as error:
            run = session.access.run_id if session else None
            logger.info("request refused", extra=fields(run=run, verb=verb, code=error.code.value, reason=error.reason))
            response = relay.refusal(error)
        self._observe(verb, response.status)
        return response

    async def _serve(self, session: Session, request: web.BaseRequest, asked: ApiRequest) -> web.StreamResponse:
        usage = session.access.usage
        usage.requests += 1
        usage.writes += asked.is_write
        _check_allowed(session.grant, asked)
        with session.open(request.transport):
            if tunnel.is_websocket(request):
                return await self._tunnel(session, request, asked)
            tunnel.refuse_other_upgrades(request)
            question = None if request.body_exists else Question.of(asked, _query(request), request.headers)
            if question is not None:
                return await self._discover(session, request, question)
            return await self._pass_on(session, request, asked)

    async def _discover(self, session: Session, request: web.BaseRequest, question: Question) -> web.StreamResponse:
        """Answer from memory, but not what this client was told before: it asks again for a kind it did not find."""
        client = request.transport.get_extra_info("peername") if request.transport else None
        seen_at = session.answered_at(client, question) if question.finds_kinds else None
        whole, asked_at = await self._memory.answer(question, partial(self._ask, request), seen_at=seen_at)
        session.answered(client, question, asked_at)
        return relay.whole_answer(request, whole)

    async def _ask(self, request: web.BaseRequest) -> Whole:
        headers = relay.request_headers(request.headers, unconditional=True)
        answer = await self._upstream.send("GET", request.raw_path, headers, None, is_write=False, is_long=False)
        try:
            return await relay.read_whole(answer)
        finally:
            answer.release()

    async def _pass_on(self, session: Session, request: web.BaseRequest, asked: ApiRequest) -> web.StreamResponse:
        body = await relay.read_body(request)
        headers = relay.request_headers(request.headers)
        kind = bodies.media_type(headers.get("Content-Type", ""))
        if body and asked.is_write and headers.get("Content-Encoding", "identity") != "identity":
            raise Refusal.unsupported("compressed request bodies are not taken; send them as they are")
        prepared = await self._children.prepare(session.grant, asked, kind, body)
        if session.grant.dry_run and asked.method == "DELETE" and body:
            body, kind = bodies.with_dry_run(body, kind)
            prepared = Prepared(body=body, content_type=kind)
        if prepared.content_type is not None:
            headers["Content-Type"] = prepared.content_type
        try:
            answer = await self._upstream.send(
                request.method,
                _target(session.grant, request, asked),
                headers,
                None if request.method in _BODILESS else prepared.body,
                is_write=asked.is_write,
                is_long=asked.is_long,
            )
        finally:
            if definitions.defines_kinds(asked):
                self._memory.kinds_changed()  # even if the answer was lost, and before the run hears of it
        sent = Sent(prepared.body, prepared.content_type or kind)
        look = partial(self._note, session, asked, answer, sent, marked=prepared.marked)
        try:
            return await relay.send_answer(request, answer, is_long=asked.is_long, look=look)
        finally:
            answer.release()  # closes the connection, should there be more to read

    async def _note(
        self,
        session: Session,
        asked: ApiRequest,
        answer: aiohttp.ClientResponse,
        sent: Sent,
        whole: bytes,
        *,
        marked: bool,
    ) -> None:
        """Learn from a whole answer: what changed, whether the kind is served, whether the owner has a child of it."""
        missing = asked.is_resource and answer.status == HTTPStatus.NOT_FOUND
        if missing and not answerbodies.names_an_object(answer.headers, whole):
            self._memory.doubt()
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return
        obj = answerbodies.object_in(answer.headers, whole) if asked.is_whole_object else None
        changed = asked.is_write
        if obj is not None:
            meta = obj.get("metadata") or {}
            path = asked.path if asked.name else f"{asked.path.rstrip('/')}/{meta.get('name')}"
            changed = session.saw(path, str(meta.get("resourceVersion") or "")) and asked.is_write
        if changed and not session.grant.dry_run:
            session.access.usage.changed += 1
        if marked or obj is not None:
            child = await self._children.seen(session.grant, asked, obj, marked=marked)
            if child is not None and obj is not None:
                self._writes.saw(session, asked, sent, Shown(child, answer.status, whole, obj))

    async def _tunnel(self, session: Session, request: web.BaseRequest, asked: ApiRequest) -> web.StreamResponse:
        answer = await self._upstream.send(
            request.method,
            _target(session.grant, request, asked),
            relay.request_headers(request.headers, websocket=True),
            None,
            is_write=asked.is_write,
            is_long=True,
        )
        try:
            if answer.status == HTTPStatus.SWITCHING_PROTOCOLS:
                self._observe(asked.verb, answer.status)
                with session.open(answer.connection.transport if answer.connection else None):
                    await tunnel.join(request, answer)
            return await relay.send_answer(request, answer, is_long=False)
        finally:
            answer.close()


def _check_method(request: web.BaseRequest) -> None:
    """Refuse CONNECT and what else no Kubernetes client sends. Ambiguous lengths are refused by aiohttp's parser."""
    if request.method not in _METHODS:
        raise Refusal(
            HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", f"method {request.method[:20]!r} is not served"
        )


def _parse(request: web.BaseRequest) -> ApiRequest:
    path, _, query = request.raw_path.partition("?")
    try:
        return policy.parse_request(request.method, path, query)
    except BadPath as error:
        raise Refusal.bad_request(str(error)) from error


def _check_allowed(grant: Grant, asked: ApiRequest) -> None:
    refusal = grant.restriction.refusal(asked)
    if refusal:
        raise Refusal.forbidden(refusal)
    if grant.dry_run and asked.is_write and (asked.verb == "connect" or not asked.is_resource):
        raise Refusal.forbidden("a dry run does not send what the API server could not keep from having effects")


def _target(grant: Grant, request: web.BaseRequest, asked: ApiRequest) -> str:
    if not (grant.dry_run and asked.is_write):
        return request.raw_path
    return f"{asked.path}?{policy.with_dry_run(_query(request))}"


def _query(request: web.BaseRequest) -> str:
    return request.raw_path.partition("?")[2]


def _words(error: OSError | OverflowError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error).rstrip(".")
