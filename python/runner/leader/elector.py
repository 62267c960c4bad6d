"""Leadership by a Lease: getting it, keeping it and giving it up, and with it the fence.

Promises: of processes that use the same Lease (ours or client-go's) and see it as it was left, at most one fence holds
at a time, as long as no clock runs more than lease_duration_s / renew_deadline_s times as fast as another's.
Does not: recall a request that is already in the socket, or know a holder of a Lease that was deleted before we
first looked. Instants are the clock's `monotonic`; the wall clock is written into the record for people to read.
"""

import dataclasses
import logging
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPMethod
from typing import NoReturn, Protocol

from runner.clock import Clock
from runner.kube.errors import ApiError, KubeError, Unreachable
from runner.leader import lease
from runner.leader.fence import Fence
from runner.leader.lease import Claim, LeaderSettings, LeaseRecord, Move, Sighting
from runner.logs import fields
from runner.objects import ObjectRef, Raw

__all__ = [
    "LeaderElector",
    "LeaderObserver",
    "LeaderSettings",
    "LeadershipLost",
    "LeaseClient",
]

logger = logging.getLogger(__name__)

_LOOK_S = 0.5
"""How soon a leader that was to rest until its next renewal notices that its fence is in doubt."""


class LeadershipLost(Exception):  # noqa: N818 - reads as what happened
    """We lead no longer; `reason` says why. The fence no longer holds."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LeaseClient(Protocol):
    """The part of `kube.client.KubeClient` that the elector calls; one of its own, without a fence."""

    async def request(self, method: str, path: str, *, body: Raw | None = None, deadline_s: float) -> Raw: ...


class LeaderObserver(Protocol):
    """Told what happens, for metrics."""

    def leading(self, leading: bool) -> None: ...  # noqa: FBT001 - the one thing that is told

    def slow_path(self) -> None:
        """A renewal had to read the Lease first."""


class _Unobserved:
    def leading(self, leading: bool) -> None:  # noqa: FBT001
        pass

    def slow_path(self) -> None:
        pass


class LeaderElector:
    """Gets, keeps and gives up one Lease: `acquire`, then `hold` until it raises or is cancelled, then `release`."""

    def __init__(
        self,
        client: LeaseClient,
        settings: LeaderSettings,
        *,
        clock: Clock,
        rng: random.Random,
        fence: Fence,
        on_new_leader: Callable[[str], None] = lambda _identity: None,
        observer: LeaderObserver | None = None,
    ) -> None:
        """Args:
        on_new_leader: told each holder that differs from the one before, us included; must return at once.
        """
        self._client = client
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._fence = fence
        self._on_new_leader = on_new_leader
        self._observer: LeaderObserver = observer or _Unobserved()
        self._claim = Claim(identity=settings.identity)
        self._lease: Raw = {}  # as the server gave it last: its resourceVersion and uid make a write conditional
        self._seen: Sighting | None = None
        self._mine: LeaseRecord | None = None  # what we wrote last and know to be written
        self._deadline = -math.inf
        self._stamped = datetime.min.replace(tzinfo=UTC)
        self._reported = ""

    @property
    def leader(self) -> str | None:
        """Who held the Lease when we last saw it, empty for nobody; `None`: we have not seen it yet."""
        if self._seen is None:
            return None
        return self._seen.record.holder if self._seen.record else ""

    async def acquire(self) -> None:
        """Return when we lead. Never gives up: an API server that refuses or is away is logged once and asked again."""
        self._observer.leading(False)
        extra = fields(lease=str(self._ref), identity=self._settings.identity)
        logger.info("waiting for the lease", extra=extra)
        failing = False
        while True:
            after_s = 0.0
            try:
                if await self._advance(limit=math.inf):
                    break
                failing = False
            except KubeError as error:
                level = logging.DEBUG if failing else logging.WARNING
                logger.log(level, "could not get at the lease", extra=fields(lease=str(self._ref), error=str(error)))
                failing = True
                after_s = (error.retry_after_s or 0.0) if isinstance(error, ApiError) else 0.0
            jittered = self._settings.retry_period_s * (1 + lease.JITTER * self._rng.random())
            await self._clock.sleep(max(jittered, min(after_s, self._settings.lease_duration_s)))
        self._observer.leading(True)
        logger.info("leading", extra=extra)

    async def hold(self) -> NoReturn:
        """Renew, and raise `LeadershipLost` as soon as the lease is not surely ours. Ended by cancelling it."""
        try:
            while True:
                await self._rest()
                await self._renew()
        except LeadershipLost as lost:
            logger.error("leadership lost", extra=fields(lease=str(self._ref), reason=lost.reason))  # noqa: TRY400
            raise
        finally:
            self._fence.drop()
            self._mine = None
            self._observer.leading(False)

    async def release(self) -> bool:
        """Give the Lease up, so that another need not wait; true once it is known not to be ours any more.

        Call it last: from here on another leader acts. Tries for half of renew_deadline_s.
        """
        self._fence.drop()
        self._observer.leading(False)
        if not self._claim.term:
            return True
        budget_s = self._settings.renew_deadline_s / 2
        limit = self._clock.monotonic() + budget_s
        while self._clock.monotonic() < limit:
            try:
                await self._release_once(limit=min(limit, self._clock.monotonic() + budget_s / 2))
            except KubeError as error:
                logger.debug("could not release the lease", extra=fields(lease=str(self._ref), error=str(error)))
                if not _conflict(error):
                    await self._clock.sleep(min(_LOOK_S, limit - self._clock.monotonic()))
            else:
                logger.info("lease released", extra=fields(lease=str(self._ref)))
                return True
        logger.warning("lease not released, others wait until it expires", extra=fields(lease=str(self._ref)))
        return False

    async def _release_once(self, *, limit: float) -> None:
        seen = await self._read(limit=limit)
        if seen.record is not None and self._claim.owns(seen.record):
            await self._write(Move.RENEW, seen.record.release(now=self._stamp()), limit=limit)

    # Renewing

    async def _rest(self) -> None:
        until = self._clock.monotonic() + self._settings.retry_period_s
        while (left := until - self._clock.monotonic()) > 0 and not self._fence.in_doubt():
            await self._clock.sleep(min(left, _LOOK_S))

    async def _renew(self) -> None:
        limit = self._deadline
        while (started := self._clock.monotonic()) < limit:
            try:
                if await self._renew_unread(limit=limit) or await self._advance(limit=limit):
                    return
            except KubeError as error:
                logger.warning("could not renew the lease", extra=fields(lease=str(self._ref), error=str(error)))
            now = self._clock.monotonic()
            await self._clock.sleep(max(0.0, min(started + self._settings.retry_period_s, limit) - now))
        raise LeadershipLost(f"not renewed within {self._settings.renew_deadline_s:g} s")

    async def _renew_unread(self, *, limit: float) -> bool:
        """Try with one write, on the ground that nobody touched the Lease since ours."""
        record = self._mine
        if record is None or not lease.version(self._lease):
            return False
        try:
            return await self._lead(Move.RENEW, record, limit=limit)
        except KubeError as error:
            logger.debug("renewing unread failed", extra=fields(lease=str(self._ref), error=str(error)))
            self._observer.slow_path()
            return False

    async def _advance(self, *, limit: float) -> bool:
        """Read the Lease and do what it allows; true if the lease is ours now.

        Raises:
            LeadershipLost: we led, and the Lease is another's.
            KubeError: it could not be read or written.
        """
        seen = await self._read(limit=limit)
        move = lease.decide(seen, self._claim, now=self._clock.monotonic())
        leading = self._mine is not None
        if leading and seen.record is not None and seen.record.holder and move is not Move.RENEW:
            raise LeadershipLost(f"the lease is held by {seen.record.holder}")
        if move is Move.STAND_BY:
            return False
        # Deleted under us: put our own record back, with its term and count.
        known = self._mine if move is Move.CREATE and self._mine else seen.record
        return await self._lead(move, known or LeaseRecord(transitions=-1), limit=limit)

    async def _lead(self, move: Move, known: LeaseRecord, *, limit: float) -> bool:
        """Write ourselves in as the holder, and extend the fence if that came back in time."""
        now, duration_s = self._stamp(), math.ceil(self._settings.lease_duration_s)
        if move is Move.TAKE_OVER or not self._claim.owns(known):
            self._claim = dataclasses.replace(self._claim, term=self._claim.term or now)
            record = known.take(holder=self._claim.identity, term=self._claim.term, renewed=now, duration_s=duration_s)
        else:
            record = known.renew(renewed=now, duration_s=duration_s)
        sent = self._clock.monotonic()
        await self._write(move, record, limit=limit)
        until = sent + self._settings.renew_deadline_s
        if self._clock.monotonic() >= min(until, limit):
            return False  # answered too late: by now we have to be gone
        self._mine, self._deadline = record, until
        self._fence.extend(until)
        return True

    # The Lease

    @property
    def _ref(self) -> ObjectRef:
        return ObjectRef(self._settings.namespace, self._settings.name)

    async def _read(self, *, limit: float) -> Sighting:
        try:
            answer = await self._request(HTTPMethod.GET, lease.RESOURCE.path(self._ref), limit=limit)
        except ApiError as error:
            if not error.not_found:
                raise
            return self._note({}, None)
        return self._note(answer, LeaseRecord.of(answer))

    async def _write(self, move: Move, record: LeaseRecord, *, limit: float) -> None:
        if move is Move.CREATE:
            method, path = HTTPMethod.POST, lease.RESOURCE.path(namespace=self._settings.namespace)
        elif lease.version(self._lease):
            method, path = HTTPMethod.PUT, lease.RESOURCE.path(self._ref)
        else:
            raise Unreachable("the Lease came without a resourceVersion; not written, for the write would be blind")
        body = lease.body(self._ref, self._lease, record)
        answer = await self._request(method, path, body=body, limit=limit)
        self._note(answer, record)

    async def _request(self, method: HTTPMethod, path: str, *, body: Raw | None = None, limit: float) -> Raw:
        """Call with a deadline of its own, so that one hung call does not cost the lease."""
        left = min(self._settings.renew_deadline_s / 2, limit - self._clock.monotonic())
        if left <= 0:
            raise Unreachable(f"{method} {path}: no time left to ask")
        return await self._client.request(method, path, body=body, deadline_s=left)

    def _note(self, answer: Raw, record: LeaseRecord | None) -> Sighting:
        before = self._seen
        if before is not None and record not in (None, before.record) and not self._claim.owns(record):
            # A write of ours that is still under way was conditional on what is gone now: it can no longer succeed.
            self._claim = dataclasses.replace(self._claim, term="")
        self._lease = answer
        self._seen = lease.observe(
            before,
            record,
            self._claim,
            version=lease.version(answer),
            now=self._clock.monotonic(),
            at_least_s=math.ceil(self._settings.lease_duration_s),
        )
        holder = record.holder if record else ""
        if holder and holder != self._reported:
            self._on_new_leader(holder)
        self._reported = holder or self._reported
        return self._seen

    def _stamp(self) -> str:
        """The wall clock as the record shows it, never twice the same: others tell that we live by its changing."""
        now = self._clock.now()
        if now <= self._stamped:
            now = now.replace(microsecond=(self._stamped.microsecond + 1) % 1_000_000)
        self._stamped = now
        return lease.micro_time(now)


def _conflict(error: KubeError) -> bool:
    return isinstance(error, ApiError) and error.conflict
