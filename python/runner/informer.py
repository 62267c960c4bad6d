"""Keeps a projection of all objects of one kind and reports each change, whatever happens to the connection.

Promises:
- once the server is reachable and quiet, what is held equals what the server has, and each object that was held and
  is gone was reported as deleted, even when the deletion happened while nobody watched;
- an object deleted and made again under its name is reported as deleted, then as new;
- the cache changes before the event is handed on; `on_event` and `project` may raise, it is logged and goes on;
- a watch that broke or fell silent goes on from its last position, once the server has answered and its versions are
  not behind that position (a restored backup's would be); a position that the server refuses means a new list;
- failures back off with jitter, and log one line when they begin and one when they end.

Does not hand out what it reads: of each object only the projection is kept. `on_event` runs on the loop and must be
quick: it adds a key to a queue. A kind that is not served is asked for slowly until it appears; after `_GONE_AFTER_S`
its objects are reported as deleted, for with a CRD its objects go too. Not at once: an API server that is starting
answers 404 for a moment as well.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from typing import Any, Literal, NamedTuple, Protocol

from runner.clock import Clock
from runner.kube.client import KubeClient
from runner.kube.discovery import NotServed
from runner.kube.errors import ApiError, KubeError, Unreachable
from runner.logs import fields
from runner.objects import ObjectRef, Raw, Resource, WatchEvent

__all__ = ["Informer", "InformerObserver"]

logger = logging.getLogger(__name__)

_PAGE = 500
_WATCH_S = (240, 300)
"""Bounds of the duration asked of a watch; random, so that watches do not all end together."""
_DEAF_AFTER_S = 90.0
_WATCH_INTERVAL_S = 1.0
"""Between the starts of two watches, at least: a server that ends each at once is asked once a second."""
_BACKOFF_BASE_S = 0.8
_BACKOFF_MAX_S = 30.0
_HEALTHY_AFTER_S = 30.0
"""A watch that lasted so long was accepted: the back-off starts anew."""
_GONE_AFTER_S = 30.0
_RETRY_AFTER_MAX_S = 300.0
"""A server may ask for patience, but a slip in a proxy's configuration must not make us deaf for a day."""

_KINDS = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})

_Trouble = Literal["not_served", "forbidden", "expired", "unreachable", "error"]
_WORDS: dict[_Trouble, str] = {
    "not_served": "kind is not served; is its CRD installed? asking again every 10 to 15 s",
    "forbidden": "not allowed to list or watch; asking again every 20 to 30 s",
    "expired": "position expired; listing anew",
    "unreachable": "API server out of reach; trying again with back-off",
    "error": "list or watch failed; trying again with back-off",
}
_POLL_S: dict[_Trouble, tuple[float, float]] = {"not_served": (10.0, 15.0), "forbidden": (20.0, 30.0)}


class InformerObserver(Protocol):
    """What metrics hear of an informer. Must not raise."""

    def listed(self, objects: int, seconds: float) -> None:
        """All objects were read anew."""

    def received(self, event: str) -> None:
        """A watch brought an event of this type."""

    def failed(self, trouble: str) -> None:
        """A list or watch failed; `trouble` is from a small set."""

    def panicked(self) -> None:
        """`on_event` or `project` raised."""


class _Unobserved:
    def listed(self, objects: int, seconds: float) -> None:
        pass

    def received(self, event: str) -> None:
        pass

    def failed(self, trouble: str) -> None:
        pass

    def panicked(self) -> None:
        pass


_UNOBSERVED = _Unobserved()


class _Held[T](NamedTuple):
    uid: str
    version: str
    value: T


class Informer[T]:
    """The objects of one kind, in one namespace or in all."""

    synced: asyncio.Event
    """Set once the first list is complete and reported; stays set."""
    problem: str
    """What keeps it from working, for people; empty while it works."""

    def __init__(
        self,
        client: KubeClient,
        find: Callable[[], Awaitable[Resource]],
        *,
        project: Callable[[Raw], T],
        on_event: Callable[[WatchEvent], None],
        clock: Clock,
        rng: random.Random,
        namespace: str = "",
        label_selector: str = "",
        read_timeout_s: float = 75.0,
        relist_period_s: float | None = 600.0,
        name: str = "",
        observer: InformerObserver = _UNOBSERVED,
    ) -> None:
        """Args:
        find: which resource to read. Called before each list, so that a kind may come, go or change its plural;
            it should ask the server and not a memory that a 404 proved wrong. Raises `NotServed` or `KubeError`.
        project: what to keep of an object; may read the raw object but not hold on to it.
        read_timeout_s: silence after which a watch counts as dead and the server is asked. Of a kind without changes
            it may be sound all the same: bookmarks come only where there is something new, so this is routine.
        relist_period_s: seconds after which all is read anew though nothing failed, against events that were lost
            on the way, and backups restored of which we saw too little. It happens between two watches, so up to
            300 s later: the default means at least every 15 minutes. `None`: never.
        name: the kind, for logs.
        """
        self._client = client
        self._find = find
        self._project = project
        self._on_event = on_event
        self._clock = clock
        self._rng = rng
        self._namespace = namespace
        self._label_selector = label_selector
        self._read_timeout_s = read_timeout_s
        self._relist_period_s = relist_period_s
        self._name = name
        self._observer = observer
        self.synced = asyncio.Event()
        self.problem = ""
        self._objects: dict[ObjectRef, _Held[T]] = {}
        self._resource: Resource | None = None
        self._position = ""
        self._relist_at: float | None = None
        self._contact = clock.monotonic()
        self._failures = 0
        self._trouble: _Trouble | Literal[""] = ""
        self._watching = False
        self._trouble_watching = False
        self._doubt = False
        self._missing_since: float | None = None

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, ref: ObjectRef) -> T | None:
        held = self._objects.get(ref)
        return held.value if held else None

    def refs(self) -> Collection[ObjectRef]:
        """All objects held; a live view, so copy it before waiting for anything."""
        return self._objects.keys()

    @property
    def last_contact(self) -> float:
        """The clock's instant at which the server last told us something."""
        return self._contact

    @property
    def healthy(self) -> bool:
        """Whether what is held can be believed: listed once, served now, and not deaf for 90 seconds."""
        deaf = self._clock.monotonic() - self._contact > _DEAF_AFTER_S
        return self.synced.is_set() and self._missing_since is None and not deaf

    async def run(self) -> None:
        """List and watch until cancelled. May be run again; it lists anew and reports what changed meanwhile."""
        self._resource = None
        while True:
            try:
                self._watching = False
                if self._resource is not None and self._doubt:
                    await self._ask(self._resource)
                now = self._clock.monotonic()
                if self._resource is None or (self._relist_at is not None and now >= self._relist_at):
                    self._resource = await self._relist()
                self._watching = True
                await self._follow(self._resource)
            except (KubeError, NotServed) as error:
                await self._clock.sleep(self._recover(error))

    # List

    async def _relist(self) -> Resource:
        started = self._clock.monotonic()
        resource = await self._find()
        found: dict[ObjectRef, _Held[T]] = {}
        position = await self._read_pages(resource, found)
        await self._replace(found)
        now = self._clock.monotonic()
        self._position = position
        self._contact = now
        self._relist_at = None if self._relist_period_s is None else now + self._relist_period_s
        self._missing_since = None
        self._doubt = False
        self.synced.set()
        if not self._trouble_watching:
            self._works()
        self._observer.listed(len(found), now - started)
        return resource

    async def _read_pages(self, resource: Resource, found: dict[ObjectRef, _Held[T]]) -> str:
        """Read all pages into `found`, one raw page in memory at a time; return the list's resource version."""
        token, limit = "", _PAGE
        while True:
            try:
                page = await self._client.list_page(
                    resource,
                    namespace=self._namespace,
                    limit=limit,
                    continue_token=token,
                    label_selector=self._label_selector,
                )
            except ApiError as error:
                if not (token and error.expired):
                    raise
                # The pages took longer than the server keeps old versions: more pages would fare no better.
                token, limit = "", 0
                found.clear()
                continue
            self._contact = self._clock.monotonic()
            for obj in page.items:
                # The items of a built-in kind's list come without these.
                obj.setdefault("apiVersion", resource.gvk.api_version)
                obj.setdefault("kind", resource.gvk.kind)
                self._collect(obj, found)
            if not page.continue_token:
                return page.resource_version
            token = page.continue_token

    def _collect(self, obj: Raw, found: dict[ObjectRef, _Held[T]]) -> None:
        ref, uid, version = _identity(obj)
        if not ref.name:
            return
        held = self._objects.get(ref)
        if held is None or (held.uid, held.version) != (uid, version):
            held = self._projected(ref, uid, version, obj) or held
        if held is not None:
            found[ref] = held

    async def _replace(self, found: dict[ObjectRef, _Held[T]]) -> None:
        """Make `found` what is held, and report the difference. A list is the truth: versions are not compared."""
        for count, ref in enumerate([ref for ref in self._objects if ref not in found]):
            self._remove(ref)
            await _breathe(count)
        for count, (ref, held) in enumerate(found.items()):
            if self._objects.get(ref) is not held:
                self._put(ref, held)
            await _breathe(count)

    async def _ask(self, resource: Resource) -> None:
        """Ask whether the server is there and has at least the versions that we have seen; if not, list anew."""
        page = await self._client.list_page(
            resource, namespace=self._namespace, limit=1, label_selector=self._label_selector
        )
        self._contact = self._clock.monotonic()
        self._doubt = False
        if not self._trouble_watching:
            self._works()
        if _order(page.resource_version, self._position) == -1:
            self._resource = None

    # Watch

    async def _follow(self, resource: Resource) -> None:
        """Read one watch to its end, and wait where that came too soon.

        Raises:
            KubeError: it ended otherwise than the server and we had agreed.
        """
        started = self._clock.monotonic()
        try:
            async for kind, obj in self._client.watch(
                resource,
                resource_version=self._position,
                namespace=self._namespace,
                label_selector=self._label_selector,
                timeout_s=self._rng.randint(*_WATCH_S),
                read_timeout_s=self._read_timeout_s,
            ):
                self._heard()
                self._observer.received(kind if kind in _KINDS else "other")
                self._apply(kind, obj)
        finally:
            lasted_s = self._clock.monotonic() - started
            if lasted_s >= _HEALTHY_AFTER_S:
                self._failures = 0
                self._trouble_watching = False
        self._heard()
        await self._clock.sleep(_WATCH_INTERVAL_S - lasted_s)

    def _heard(self) -> None:
        self._contact = self._clock.monotonic()
        self._works()

    def _apply(self, kind: str, obj: Any) -> None:
        if kind not in _KINDS or not isinstance(obj, dict):
            logger.debug("unknown watch event ignored", extra=self._fields(type=kind))
            return
        ref, uid, version = _identity(obj)
        if kind == "DELETED":
            self._apply_deleted(ref, uid, version)
        elif kind != "BOOKMARK" and ref.name:
            self._apply_seen(ref, uid, version, obj)
        if version and _order(version, self._position) != -1:
            self._position = version

    def _apply_deleted(self, ref: ObjectRef, uid: str, version: str) -> None:
        held = self._objects.get(ref)
        if held is None:
            return
        order = _order(version, held.version)
        # Of a namesake: if newer, then what we hold must be gone as well; else it is old news.
        gone = order != -1 if held.uid == uid else order == 1
        if gone:
            self._remove(ref)

    def _apply_seen(self, ref: ObjectRef, uid: str, version: str, obj: Raw) -> None:
        held = self._objects.get(ref)
        # What is not held may have been deleted: an event from before our position would bring back its ghost.
        if _order(version, held.version if held else self._position) in (-1, 0):
            return
        new = self._projected(ref, uid, version, obj)
        if new is not None:
            self._put(ref, new)

    # Cache and events

    def _put(self, ref: ObjectRef, new: _Held[T]) -> None:
        old = self._objects.get(ref)
        if old is not None and old.uid != new.uid:
            self._remove(ref)
            old = None
        self._objects[ref] = new
        self._emit(ref, old.value if old else None, new.value)

    def _remove(self, ref: ObjectRef) -> None:
        old = self._objects.pop(ref)
        self._emit(ref, old.value, None)

    def _emit(self, ref: ObjectRef, old: T | None, new: T | None) -> None:
        try:
            self._on_event(WatchEvent(ref=ref, old=old, new=new, initial=not self.synced.is_set()))
        except Exception:
            self._observer.panicked()
            logger.exception("event handler panicked", extra=self._fields(ref=str(ref)))

    def _projected(self, ref: ObjectRef, uid: str, version: str, obj: Raw) -> _Held[T] | None:
        try:
            return _Held(uid, version, self._project(obj))
        except Exception:
            self._observer.panicked()
            logger.exception("object not understood; what was known of it stays", extra=self._fields(ref=str(ref)))
            return None

    # Failure

    def _recover(self, error: KubeError | NotServed) -> float:
        """Take note of a failure; return for how many seconds to wait."""
        self._doubt = self._doubt or self._watching
        if self._watching and isinstance(error, Unreachable):
            # No trouble yet: connections are cut, and a watch without news is silent. The server's answer will tell.
            logger.debug("watch broke", extra=self._fields(error=str(error)))
            return self._backoff_s()
        trouble = _trouble(error)
        self._observer.failed(trouble)
        self._trouble_watching = self._watching
        if _refuses_position(error):
            self._resource = None
        if trouble == "not_served":
            self._miss()
        if trouble != "expired":
            self.problem = f"{self._name}: {error}" if self._name else str(error)
        if trouble != self._trouble:
            self._trouble = trouble
            level = logging.INFO if trouble == "expired" else logging.WARNING
            logger.log(level, _WORDS[trouble], extra=self._fields(error=str(error)))
        own_s = self._rng.uniform(*_POLL_S[trouble]) if trouble in _POLL_S else self._backoff_s()
        asked_s = (error.retry_after_s if isinstance(error, ApiError) else None) or 0.0
        # The sum and not the maximum: all who were asked to wait equally long should not come back together.
        return min(asked_s, _RETRY_AFTER_MAX_S) + own_s

    def _backoff_s(self) -> float:
        bound_s = min(_BACKOFF_BASE_S * 2.0 ** min(self._failures, 10), _BACKOFF_MAX_S)
        self._failures += 1
        return self._rng.uniform(0.0, bound_s)

    def _miss(self) -> None:
        now = self._clock.monotonic()
        if self._missing_since is None:
            self._missing_since = now
        elif now - self._missing_since >= _GONE_AFTER_S:
            for ref in list(self._objects):
                self._remove(ref)

    def _works(self) -> None:
        if self.problem:
            logger.info("list and watch work again", extra=self._fields())
        self._trouble = self.problem = ""

    def _fields(self, **values: object) -> dict[str, object]:
        return fields(kind=self._name, namespace=self._namespace, **values)


def _trouble(error: KubeError | NotServed) -> _Trouble:
    if isinstance(error, NotServed):
        return "not_served"
    if not isinstance(error, ApiError):
        return "unreachable"
    if error.not_found:
        return "not_served"
    if error.forbidden:
        return "forbidden"
    return "expired" if error.expired else "error"


def _refuses_position(error: KubeError | NotServed) -> bool:
    """Tell whether going on from the last position is pointless: the server wants none of it, or of the kind."""
    if not isinstance(error, ApiError):
        return isinstance(error, NotServed)
    passing = error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    return error.expired or (error.status < HTTPStatus.INTERNAL_SERVER_ERROR and not passing)


def _identity(obj: Raw) -> tuple[ObjectRef, str, str]:
    meta = obj.get("metadata")
    if not isinstance(meta, dict):
        meta = {}
    ref = ObjectRef(str(meta.get("namespace") or ""), str(meta.get("name") or ""))
    return ref, str(meta.get("uid") or ""), str(meta.get("resourceVersion") or "")


def _order(version: str, other: str) -> int | None:
    """Compare resource versions: -1 older, 0 equal, 1 newer; `None`: these two have no order."""
    if version == other and version:
        return 0
    # Integers for all that the API server stores; an aggregated server may use what it likes.
    if not (version.isdecimal() and other.isdecimal()):
        return None
    return 1 if int(version) > int(other) else -1


async def _breathe(count: int) -> None:
    if count % _PAGE == _PAGE - 1:
        await asyncio.sleep(0)
