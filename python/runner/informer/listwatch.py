"""Keeps a projection of all objects of one kind and reports each change, whatever happens to the connection.

Promises:
- once the server is reachable and quiet, what is held equals what the server has, and each object that was held and
  is gone was reported as deleted, even when the deletion happened while nobody watched;
- what `objectcache` promises of the events;
- a watch that broke or fell silent goes on from its last position, once the server has answered and its versions are
  not behind that position (a restored backup's would be); a position that the server refuses means a new list;
- failures back off with jitter, and log one line when they begin and one when they end.

Here is the protocol of list and watch; `objectcache` has what is held and the events, `troubles` the failures' words
and waits. `on_event` runs on the loop and must be quick: it adds a key to a queue. A kind that is not served is asked
for slowly until it appears; after `_GONE_AFTER_S` its objects are reported as deleted, for with a CRD its objects go
too. Not at once: an API server that is starting answers 404 for a moment as well.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection
from functools import partial

from runner.clock import Clock
from runner.informer.cache import KINDS, Held, ObjectCache, order
from runner.informer.observer import UNOBSERVED, InformerObserver
from runner.informer.troubles import Troubles, kind_of, refuses_position
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
_HEALTHY_AFTER_S = 30.0
"""A watch that lasted so long was accepted: the back-off starts anew."""
_GONE_AFTER_S = 30.0


class Informer[T]:
    """The objects of one kind, in one namespace or in all."""

    synced: asyncio.Event
    """Set once the first list is complete and reported; stays set."""

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
        metadata_only: bool = False,
        read_timeout_s: float = 75.0,
        relist_period_s: float | None = 600.0,
        name: str = "",
        observer: InformerObserver = UNOBSERVED,
    ) -> None:
        """Args:
        find: which resource to read. Called before each list, so that a kind may come, go or change its plural;
            it should ask the server and not a memory that a 404 proved wrong. Raises `NotServed` or `KubeError`.
        project: what to keep of an object; may read the raw object but not hold on to it.
        label_selector: an object that it no longer matches is reported as deleted, though it may still be there.
        metadata_only: `project` is shown no more of an object than that.
        read_timeout_s: silence after which a watch counts as dead and the server is asked. Of a kind without changes
            it may be sound all the same: bookmarks come only where there is something new, so this is routine.
        relist_period_s: seconds after which all is read anew though nothing failed, against events that were lost
            on the way, and backups restored of which we saw too little. It happens between two watches, so up to
            300 s later: the default means at least every 15 minutes. `None`: never.
        name: the kind, for logs.
        """
        self._client = client
        self._find = find
        self._clock = clock
        self._rng = rng
        self._namespace = namespace
        self._label_selector = label_selector
        self._metadata_only = metadata_only
        self._read_timeout_s = read_timeout_s
        self._relist_period_s = relist_period_s
        self._observer = observer
        self._log_fields = partial(fields, kind=name, namespace=namespace)
        self.synced = asyncio.Event()
        self._cache = ObjectCache(
            project=project, on_event=on_event, on_panic=observer.panicked, log_fields=self._log_fields
        )
        self._troubles = Troubles(name, rng=rng, log_fields=self._log_fields)
        self._resource: Resource | None = None
        self._position = ""
        self._relist_at: float | None = None
        self._contact = clock.monotonic()
        self._watching = self._trouble_watching = self._doubt = False
        self._missing_since: float | None = None

    def __len__(self) -> int:
        return len(self._cache)

    def get(self, ref: ObjectRef) -> T | None:
        return self._cache.get(ref)

    def refs(self) -> Collection[ObjectRef]:
        """All objects held; a live view, so copy it before waiting for anything."""
        return self._cache.refs()

    @property
    def problem(self) -> str:
        """What keeps it from working, for people; empty while it works."""
        return self._troubles.problem

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
        found: dict[ObjectRef, Held[T]] = {}
        position = await self._read_all(resource, found)
        await self._cache.replace(found)
        self._observer.held(len(found))
        now = self._clock.monotonic()
        self._position = position
        self._contact = now
        self._relist_at = None if self._relist_period_s is None else now + self._relist_period_s
        self._missing_since = None
        self._doubt = False
        self.synced.set()
        if not self._trouble_watching:
            self._troubles.over()
        self._observer.listed(len(found), now - started)
        return resource

    async def _read_all(self, resource: Resource, found: dict[ObjectRef, Held[T]]) -> str:
        """Read all pages into `found`; return the list's resource version."""
        token, limit = "", _PAGE
        while True:
            try:
                version, token = await self._read_page(resource, found, limit=limit, token=token)
            except ApiError as error:
                if not (token and error.expired):
                    raise
                # The pages took longer than the server keeps old versions: more pages would fare no better.
                token, limit = "", 0
                found.clear()
                continue
            if not token:
                return version

    async def _read_page(
        self, resource: Resource, found: dict[ObjectRef, Held[T]], *, limit: int, token: str
    ) -> tuple[str, str]:
        """Read one page, which is gone when this returns: the next one must find the memory free."""
        page = await self._client.list_page(
            resource,
            namespace=self._namespace,
            limit=limit,
            continue_token=token,
            label_selector=self._label_selector,
            metadata_only=self._metadata_only,
        )
        self._contact = self._clock.monotonic()
        for obj in page.items:
            # The items of a built-in kind's list come without these.
            obj.setdefault("apiVersion", resource.gvk.api_version)
            obj.setdefault("kind", resource.gvk.kind)
            self._cache.collect(obj, found)
        return page.resource_version, page.continue_token

    async def _ask(self, resource: Resource) -> None:
        """Ask whether the server is there and has at least the versions that we have seen; if not, list anew."""
        page = await self._client.list_page(
            resource,
            namespace=self._namespace,
            limit=1,
            label_selector=self._label_selector,
            metadata_only=self._metadata_only,
        )
        self._contact = self._clock.monotonic()
        self._doubt = False
        if not self._trouble_watching:
            self._troubles.over()
        if order(page.resource_version, self._position) == -1:
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
                metadata_only=self._metadata_only,
                timeout_s=self._rng.randint(*_WATCH_S),
                read_timeout_s=self._read_timeout_s,
            ):
                self._heard()
                self._observer.received(kind if kind in KINDS else "other")
                self._position = self._cache.apply(kind, obj, self._position)
                self._observer.held(len(self._cache))
        finally:
            lasted_s = self._clock.monotonic() - started
            if lasted_s >= _HEALTHY_AFTER_S:
                self._troubles.start_anew()
                self._trouble_watching = False
        self._heard()
        await self._clock.sleep(_WATCH_INTERVAL_S - lasted_s)

    def _heard(self) -> None:
        self._contact = self._clock.monotonic()
        self._troubles.over()

    # Failure

    def _recover(self, error: KubeError | NotServed) -> float:
        """Take note of a failure; return for how many seconds to wait."""
        self._doubt = self._doubt or self._watching
        if self._watching and isinstance(error, Unreachable):
            # No trouble yet: connections are cut, and a watch without news is silent. The server's answer will tell.
            logger.debug("watch broke", extra=self._log_fields(error=str(error)))
            return self._troubles.backoff_s()
        self._trouble_watching = self._watching
        trouble = kind_of(error)
        self._observer.failed(trouble)
        if refuses_position(error):
            self._resource = None
        if trouble == "not_served":
            self._miss()
        return self._troubles.met(error)

    def _miss(self) -> None:
        now = self._clock.monotonic()
        if self._missing_since is None:
            self._missing_since = now
        elif now - self._missing_since >= _GONE_AFTER_S:
            self._cache.clear()
            self._observer.held(0)
