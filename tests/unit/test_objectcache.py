"""What the cache costs; `test_informer` has what it does, against a server with bad days."""

import gc
import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from runner.informer.cache import ObjectCache
from runner.objects import GroupVersionKind, Raw
from runner.predicates import Primary, dependents_of

ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")
COUNT = 2000


def listed(number: int, **metadata: Any) -> Raw:
    """An object as a list brings it: each text decoded anew, with what kubectl and the server write of their own."""
    spec = {"message": "hello " * 10}
    meta = {
        "name": f"echo-{number:05}",
        "namespace": "default",
        "uid": str(UUID(int=number)),
        "resourceVersion": str(1_000_000 + number),
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "demo"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": spec})},
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:message": {}}}}] * 2,
        **metadata,
    }
    obj: Raw = json.loads(json.dumps({"metadata": meta, "spec": spec, "status": {"conditions": [{"type": "x"}] * 3}}))
    return obj


OWNED = {"ownerReferences": [{"apiVersion": "mmontes.io/v1alpha1", "kind": "Echo", "name": "a", "uid": "u" * 36}]}


@pytest.mark.parametrize(
    ("project", "metadata", "bound"),
    [
        pytest.param(partial(Primary.of, annotations=False), {}, 600, id="primary"),
        pytest.param(partial(Primary.of, annotations=True), {}, 700, id="primary with annotations"),
        pytest.param(dependents_of([ECHO]), OWNED, 1100, id="dependent"),
        pytest.param(dependents_of([ECHO]), {}, 500, id="others' object"),
    ],
)
async def test_an_object_costs_hundreds_of_bytes_and_not_thousands(project, metadata, bound):
    """Ten thousand must fit beside the rest of the operator; their text alone would be tens of megabytes."""
    assert await bytes_an_object(project, metadata) < bound


async def bytes_an_object(project: Callable[[Raw], Any], metadata: dict[str, Any]) -> float:
    cache = ObjectCache(project=project, on_event=lambda event: None, on_panic=lambda: None)
    gc.collect()
    tracemalloc.start()
    try:
        found: dict[Any, Any] = {}
        for number in range(COUNT):
            cache.collect(listed(number, **metadata), found)
        await cache.replace(found)
        del found
        gc.collect()
        assert len(cache) == COUNT
        return tracemalloc.get_traced_memory()[0] / COUNT
    finally:
        tracemalloc.stop()
