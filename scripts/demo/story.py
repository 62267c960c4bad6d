"""Tells a show on a cluster: definitions, operator, samples, then step by step; and takes away what it brought."""

import contextlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.demo import operator
from scripts.demo.errors import DemoError
from scripts.demo.screen import highlighted, say, wait
from scripts.demo.shows import Await, Do, Gone, Needs, Objects, Output, Owners, Repair, Show, Step
from scripts.demo.targets import Target

__all__ = ["consequences", "possible", "tell", "tree"]


def consequences(show: Show) -> str:
    """What a show does to the cluster, in words."""
    if show.stays:
        return f"CRDs and samples will be applied there, in namespace {show.namespace}"
    return (
        f"CRDs and samples will be applied there, in a namespace {show.own_namespace!r} of the demo's own, "
        "and removed at the end"
    )


def tell(show: Show, target: Target) -> None:
    """Tell the whole show.

    Raises:
        DemoError: something did not come, or came otherwise than it should.
    """
    target = replace(target, namespace=show.namespace or show.own_namespace)
    with tempfile.TemporaryDirectory(prefix="demo-") as directory:
        more = show.prepare(target, Path(directory))
        with _definitions(show, target), _namespace(show, target):
            say("the operator")
            with operator.running(show, target, more, Path(directory)) as running, _samples(show, target):
                for step in possible(show.steps, target):
                    _Teller(target, running).tell(step)
    if not target.node:
        print(f"\nNo Pod ran, because there is no node here: {target.no_node_because}")


def possible(steps: Iterable[Step], target: Target) -> list[Step]:
    """The steps that can be taken on a cluster."""
    there = {Needs.NOTHING: True, Needs.NODE: target.node, Needs.NO_REGISTRY: target.image is not None}
    return [step for step in steps if there[step.needs]]


@contextlib.contextmanager
def _definitions(show: Show, target: Target) -> Iterator[None]:
    """Have the kinds; those that were not there before are removed."""
    say("custom resource definitions")
    before = set(target.run("get", "crd", "-o", "name").split())
    print(target.run("apply", "--server-side", "-k", str(show.project / "config" / "crd")), end="")
    for crd in show.crds:
        target.run("wait", "--for=condition=Established", f"crd/{crd}", "--timeout=60s")
    try:
        yield
    finally:
        ours = [crd for crd in show.crds if f"customresourcedefinition.apiextensions.k8s.io/{crd}" not in before]
        if ours and not show.stays:
            print(target.run("delete", "crd", *ours, "--ignore-not-found", check=False), end="")


@contextlib.contextmanager
def _namespace(show: Show, target: Target) -> Iterator[None]:
    """Have a namespace of the show's own, if it wants one."""
    if not show.own_namespace:
        yield
        return
    if target.get("namespace", show.own_namespace):
        raise DemoError(f"there is a namespace {show.own_namespace!r}; delete it if an earlier demo has left it")
    print(target.run("create", "namespace", show.own_namespace), end="")
    try:
        yield
    finally:
        print(target.run("delete", "namespace", show.own_namespace, "--wait=false", check=False), end="")


@contextlib.contextmanager
def _samples(show: Show, target: Target) -> Iterator[None]:
    """Have the samples. They go while the operator is there, because it may have finalizers to work on."""
    say(show.samples)
    print(target.run("apply", "-k", str(show.project / "config" / "samples")), end="")
    try:
        yield
    finally:
        if not show.stays:
            say("cleaning up")
            kinds = ",".join(show.crds)
            print(target.run("delete", kinds, "--all", "--timeout=60s", check=False), end="")


class _Teller:
    """Takes the steps, one at a time."""

    def __init__(self, target: Target, running: operator.Running) -> None:
        self._target = target
        self._running = running

    def tell(self, step: Step) -> None:
        match step:
            case Await():
                self._wait(step.what, step.kind, step.name, step.until)
            case Output():
                say(step.title)
                output = self._target.run(*step.arguments)
                highlighted(output)
                if step.expected is not None and output != step.expected:
                    raise DemoError(f"expected {step.expected.strip()!r}, byte for byte")
            case Do():
                say(step.title)
                print(self._target.run(*step.arguments), end="")
            case Repair():
                self._repair(step)
            case Gone():
                self._wait(f"{step.kind} {step.name} is gone", step.kind, step.name, lambda obj: not obj)
            case Objects():
                self._objects(step)
            case Owners():
                self._owners(step)

    def _wait(self, what: str, kind: str, name: str, until: Any) -> None:
        def look() -> bool:
            self._running.check()
            return bool(until(self._target.get(kind, name)))

        wait(what, look, self._running.excuse)

    def _repair(self, step: Repair) -> None:
        say(f"somebody deletes the {step.kind}")
        before = self._target.get(step.kind, step.name)["metadata"]["uid"]
        print(self._target.run("delete", step.kind, step.name), end="")

        def another(obj: dict[str, Any]) -> bool:
            return bool(obj) and obj["metadata"]["uid"] != before

        self._wait(f"another {step.kind} {step.name}", step.kind, step.name, another)

    def _objects(self, step: Objects) -> None:
        say(step.title)
        print(self._target.run("get", step.kinds), end="")
        if step.conditions_of:
            for entry in (self._target.get(*step.conditions_of).get("status") or {}).get("conditions") or []:
                reason, message = entry.get("reason", ""), entry.get("message", "")
                print(f"  {entry['type']:<12} {entry['status']:<8} {reason:<16} {message}")

    def _owners(self, step: Owners) -> None:
        say("owners")
        children = json.loads(self._target.run("get", step.kinds, "-o", "json"))["items"]
        for kind, name in step.of:
            owner = self._target.get(kind, name)
            print(f"{owner['kind']}/{name}")
            for line in tree(owner["metadata"]["uid"], children):
                print(f"  {line}")


def tree(uid: str, objects: list[dict[str, Any]]) -> list[str]:
    """What belongs to an object, directly and through others, as lines."""
    lines = []
    for child in objects:
        if any(owner["uid"] == uid for owner in child["metadata"].get("ownerReferences") or ()):
            lines.append(f"└─ {child['kind']}/{child['metadata']['name']}")
            lines += [f"   {line}" for line in tree(child["metadata"]["uid"], objects)]
    return lines
