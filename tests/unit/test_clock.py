"""Sleeping by a clock that goes on while the machine is suspended, with timers that do not."""

import pytest

from runner.clock import SystemClock, sleep_in_steps


class Machine:
    """Time that passes by pauses, and by suspends, of which pauses know nothing."""

    def __init__(self, suspends: dict[int, float] | None = None) -> None:
        self.now = 100.0
        self.pauses: list[float] = []
        self._suspends = suspends or {}

    def monotonic(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds + self._suspends.get(len(self.pauses), 0.0)


@pytest.mark.parametrize(
    ("seconds", "pauses"),
    [(0.0, [0.0]), (-5.0, [0.0]), (3.0, [3.0]), (10.0, [10.0]), (25.0, [10.0, 10.0, 5.0])],
)
async def test_sleeps_as_long_as_asked_in_steps(seconds, pauses):
    """No time at all still lets others run."""
    machine = Machine()
    await sleep_in_steps(seconds, monotonic=machine.monotonic, pause=machine.pause)
    assert machine.pauses == pauses
    assert machine.now == 100.0 + max(seconds, 0.0)


async def test_a_suspend_makes_a_sleep_at_most_one_step_late():
    """A laptop closed overnight: what was due at two is done when it opens, not eight hours of uptime later."""
    machine = Machine(suspends={2: 28_800.0})
    await sleep_in_steps(36_000.0, monotonic=machine.monotonic, pause=machine.pause)
    assert 36_100.0 <= machine.now <= 36_110.0


async def test_a_timer_that_ends_early_is_waited_for_again():
    """Two clocks never agree to the last digit, and a lease must not be taken for lapsed too soon."""
    machine = Machine(suspends={1: -0.001})
    await sleep_in_steps(1.0, monotonic=machine.monotonic, pause=machine.pause)
    assert machine.now == pytest.approx(101.0)
    assert machine.now >= 101.0


async def test_the_system_clock_sleeps_by_its_own_monotonic():
    """Both halves of a clock must tell the same time."""
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.01
