"""The limit on requests a second: bursts, then the rate, in order, and no token lost to those who give up."""

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fakes import FakeClock, settle
from runner.kube.tokenbucket import TokenBucket


class Takers:
    """Tasks that take one token each, and when they got it, in seconds from the start."""

    def __init__(self, *, qps: float, burst: int) -> None:
        self.clock = FakeClock()
        self.start = self.clock.monotonic()
        self.bucket = TokenBucket(qps=qps, burst=burst, clock=self.clock)
        self.got: list[tuple[str, float]] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, names: str) -> None:
        for name in names:
            self.tasks[name] = asyncio.create_task(self._take(name))
            await settle(3)

    async def _take(self, name: str) -> None:
        await self.bucket.take()
        self.got.append((name, round(self.clock.monotonic() - self.start, 6)))


async def test_a_burst_goes_at_once_and_the_rest_at_the_rate_in_order():
    """client-go's meaning of both numbers."""
    takers = Takers(qps=2, burst=3)
    await takers.begin("abcdef")
    await takers.clock.advance(10)
    assert takers.got == [("a", 0), ("b", 0), ("c", 0), ("d", 0.5), ("e", 1.0), ("f", 1.5)]


async def test_after_a_quiet_while_there_is_one_burst_again_and_no_more():
    """An hour without requests is no credit for thousands at once."""
    takers = Takers(qps=1, burst=2)
    await takers.begin("ab")
    await takers.clock.advance(3600)
    await takers.begin("cde")
    await takers.clock.advance(5)
    assert takers.got[2:] == [("c", 3600), ("d", 3600), ("e", 3601)]


async def test_who_gives_up_leaves_its_token_to_others():
    """A cancelled run must not slow down those that go on."""
    takers = Takers(qps=1, burst=1)
    await takers.begin("abc")
    takers.tasks["b"].cancel()
    await settle()
    await takers.begin("d")
    await takers.clock.advance(2)
    assert takers.got == [("a", 0), ("c", 1), ("d", 2)]


@example(qps=0.5, burst=1, steps=["take", "take", "take", "cancel", "take"])
@given(
    qps=st.sampled_from([0.5, 1.0, 3.0]),
    burst=st.integers(1, 4),
    steps=st.lists(st.sampled_from(["take", "take", "cancel", 0.1, 1.0, 7.0]), max_size=40),
)
@settings(max_examples=100, deadline=None)
def test_no_span_of_time_sees_more_than_the_burst_and_the_rate(qps, burst, steps):
    """The promise itself, for any history."""

    async def history() -> None:
        takers = Takers(qps=qps, burst=burst)
        for number, step in enumerate(steps):
            if step == "take":
                takers.tasks[str(number)] = asyncio.create_task(takers._take(str(number)))
            elif step == "cancel":
                waiting = [task for task in takers.tasks.values() if not task.done()]
                if waiting:
                    waiting[0].cancel()
            else:
                await takers.clock.advance(step)
            await settle(3)
        await takers.clock.advance(200)
        instants = [at for _, at in takers.got]
        for first, begin in enumerate(instants):
            for last in range(first, len(instants)):
                assert last - first + 1 <= burst + qps * (instants[last] - begin) + 1e-4

    asyncio.run(history())


@pytest.mark.parametrize("qps", [0.5, 100.0])
async def test_one_request_alone_never_waits(qps):
    """The limit is for floods."""
    takers = Takers(qps=qps, burst=1)
    await takers.begin("a")
    assert takers.got == [("a", 0)]
