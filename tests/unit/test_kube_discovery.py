"""Kinds are asked for once and found again when a CRD appears later."""

from typing import Any

import pytest

from fakes import FakeClock
from runner.kube.discovery import Discovery, NotServed, resources_of
from runner.kube.errors import ApiError
from runner.objects import GroupVersionKind, Raw, Resource

ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")
ANSWER: Raw = {
    "resources": [
        {"name": "echos", "kind": "Echo", "namespaced": True, "verbs": ["get", "list", "watch"]},
        {"name": "echos/status", "kind": "Echo", "namespaced": True, "verbs": ["get", "patch"]},
    ]
}
ECHOS = Resource(
    gvk=ECHO,
    plural="echos",
    namespaced=True,
    verbs=frozenset({"get", "list", "watch"}),
    subresources=frozenset({"status"}),
)


class Client:
    """Serves one group, once it is installed."""

    def __init__(self, *, installed: bool = True) -> None:
        self.installed = installed
        self.asked: list[str] = []

    async def request(self, method: str, path: str, **_: Any) -> Raw:
        assert method == "GET"
        self.asked.append(path)
        if not self.installed:
            raise ApiError(404, reason="NotFound")
        return ANSWER


def discovery(client: Client, clock: FakeClock | None = None) -> Discovery:
    return Discovery(client, clock=clock or FakeClock())  # type: ignore[arg-type]  # the one method it uses


def test_subresources_are_folded_in() -> None:
    assert resources_of("mmontes.io", "v1alpha1", ANSWER) == [ECHOS]


async def test_a_group_is_asked_once() -> None:
    client = Client()
    found = discovery(client)
    assert await found.resource(ECHO) == ECHOS
    assert await found.by_plural("mmontes.io", "v1alpha1", "echos") == ECHOS
    assert client.asked == ["/apis/mmontes.io/v1alpha1"]


async def test_core_group_has_its_own_root() -> None:
    client = Client()
    with pytest.raises(NotServed):
        await discovery(client).resource(GroupVersionKind("", "v1", "Pod"))
    assert client.asked == ["/api/v1"]


async def test_a_kind_that_appears_later_is_found_without_a_hot_loop() -> None:
    client, clock = Client(installed=False), FakeClock()
    found = discovery(client, clock)
    for _ in range(5):
        with pytest.raises(NotServed, match="does not serve mmontes"):
            await found.resource(ECHO)
    assert len(client.asked) == 1
    client.installed = True
    await clock.advance(3)
    assert await found.resource(ECHO) == ECHOS


async def test_forgotten_group_is_asked_again() -> None:
    client = Client()
    found = discovery(client)
    await found.resource(ECHO)
    found.forget("mmontes.io", "v1alpha1")
    client.installed = False
    with pytest.raises(NotServed):
        await found.resource(ECHO)


async def test_a_question_that_failed_is_no_answer() -> None:
    """An aggregated API that is down must not look like a kind that is gone."""

    class Broken(Client):
        async def request(self, method: str, path: str, **_: Any) -> Raw:
            raise ApiError(503, reason="ServiceUnavailable")

    with pytest.raises(ApiError):
        await discovery(Broken()).resource(ECHO)
