"""An API server in memory, as far as an informer can see one: `list_page` and `watch` of one kind.

It does to its caller what a real one does (tests/contract/test_fake_kube_contract.py runs the same cases against both)
and, at a test's wish, what a broken one does. Time is the clock's. It refuses calls and arguments it does not know.
"""

import asyncio
import copy
import itertools
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any

from runner.clock import Clock
from runner.kube.client import ListPage
from runner.kube.discovery import NotServed
from runner.kube.errors import ApiError, KubeError, Unreachable
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource

__all__ = ["CONFIG_MAPS", "Call", "FakeKube"]

CONFIG_MAPS = Resource(gvk=GroupVersionKind("", "v1", "ConfigMap"), plural="configmaps", namespaced=True)
_BOOKMARK_S = 60.0
_LAST_BOOKMARK_S = 2.0
"""A watch gets its last bookmark so long before its end."""
_LIST_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it came in."""

    verb: str
    at: float
    limit: int | None = None
    continue_token: str = ""
    resource_version: str = ""
    timeout_s: int | None = None


class _End(Exception):  # noqa: N818 - no error
    """The server ends the watch."""


@dataclass(slots=True)
class _Stream:
    """One open watch; `pushed` holds what a test put into it besides the history."""

    cursor: int
    started: int
    dead: bool = False
    pushed: deque[tuple[str, Any] | Exception] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class _Change:
    version: int
    old: Raw | None
    new: Raw | None


class FakeKube:
    """Holds the objects of one kind and the history of their changes."""

    def __init__(self, clock: Clock, *, resource: Resource = CONFIG_MAPS) -> None:
        self.resource = resource
        self.calls: list[Call] = []
        self._clock = clock
        self._served = True
        self._frozen = False
        self._version = 100
        self._uids = itertools.count(1)
        self._objects: dict[ObjectRef, Raw] = {}
        self._history: list[_Change] = []
        self._compacted = 0
        self._used: set[tuple[ObjectRef, int]] = set()
        self._streams: list[_Stream] = []
        self._waiters: set[asyncio.Future[None]] = set()
        self._snapshots: dict[int, dict[ObjectRef, Raw]] = {}
        self._refusals: dict[str, deque[KubeError]] = {"list": deque(), "watch": deque()}
        self._always: dict[str, KubeError | None] = {"list": None, "watch": None}

    # What a cluster's users do

    def put(self, name: str, namespace: str = "default", *, labels: dict[str, str] | None = None, **body: Any) -> Raw:
        """Create an object, or replace what it says; return it as stored."""
        ref = ObjectRef(namespace, name)
        old = self._objects.get(ref)
        self._version += 1
        while (ref, self._version) in self._used:  # after a restore: that a version repeats is one in thousands
            self._version += 1
        self._used.add((ref, self._version))
        meta: Raw = {
            "name": name,
            "namespace": namespace,
            "uid": old["metadata"]["uid"] if old else f"uid-{next(self._uids)}",
            "resourceVersion": str(self._version),
        }
        if labels:
            meta["labels"] = labels
        self._objects[ref] = {"metadata": meta, **body}
        self._record(old, self._objects[ref])
        return self._as_event(self._objects[ref])

    def delete(self, name: str, namespace: str = "default") -> None:
        old = self._objects.pop(ObjectRef(namespace, name))
        self._version += 1
        self._record(old, None)

    def others_write(self, times: int) -> None:
        """Let objects of other kinds change: versions rise."""
        self._version += times

    def lose(self, name: str, namespace: str = "default") -> None:
        """Delete an object of which no watch will ever hear."""
        del self._objects[ObjectRef(namespace, name)]
        self._version += 1

    def objects(self) -> dict[ObjectRef, Raw]:
        """What there is now."""
        return {ref: self._as_event(obj) for ref, obj in self._objects.items()}

    # What happens to a cluster

    def compact(self) -> None:
        """Forget the history: positions and continue tokens from before now expire."""
        self._compacted = self._version

    def restore(self, version: int, objects: dict[ObjectRef, Raw]) -> None:
        """Go back to a backup: older objects, and a version counter that runs again."""
        self._version = version
        self._objects = {
            ref: {key: obj[key] for key in obj if key not in ("apiVersion", "kind")} for ref, obj in objects.items()
        }
        self._history = [change for change in self._history if change.version <= version]
        self._snapshots.clear()
        self._compacted = min(self._compacted, version)
        self.break_watches()

    def uninstall(self) -> None:
        """Remove the kind with all its objects, as deleting its CRD does."""
        for ref in list(self._objects):
            self.delete(ref.name, ref.namespace)
        self._served = False
        self.end_watches()

    def install(self) -> None:
        self._served = True

    def break_watches(self) -> None:
        """Reset the connections of all open watches."""
        self.push(Unreachable("connection reset"))

    def end_watches(self) -> None:
        """End all open watches as a server does that shuts down cleanly."""
        self.push(_End())

    def push(self, item: tuple[str, Any] | Exception) -> None:
        """Send an event or an error to all open watches, after what is under way to them."""
        for stream in self._streams:
            stream.pushed.append(item)
        self._wake()

    def refuse(self, verb: str, error: KubeError, *, calls: int = 1) -> None:
        """Answer the next so many calls of `list` or `watch` with a failure."""
        self._refusals[verb].extend([error] * calls)

    @contextmanager
    def refusing(self, verb: str, error: KubeError) -> Iterator[None]:
        """Answer each call of `list` or `watch` with a failure."""
        self._always[verb] = error
        try:
            yield
        finally:
            self._always[verb] = None

    def freeze(self) -> None:
        """Keep the connections, but let nothing through, and nothing ever again on those that are open."""
        self._frozen = True
        for stream in self._streams:
            stream.dead = True

    def thaw(self) -> None:
        """Let new connections through."""
        self._frozen = False

    @property
    def open_watches(self) -> int:
        return len(self._streams)

    @property
    def version(self) -> int:
        return self._version

    # What its callers do

    async def find(self) -> Resource:
        self._note(Call(verb="find", at=self._clock.monotonic()))
        if self._frozen:
            await self._clock.sleep(_LIST_DEADLINE_S)
            raise Unreachable("no answer")
        if not self._served:
            raise NotServed(str(self.resource.gvk))
        return self.resource

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
        self._note(Call(verb="list", at=self._clock.monotonic(), limit=limit, continue_token=continue_token))
        await asyncio.sleep(0)
        if self._frozen:
            await self._clock.sleep(_LIST_DEADLINE_S)
            raise Unreachable("no answer")
        self._check("list", resource)
        version, start = self._version, 0
        if continue_token:
            version, start = _read_token(continue_token)
            if version < self._compacted:
                raise ApiError(410, reason="Expired", message="The provided continue parameter is too old")
        matches = _matcher(namespace, label_selector)
        snapshot = self._snapshots.setdefault(version, copy.deepcopy(self._objects))
        found = [obj for _, obj in sorted(snapshot.items()) if matches(obj)]
        end = start + limit if limit else len(found)
        return ListPage(
            items=[_metadata_of(obj) if metadata_only else copy.deepcopy(obj) for obj in found[start:end]],
            resource_version=str(version),
            continue_token=f"{version}:{end}" if end < len(found) else "",
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
        now = self._clock.monotonic()
        self._note(Call(verb="watch", at=now, resource_version=resource_version, timeout_s=timeout_s))
        await asyncio.sleep(0)
        if not self._frozen:
            self._check("watch", resource)
            if int(resource_version) < self._compacted:
                raise ApiError(410, reason="Expired", message=f"too old resource version: {resource_version}")
        matches = _matcher(namespace, label_selector)
        position = int(resource_version)
        # What is news when the watch begins is sent as news, and no bookmark repeats its version.
        stream = _Stream(cursor=position, started=max(position, self._latest()), dead=self._frozen)
        self._streams.append(stream)
        try:
            async for kind, obj in self._stream(stream, matches, now, timeout_s, read_timeout_s):
                yield kind, _metadata_of(obj) if metadata_only else obj
        except _End:
            return
        finally:
            self._streams.remove(stream)

    async def _stream(
        self, stream: _Stream, matches: Any, opened: float, timeout_s: int, read_timeout_s: float
    ) -> AsyncIterator[tuple[str, Raw]]:
        end, heard = opened + timeout_s, opened
        bookmark = _next_bookmark(opened, end)
        while True:
            now = self._clock.monotonic()
            for event in self._pending(stream, matches):
                heard = now
                yield event
            if stream.dead:
                end = bookmark = inf
            if now >= end:
                return
            if now >= bookmark:
                bookmark = _next_bookmark(now, end)
                if self._version > stream.started:  # else there is nothing new to say
                    heard = now
                    yield "BOOKMARK", self._bookmark()
            if now >= heard + read_timeout_s:
                raise Unreachable(f"silent for {read_timeout_s} s")
            await self._until(min(heard + read_timeout_s, end, bookmark))

    def _pending(self, stream: _Stream, matches: Any) -> Iterator[tuple[str, Raw]]:
        if stream.dead:
            return
        yield from self._news(stream, matches)
        while stream.pushed:
            item = stream.pushed.popleft()
            if isinstance(item, Exception):
                raise item
            yield item

    def _latest(self) -> int:
        return self._history[-1].version if self._history else 0

    def _news(self, stream: _Stream, matches: Any) -> Iterator[tuple[str, Raw]]:
        for change in [change for change in self._history if change.version > stream.cursor]:
            stream.cursor = change.version
            was, is_now = change.old is not None and matches(change.old), change.new is not None and matches(change.new)
            if is_now:
                yield ("MODIFIED" if was else "ADDED"), self._as_event(change.new)
            elif was:
                gone = self._as_event(change.old)
                gone["metadata"]["resourceVersion"] = str(change.version)
                yield "DELETED", gone

    def _bookmark(self) -> Raw:
        gvk = self.resource.gvk
        return {
            "apiVersion": gvk.api_version,
            "kind": gvk.kind,
            "metadata": {"resourceVersion": str(self._version)},
        }

    def _as_event(self, obj: Raw | None) -> Raw:
        gvk = self.resource.gvk
        return {"apiVersion": gvk.api_version, "kind": gvk.kind, **copy.deepcopy(obj or {})}

    def _check(self, verb: str, resource: Resource) -> None:
        if not self._served or resource != self.resource:
            raise ApiError(404, message="404 page not found")
        refusal = self._refusals[verb].popleft() if self._refusals[verb] else self._always[verb]
        if refusal is not None:
            raise refusal

    def _record(self, old: Raw | None, new: Raw | None) -> None:
        self._history.append(_Change(self._version, copy.deepcopy(old), copy.deepcopy(new)))
        self._wake()

    def _note(self, call: Call) -> None:
        self.calls.append(call)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, instant: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._waiters.add(woken)
        timer = asyncio.create_task(self._clock.sleep(instant - self._clock.monotonic()), name="fake kube timer")
        try:
            await asyncio.wait({woken, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiters.discard(woken)
            timer.cancel()
            await asyncio.wait({timer})


def _metadata_of(obj: Raw) -> Raw:
    """The object as those get it who ask for metadata only: of a list and of a watch alike, with a kind."""
    return {
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": copy.deepcopy(obj["metadata"]),
    }


def _next_bookmark(now: float, end: float) -> float:
    last = end - _LAST_BOOKMARK_S
    return min(now + _BOOKMARK_S, last) if now < last else inf


def _read_token(token: str) -> tuple[int, int]:
    version, _, start = token.partition(":")
    if not (version.isdecimal() and start.isdecimal()):
        raise ApiError(400, reason="BadRequest", message="invalid continue token")
    return int(version), int(start)


def _matcher(namespace: str, label_selector: str) -> Any:
    wanted = {}
    for term in label_selector.split(",") if label_selector else ():
        key, equals, value = term.partition("=")
        understood = equals and key and not set(term) & set("! ()")
        assert understood, f"FakeKube knows only key=value, not {term!r}"
        wanted[key] = value

    def matches(obj: Raw) -> bool:
        meta = obj["metadata"]
        labels = meta.get("labels") or {}
        return (not namespace or meta["namespace"] == namespace) and wanted.items() <= labels.items()

    return matches
