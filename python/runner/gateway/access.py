"""Who may use the gateway: a grant for each run, the token that stands for it, and what was done with it.

A token is kept as its hash only and looked up by it, so how long a wrong one takes tells nothing. Does not talk.
"""

import asyncio
import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runner.fieldpaths import FieldPath
from runner.gateway import connections
from runner.gateway.answers import Refusal
from runner.gateway.discovery import Question
from runner.gateway.loopbreaker import Loop
from runner.gateway.ownership import Owner
from runner.gateway.policy import Restriction
from runner.objects import GroupVersionKind, ObjectRef, RunId, Uid

__all__ = ["Access", "Grant", "Registry", "Session", "Usage", "kubeconfig"]

_REMEMBERED = 1000
"""Of each sort of thing, for each run."""
_SHOWN_BYTES = 1024 * 1024
"""Of children's texts, for each run."""


_EVENT_GROUPS = frozenset({"", "events.k8s.io"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a run may do, and for which object it does it."""

    run_id: RunId
    owner_gvk: GroupVersionKind
    owner_ref: ObjectRef
    owner_uid: Uid
    owner_namespaced: bool
    owner_generation: int = 0
    """0: its kind has none."""
    inject_owner: bool = True
    """Mark what the run creates as the owner's."""
    controller_reference: bool = False
    """Owner references carry `controller` and `blockOwnerDeletion`."""
    watch_dependents: bool = True
    blacklist: frozenset[GroupVersionKind] = frozenset()
    """Kinds that are never watched as dependents."""
    dependent_ignore: tuple[FieldPath, ...] = ()
    """Fields of dependents whose changes do not count."""
    dry_run: bool = False
    """The API server is to store nothing of what the run writes."""
    restriction: Restriction = field(default_factory=Restriction)

    @property
    def owner(self) -> Owner:
        return Owner(gvk=self.owner_gvk, ref=self.owner_ref, uid=self.owner_uid, namespaced=self.owner_namespaced)

    def watches(self, kind: GroupVersionKind) -> bool:
        """Whether children of that kind are to be watched.

        Events never: one that a role counts in each run would be the reason for the next run.
        """
        if kind.kind == "Event" and kind.group in _EVENT_GROUPS:
            return False
        return self.watch_dependents and kind not in self.blacklist


@dataclass(slots=True)
class Usage:
    """What a run did so far."""

    requests: int = 0
    writes: int = 0
    """Those that could change something, whether they succeeded or not."""
    changed: int = 0
    """Successful writes that changed their object: an update whose answer has the resource version that the run read
    before does not count, one of an object that it never read does. In a dry run: none."""
    loops: list[Loop] = field(default_factory=list)
    """What its owner should be told of writes that somebody undoes each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a run is handed. The token is not shown in logs."""

    run_id: RunId
    token: str = field(repr=False)
    url: str = field(repr=False)
    """With the token as its user info, for clients that send no bearer token over plain http."""
    server: str
    usage: Usage = field(default_factory=Usage, compare=False)


def kubeconfig(access: Access, namespace: str) -> str:
    """Return the text of a kubeconfig that leads to the gateway; `namespace` may be empty.

    The token is in it twice: client-go drops a bearer token where the server is plain http but sends the URL's user
    info, Python does it the other way round.
    """
    context = {"cluster": "gateway", "user": "run"} | ({"namespace": namespace} if namespace else {})
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "gateway", "cluster": {"server": access.url}}],
        "users": [{"name": "run", "user": {"token": access.token}}],
        "contexts": [{"name": "run", "context": context}],
        "current-context": "run",
        "preferences": {},
    }
    # JSON, which is YAML that everybody reads alike: to Go a plain n is false, and 1e3 a number.
    return json.dumps(config, indent=2)


class Session:
    """A grant in use."""

    def __init__(self, grant: Grant, access: Access) -> None:
        self.grant = grant
        self.access = access
        self._transports: set[asyncio.Transport] = set()
        self._versions: dict[str, str] = {}
        self._answered: dict[tuple[object, Question], float] = {}
        self._shown: dict[str, bytes] = {}
        self._shown_bytes = 0

    @contextmanager
    def open(self, transport: asyncio.Transport | None) -> Iterator[None]:
        """Have `cut` end this connection for as long as the context lasts; `None`: it has ended already."""
        if transport is None:
            raise Refusal.bad_gateway("the connection was lost")
        self._transports.add(transport)
        try:
            yield
        finally:
            self._transports.discard(transport)

    def cut(self) -> None:
        """End all requests in flight, and send nothing of what is buffered."""
        for transport in self._transports:
            connections.reset(transport)

    def saw(self, path: str, version: str) -> bool:
        """Remember an object's resource version; return whether it differs from the one last seen, if any was."""
        return _swap(self._versions, path, version) != version

    def showed(self, child: str, text: bytes) -> bytes | None:
        """Remember a child as the run saw it now; return how it saw it before, as far as that is still known."""
        before = self._shown.pop(child, None)
        self._shown[child] = text
        self._shown_bytes += len(text) - len(before or b"")
        while self._shown_bytes > _SHOWN_BYTES:
            self._shown_bytes -= len(self._shown.pop(next(iter(self._shown))))
        return before

    def answered_at(self, client: object, question: Question) -> float | None:
        """As of when this client was last answered this question; `None`: not yet."""
        return self._answered.get((client, question))

    def answered(self, client: object, question: Question, asked_at: float) -> None:
        """Remember as of when a client was answered."""
        _swap(self._answered, (client, question), asked_at)


def _swap[K, V](memory: dict[K, V], key: K, value: V) -> V | None:
    """Put a value in place of the one before, which is returned; the longest untouched is forgotten for it."""
    before = memory.pop(key, None)
    memory[key] = value
    if len(memory) > _REMEMBERED:
        del memory[next(iter(memory))]
    return before


class Registry:
    """The grants that are valid now."""

    def __init__(self) -> None:
        self._sessions: dict[bytes, Session] = {}

    def issue(self, grant: Grant, *, host: str, port: int) -> Access:
        token = secrets.token_urlsafe(32)
        access = Access(
            run_id=grant.run_id, token=token, url=f"http://run:{token}@{host}:{port}", server=f"http://{host}:{port}"
        )
        self._sessions[_digest(token)] = Session(grant, access)
        return access

    def withdraw(self, access: Access) -> None:
        """Forget a token and end its requests in flight; one that is unknown is fine."""
        session = self._sessions.pop(_digest(access.token), None)
        if session is not None:
            session.cut()

    def withdraw_all(self) -> None:
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.cut()

    def find(self, authorization: str) -> Session | None:
        """Look up an Authorization header, Bearer or Basic."""
        return self._sessions.get(_digest(_token(authorization)))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


def _token(authorization: str) -> str:
    scheme, _, rest = authorization.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            try:
                _, _, password = base64.b64decode(rest.strip(), validate=True).partition(b":")
            except binascii.Error:
                return ""
            return password.decode(errors="surrogateescape")
        case _:
            return ""
