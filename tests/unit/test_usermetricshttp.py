"""The addresses that roles post to: what is answered, over real sockets on the loopback interface."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web

from runner.usermetrics import door as usermetricshttp
from runner.usermetrics.door import MetricsDoor, OpenDoor
from runner.usermetrics.registry import UserMetrics

BODY = {"name": "m", "description": "d", "counter": {"increment": True}}


@pytest.fixture
def metrics():
    return UserMetrics(reserved=set, now_s=lambda: 0.0)


@pytest.fixture
async def door(metrics):
    door = OpenDoor(MetricsDoor(metrics), host="127.0.0.1", port=0, fail=lambda error: RuntimeError(str(error)))
    await door.start()
    yield door
    await door.stop()


async def post(door, data, *, method="POST", path="/metrics"):
    if not isinstance(data, bytes):
        data = json.dumps(data).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{door.port}{path}", data=data) as response,
    ):
        return response.status, await response.text(), response.headers


async def test_a_metric_is_counted(door, metrics):
    assert (await post(door, BODY))[:2] == (200, "")
    assert metrics.families["m"].series[()].total == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": "m"}, "at least one metric"),
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 200_000, "no JSON"),
    ],
)
async def test_what_is_none_is_told_why(door, metrics, body, words):
    status, text, _ = await post(door, body)
    assert status == 400
    assert words in text
    assert not metrics.families


async def test_only_post(door):
    status, _, headers = await post(door, BODY, method="GET")
    assert (status, headers["Allow"]) == (405, "POST")


async def test_only_its_path(door):
    assert (await post(door, BODY, path="/"))[0] == 404


async def test_huge_body_is_not_read(door, monkeypatch):
    monkeypatch.setattr(usermetricshttp, "_MOST_BYTES", 100)
    assert (await post(door, b" " * 5000))[0] == 413


async def test_dry_run_only_says_whether(metrics):
    """What a plan shows must not move a dashboard."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await MetricsDoor(metrics)(request, True)

    server = web.Server(handle)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)

    class Door:
        port = listener.sockets[0].getsockname()[1]

    assert (await post(Door, BODY))[0] == 200
    assert (await post(Door, {**BODY, "counter": {"add": -1}}))[0] == 400
    assert not metrics.families
    listener.close()
    await server.shutdown()


async def test_taken_port_is_the_caller_s_error(door, metrics):
    second = OpenDoor(MetricsDoor(metrics), host="127.0.0.1", port=door.port, fail=lambda error: RuntimeError("taken"))
    with pytest.raises(RuntimeError, match="taken"):
        await second.start()
    await second.stop()


def test_a_run_is_told_its_own_address():
    assert usermetricshttp.variables("http://run:t@127.0.0.1:9") == {
        "OSDK_METRICS_URL": "http://run:t@127.0.0.1:9/operator/metrics"
    }
