"""Slots: never too many holders, first come first served, and none lost to those who are cancelled."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from fakes import settle
from runner.metrics import slots as slotmetrics
from runner.slots import Slots


async def take(slots: Slots, name: str, order: list[str]) -> None:
    await slots.acquire()
    order.append(name)


async def test_a_freed_slot_goes_to_whoever_has_waited_longest():
    """Each kind waits once at a time, so this is what makes slots go round the kinds."""
    slots, order = Slots(2), []
    tasks = [asyncio.create_task(take(slots, name, order)) for name in "abcd"]
    await settle()
    assert (order, slots.in_use, slots.waiting) == (["a", "b"], 2, 2)
    slots.release()
    late = asyncio.create_task(take(slots, "late", order))
    await settle()
    slots.release()
    slots.release()
    await settle()
    assert (order, slots.in_use, slots.waiting) == (["a", "b", "c", "d", "late"], 2, 0)
    await asyncio.gather(*tasks, late)


async def test_who_is_cancelled_when_its_slot_came_free_takes_none_with_it():
    """The last moment of a controller that is stopped must not cost the others a slot for ever."""
    slots, order = Slots(1), []
    await slots.acquire()
    first, second = (asyncio.create_task(take(slots, name, order)) for name in "ab")
    await settle()
    slots.release()
    first.cancel()
    await settle()
    assert (order, slots.in_use, slots.waiting) == (["b"], 1, 0)
    await second


@given(limit=st.integers(1, 3), seed=st.integers(0, 10_000))
@settings(max_examples=150, deadline=None)
def test_never_more_holders_than_slots_and_none_is_lost(limit, seed):
    """Random histories of coming, going and being cancelled; in the end all slots are there again."""

    async def history() -> None:
        rng, slots = random.Random(seed), Slots(limit)
        waiting: list[asyncio.Task[None]] = []
        holders = 0
        for _ in range(60):
            match rng.choice("awwrcs"):
                case "a" | "w":
                    waiting.append(asyncio.create_task(slots.acquire()))
                case "r" if holders:
                    holders -= 1
                    slots.release()
                case "c" if waiting:
                    rng.choice(waiting).cancel()
                case "s":
                    await settle(rng.randint(0, 3))
            done = [task for task in waiting if task.done()]
            waiting = [task for task in waiting if not task.done()]
            holders += sum(not task.cancelled() for task in done)
            assert holders <= slots.in_use <= limit
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting) if waiting else None
        holders += sum(not task.cancelled() for task in waiting)
        for _ in range(holders):
            slots.release()
        assert (slots.in_use, slots.waiting) == (0, 0)
        async with asyncio.timeout(1):
            for _ in range(limit):
                await slots.acquire()

    asyncio.run(history())


async def test_metrics_show_the_slots_as_they_are_at_the_scrape():
    """How one sees that the limit, and not the kinds' own, is what holds work up."""
    registry, slots = CollectorRegistry(), Slots(1)
    slotmetrics.follow(slots, registry)
    await slots.acquire()
    task = asyncio.create_task(slots.acquire())
    await settle()
    names = ("max_concurrent_runs", "active_workers", "waiting_workers")
    assert [registry.get_sample_value(f"ansible_operator_{name}") for name in names] == [1, 1, 1]
    slots.release()
    await task
    assert registry.get_sample_value("ansible_operator_waiting_workers") == 0
