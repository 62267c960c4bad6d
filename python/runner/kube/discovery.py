"""Which kinds the API server serves, and under which path.

Asked group by group and kept; an unknown kind asks again, at most once per `_RETRY_S` for the same group, so a CRD
that appears later is found. Does not guess plurals.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.clock import Clock
from runner.kube.client import KubeClient
from runner.kube.errors import ApiError
from runner.objects import GroupVersionKind, Raw, Resource, root_of

__all__ = ["Discovery", "NotServed", "resources_of"]

_RETRY_S = 2.0


class NotServed(Exception):  # noqa: N818 - reads as what happened
    """The API server does not serve this kind (now): its CRD may be missing."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"the API server does not serve {self.what}"


@dataclass(slots=True)
class _Group:
    read_at: float
    by_kind: dict[str, Resource] = field(default_factory=dict)
    by_plural: dict[str, Resource] = field(default_factory=dict)


_Look = Callable[[_Group], Resource | None]


class Discovery:
    """Answers from memory where it can."""

    def __init__(self, client: KubeClient, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._groups: dict[tuple[str, str], _Group] = {}
        self._lock = asyncio.Lock()

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        """Return the served resource of a kind.

        Raises:
            NotServed: there is none now.
            KubeError: the question could not be asked.
        """
        found = await self._find(gvk.group, gvk.version, lambda group: group.by_kind.get(gvk.kind))
        if found is None:
            raise NotServed(str(gvk))
        return found

    async def by_plural(self, group: str, version: str, plural: str) -> Resource:
        """Return the resource that a request path names.

        Raises:
            NotServed: there is none now.
            KubeError: the question could not be asked.
        """
        found = await self._find(group, version, lambda known: known.by_plural.get(plural))
        if found is None:
            raise NotServed(f"{group or 'core'}/{version} {plural}")
        return found

    def forget(self, group: str, version: str) -> None:
        """Drop what is known of a group version, after one of its CRDs changed or answered 404."""
        self._groups.pop((group, version), None)

    async def _find(self, group: str, version: str, look: _Look) -> Resource | None:
        known = self._groups.get((group, version))
        if known is not None:
            found = look(known)
            if found is not None or self._clock.monotonic() - known.read_at < _RETRY_S:
                return found
        async with self._lock:
            latest = self._groups.get((group, version))
            if latest is known:
                latest = await self._read(group, version)
                self._groups[group, version] = latest
        return look(latest) if latest is not None else None

    async def _read(self, group: str, version: str) -> _Group:
        read = _Group(read_at=self._clock.monotonic())
        try:
            answer = await self._client.request("GET", root_of(group, version))
        except ApiError as error:
            if error.not_found:
                return read
            raise
        for resource in resources_of(group, version, answer):
            read.by_kind[resource.gvk.kind] = resource
            read.by_plural[resource.plural] = resource
        return read


def resources_of(group: str, version: str, answer: Raw) -> list[Resource]:
    """Read an APIResourceList; subresources are folded into their resource."""
    subresources: dict[str, set[str]] = {}
    for entry in answer.get("resources") or []:
        plural, _, subresource = str(entry.get("name") or "").partition("/")
        if subresource:
            subresources.setdefault(plural, set()).add(subresource)
    return [
        Resource(
            gvk=GroupVersionKind(
                str(entry.get("group") or group), str(entry.get("version") or version), str(entry["kind"])
            ),
            plural=str(entry["name"]),
            namespaced=bool(entry.get("namespaced")),
            verbs=frozenset(entry.get("verbs") or ()),
            subresources=frozenset(subresources.get(str(entry["name"]), ())),
        )
        for entry in answer.get("resources") or []
        if "/" not in str(entry.get("name") or "/")
    ]
