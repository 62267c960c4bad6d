"""From a run's events to what is kept of it (pure).

Which failures count: a failing event says whether it is ignored, but not whether a `rescue` will catch it. Ansible
counts each failing event of a host as either `failures` or `rescued`, and after one that nobody rescues only `always`
sections still run on that host. So of a host's failing events the last `failures` many are the ones that count.
(Where an `always` section fails and is rescued in turn, the wrong one of the two is named; the verdict is right.)
"""

import itertools
from collections import deque
from collections.abc import Mapping
from typing import Any

from runner.durations import parse_duration
from runner.execution.events import shorten
from runner.execution.outcome import Stats, TaskFailure

__all__ = ["Tally"]

MAX_FAILURES = 10
_MAX_ITEMS = 3
_MAX_ITEM = 512
_COUNTERS = {"runner_on_failed": "failures", "runner_on_unreachable": "dark"}

_Numbered = tuple[int, TaskFailure]


class Tally:
    """Takes the projected events of one run in order."""

    def __init__(self) -> None:
        self.stats: Stats | None = None
        self.completion = ""
        """When the last event was made, in ansible-runner's spelling."""
        self.requeue_after_s: float | None = None
        self.bad_requeue = ""
        """What a `requeue_after` task asked for, if it is no duration."""
        self.task = ""
        """The task that started last, with its `file:line`."""
        self._order = itertools.count()
        self._items: dict[str, list[str]] = {}
        self._failed: dict[tuple[str, str], deque[_Numbered]] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        kind = event["kind"]
        self.completion = event.get("created") or self.completion
        if kind == "playbook_on_task_start":
            self.task = " ".join(filter(None, (event.get("task"), _in_brackets(event.get("task_path")))))
            self._items.clear()
        elif kind == "playbook_on_stats":
            self.stats = Stats(**event.get("stats", {}))
        elif kind in _COUNTERS and not event.get("ignore_errors"):
            last = self._failed.setdefault((kind, event.get("host", "")), deque(maxlen=MAX_FAILURES))
            items = self._items.pop(event.get("host", ""), [])
            last.append((next(self._order), _failure(event, items)))
        elif kind == "runner_item_on_failed":
            # Only here: the event of the whole loop comes without its items' results.
            items = self._items.setdefault(event.get("host", ""), [])
            items += [event.get("msg", "")] if len(items) < _MAX_ITEMS else []
        elif "requeue_after" in event:
            self._requeue(event["requeue_after"])

    def failures(self) -> tuple[TaskFailure, ...]:
        """Failed tasks, oldest first, at most ten; none before the final statistics, which tell what was rescued."""
        if self.stats is None:
            return ()
        counted: list[_Numbered] = []
        for (kind, host), last in self._failed.items():
            count = getattr(self.stats, _COUNTERS[kind]).get(host, 0)
            counted += list(last)[-count:] if count else []
        return tuple(failure for _, failure in sorted(counted, key=lambda entry: entry[0])[:MAX_FAILURES])

    @property
    def rescued(self) -> int:
        return sum(self.stats.rescued.values()) if self.stats is not None else 0

    def _requeue(self, period: str) -> None:
        try:
            seconds = parse_duration(period)
        except ValueError:
            self.bad_requeue = period
            return
        if seconds >= 0:
            self.requeue_after_s = seconds


def _in_brackets(path: str | None) -> str | None:
    return f"({path})" if path else None


def _failure(event: Mapping[str, Any], items: list[str]) -> TaskFailure:
    return TaskFailure(
        task=event.get("task", ""),
        action=event.get("resolved_action") or event.get("task_action") or "",
        path=event.get("task_path", ""),
        message=event.get("msg", ""),
        items=tuple(shorten(item, _MAX_ITEM) for item in items),
    )
