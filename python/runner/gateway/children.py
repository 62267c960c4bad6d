"""Makes what a run creates the owner's, and tells when the owner has children of some kind.

Promises: nothing is created without its mark because discovery failed or a body could not be read; what was there
without our mark does not get it. The read before a PUT or an apply and the write itself are two requests: an object
that a stranger makes in between may get the mark, which only happens where a stranger uses the same name.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

from runner.gateway import bodies, ownership
from runner.gateway.access import Grant
from runner.gateway.answers import Refusal
from runner.gateway.ownership import Marks, Owner
from runner.gateway.policy import ApiRequest, Creation
from runner.kube.client import METADATA, KubeClient
from runner.kube.discovery import Discovery, NotServed
from runner.kube.errors import ApiError, KubeError
from runner.logs import fields
from runner.objects import GroupVersionKind, Raw, Resource

__all__ = ["Children", "OnChild", "Prepared"]

logger = logging.getLogger(__name__)

OnChild = Callable[[Owner, Resource, str], None]
"""Told that an owner has a child of that resource in that namespace; often, so it must be quick."""

_LISTABLE = frozenset({"get", "list", "watch"})
_READ_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What to send in place of the body that came."""

    body: bytes
    content_type: str | None = None
    """`None`: as it came."""
    marked: bool = False
    """A success means that the object is the owner's."""


class Children:
    """Stateless but for its warnings; one serves all runs."""

    def __init__(self, client: KubeClient, discovery: Discovery, *, on_child: OnChild) -> None:
        self._client = client
        self._discovery = discovery
        self._on_child = on_child
        self._warned: set[tuple[str, str]] = set()

    async def prepare(self, grant: Grant, request: ApiRequest, content_type: str, body: bytes) -> Prepared:
        """Mark what a request would create, and keep the mark on what it would replace.

        Raises:
            Refusal: it can't be known what the request would do to the owner's mark.
        """
        creation = request.creation(content_type)
        if not grant.inject_owner or creation is Creation.NONE:
            return Prepared(body=body)
        resource = await self._resource(request)
        if resource is None:
            return _unserved(grant, request, creation, content_type, body)
        if not resource.verbs >= _LISTABLE:
            return Prepared(body=body)  # a question in the shape of an object, such as a TokenReview
        marks = _marks(grant, resource, request)
        if creation is Creation.POST:
            return _with_marks(body, content_type, marks)
        try:
            existing = await self._existing(request)
        except ApiError as error:
            if not error.forbidden:
                raise Refusal.unavailable(f"the object could not be read before it is written: {error}") from error
            self._warn_unreadable(request)
            return Prepared(body=body)
        except KubeError as error:
            raise Refusal.unavailable(f"the object could not be read before it is written: {error}") from error
        kept = ownership.kept_marks(existing, grant.owner, marks)
        return Prepared(body=body) if kept is None else _with_marks(body, content_type, kept)

    async def seen(self, grant: Grant, request: ApiRequest, answer: Raw | None, *, marked: bool) -> Resource | None:
        """Tell of a child, if a successful answer shows one: by what was sent, or by the mark it carries.

        Returns:
            Its kind, if that is one which is watched.
        """
        if not marked and (answer is None or ownership.held_marks(answer, grant.owner) is None):
            return None
        if grant.dry_run and request.is_write:
            return None  # nothing is there
        try:
            resource = await self._discovery.by_plural(request.group, request.version, request.plural)
        except (NotServed, KubeError) as error:
            logger.warning("a child is not watched", extra=fields(kind=request.plural, error=error))
            return None
        if not (grant.watches(resource.gvk) and resource.verbs >= _LISTABLE):
            return None
        self._on_child(grant.owner, resource, request.namespace)
        return resource

    async def _resource(self, request: ApiRequest) -> Resource | None:
        group, version, plural = request.group, request.version, request.plural
        try:
            try:
                return await self._discovery.by_plural(group, version, plural)
            except NotServed:
                # A kind that the run itself has just defined: what we know may be a second too old.
                self._discovery.forget(group, version)
                return await self._discovery.by_plural(group, version, plural)
        except NotServed:
            return None
        except KubeError as error:
            raise Refusal.unavailable(f"discovery failed, so nothing is created without its owner: {error}") from error

    async def _existing(self, request: ApiRequest) -> Raw | None:
        await self._client.pace()
        try:
            async with (
                asyncio.timeout(_READ_S),
                self._client.open("GET", request.path, headers={"Accept": METADATA}) as response,
            ):
                existing: Raw = json.loads(await response.read())
                return existing
        except TimeoutError as error:
            raise Refusal.timed_out("the object could not be read before it is written") from error
        except ApiError as error:
            if error.not_found:
                return None
            raise

    def _warn_unreadable(self, request: ApiRequest) -> None:
        kind = (request.group, request.plural)
        if kind not in self._warned:
            self._warned.add(kind)
            logger.warning(
                "no right to read what is replaced, so its owner can't be kept",
                extra=fields(group=request.group, resource=request.plural),
            )


def _marks(grant: Grant, resource: Resource, request: ApiRequest) -> Marks:
    return ownership.owner_marks(grant.owner, resource, request.namespace, controller=grant.controller_reference)


def _unserved(grant: Grant, request: ApiRequest, creation: Creation, content_type: str, body: bytes) -> Prepared:
    """Let the server say itself that it does not serve the kind, and should it do so by now, not without a mark.

    The path tells the scope, which is all that a mark depends on.
    """
    if creation is not Creation.POST:
        return Prepared(body=body)
    guessed = Resource(
        gvk=GroupVersionKind(request.group, request.version, ""),
        plural=request.plural,
        namespaced=bool(request.namespace),
    )
    return _with_marks(body, content_type, _marks(grant, guessed, request))


def _with_marks(body: bytes, content_type: str, marks: Marks) -> Prepared:
    body, content_type = bodies.with_marks(body, content_type, marks)
    return Prepared(body=body, content_type=content_type, marked=True)
