"""Paths that the gateway answers itself: with a run's token only, as what the run is, and never the API server."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from fakes import FakeClock
from runner.gateway.discovery import DiscoveryMemory
from runner.gateway.server import Gateway, Grant
from runner.kube.client import KubeClient
from runner.kube.config import Connection
from runner.kube.discovery import Discovery
from runner.objects import GroupVersionKind, ObjectRef, RunId, Uid
from runner.usermetrics.door import PATH, MetricsDoor, variables
from runner.usermetrics.registry import UserMetrics

BODY = {"name": "m", "description": "d", "counter": {"increment": True}}


class NoCredentials:
    async def headers(self, *, renew: bool = False) -> dict[str, str]:
        raise AssertionError("nothing here goes to the API server")


@pytest.fixture
def metrics():
    return UserMetrics(reserved=set, now_s=lambda: 0.0)


@pytest.fixture
async def gateway(metrics) -> AsyncIterator[Gateway]:
    clock = FakeClock()
    connection = Connection(
        server="http://127.0.0.1:9", tls=None, credentials=NoCredentials(), proxy=None, namespace="n", context="c"
    )
    async with KubeClient(connection, user_agent="tests") as client:
        gateway = Gateway(
            client,
            Discovery(client, clock=clock),
            check_fence=lambda: None,
            on_child=lambda _owner, _child, _namespace: None,
            memory=DiscoveryMemory(clock=clock),
            local={PATH: MetricsDoor(metrics)},
        )
        await gateway.start()
        yield gateway
        await gateway.stop()


def grant(**changes):
    values = {
        "run_id": RunId("r"),
        "owner_gvk": GroupVersionKind("mmontes.io", "v1alpha1", "Echo"),
        "owner_ref": ObjectRef("n", "x"),
        "owner_uid": Uid("u"),
        "owner_namespaced": True,
    }
    return Grant(**values | changes)


async def post(url, token, body=BODY):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as session, session.post(url, data=json.dumps(body), headers=headers) as answer:
        return answer.status


def own_address(access):
    return access.server + PATH


async def test_a_run_s_own_address_takes_its_metrics(gateway, metrics):
    """The URL in its environment holds the token, which clients send as Basic."""
    access = gateway.grant(grant())
    (url,) = variables(access.url).values()
    async with aiohttp.ClientSession() as session, session.post(url, data=json.dumps(BODY)) as answer:
        assert answer.status == 200
    assert await post(own_address(access), access.token) == 200
    assert metrics.families["m"].series[()].total == 2


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_nobody_else_s(gateway, metrics, token):
    access = gateway.grant(grant())
    assert await post(own_address(access), token) == 401
    assert not metrics.families


async def test_not_after_the_run(gateway, metrics):
    access = gateway.grant(grant())
    gateway.revoke(access)
    assert await post(own_address(access), access.token) == 401


async def test_dry_run_counts_nothing(gateway, metrics):
    access = gateway.grant(grant(dry_run=True))
    assert await post(own_address(access), access.token) == 200
    assert not metrics.families


async def test_answer_is_handed_on_as_it_is(gateway):
    access = gateway.grant(grant())
    assert await post(own_address(access), access.token, {"name": "m"}) == 400


def test_events_are_never_watched():
    """A role that counts one in each run would be run for ever."""
    for kind in (GroupVersionKind("", "v1", "Event"), GroupVersionKind("events.k8s.io", "v1", "Event")):
        assert not grant().watches(kind)
    assert grant().watches(GroupVersionKind("example.com", "v1", "Event"))
