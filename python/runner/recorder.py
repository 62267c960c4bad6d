"""Kubernetes Events about an object: which ones a change of status deserves (pure), and writing them.

Writing is best effort. An operator without the right to create Events still works: the first refusal is one log line,
the rest a counter.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runner.clock import Clock
from runner.execution.outcome import RunOutcome
from runner.kube.client import KubeClient
from runner.kube.errors import ApiError, KubeError
from runner.logs import fields
from runner.objects import GroupVersionKind, Meta, Raw, Resource, format_time
from runner.status import condition, describe_failure

__all__ = ["Notice", "Recorder", "notices_of"]

logger = logging.getLogger(__name__)

_EVENTS = Resource(gvk=GroupVersionKind("", "v1", "Event"), plural="events", namespaced=True)
_MESSAGE_LIMIT = 1024
"""Bytes; the API server refuses longer messages."""
_NAME_LIMIT = 230
"""Leaves room for the suffix in a name of 253 characters."""
_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing worth an Event."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def notices_of(
    before: Mapping[str, Any], after: Mapping[str, Any], outcome: RunOutcome | None = None
) -> tuple[Notice, ...]:
    """What changed between two statuses of one object that a person would like to be told.

    A role's own `Ready` is reported in the role's words: False is a Warning, so a role that is merely busy says
    Unknown. A run's failure is reported with task, file and line when it is new or another one than before.
    """
    notices: list[Notice] = []
    old, new = condition(before, "Ready") or {}, condition(after, "Ready") or {}
    if new and (old.get("status"), old.get("reason")) != (new.get("status"), new.get("reason")):
        kind: Literal["Normal", "Warning"] = "Warning" if new.get("status") == "False" else "Normal"
        notices.append(Notice(type=kind, reason=str(new.get("reason") or ""), message=str(new.get("message") or "")))
    if outcome is not None and not outcome.succeeded:
        old_failure, new_failure = condition(before, "Failure") or {}, condition(after, "Failure") or {}
        is_new = (old_failure.get("status"), old_failure.get("message")) != ("True", new_failure.get("message"))
        if is_new and all(notice.reason != outcome.verdict.value for notice in notices):
            notices.append(Notice(type="Warning", reason=outcome.verdict.value, message=describe_failure(outcome)))
    return tuple(notices)


class Recorder:
    """Writes Events. Never raises, never takes longer than a few seconds."""

    def __init__(
        self, client: KubeClient, *, component: str, instance: str, clock: Clock, count_denied: Callable[[], None]
    ) -> None:
        self._client = client
        self._component = component
        self._instance = instance
        self._clock = clock
        self._count_denied = count_denied
        self._told = False

    async def record(self, gvk: GroupVersionKind, meta: Meta, notices: tuple[Notice, ...]) -> None:
        """Write one Event a notice, about that very object."""
        for notice in notices:
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    body = self._event(gvk, meta, notice)
                    await self._client.create(_EVENTS, body, namespace=body["metadata"]["namespace"])
            except ApiError as error:
                self._denied(error)
            except (KubeError, TimeoutError) as error:
                logger.debug("event not written", extra=fields(ref=meta.ref, reason=notice.reason, error=error))

    def _denied(self, error: ApiError) -> None:
        self._count_denied()
        if not self._told:
            self._told = True
            logger.warning("events cannot be written; this is said once", extra=fields(error=error))

    def _event(self, gvk: GroupVersionKind, meta: Meta, notice: Notice) -> Raw:
        now = format_time(self._clock.now())
        namespace = meta.ref.namespace or "default"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            # A name as client-go makes it; two Events of one object never share a nanosecond.
            "metadata": {"name": f"{meta.ref.name[:_NAME_LIMIT]}.{time.time_ns():x}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": gvk.api_version,
                "kind": gvk.kind,
                "name": meta.ref.name,
                "namespace": meta.ref.namespace,
                "uid": meta.uid,
                "resourceVersion": meta.resource_version,
            },
            "type": notice.type,
            "reason": notice.reason,
            "message": notice.message.encode()[:_MESSAGE_LIMIT].decode(errors="ignore"),
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
