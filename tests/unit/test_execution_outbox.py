"""A reader that is slow, stuck or gone cannot hold a run up for ever, nor lose what decides its verdict."""

import os
from collections.abc import Iterator

import pytest

from runner.execution.outbox import Outbox


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def read_all(descriptor: int) -> bytes:
    data = b""
    while True:
        try:
            data += os.read(descriptor, 1 << 20)
        except BlockingIOError:
            return data


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    outbox = Outbox(pipe[1])
    outbox.put(b"one\n", essential=False)
    outbox.put(b"two\n", essential=True)
    assert outbox.drain()
    assert read_all(pipe[0]) == b"one\ntwo\n"


def test_a_stuck_reader_costs_one_wait_and_no_verdict(pipe: tuple[int, int]) -> None:
    outbox = Outbox(pipe[1], stall_s=0.05)
    for number in range(2000):
        outbox.put(b"%d %s\n" % (number, b"x" * 1000), essential=False)
    outbox.put(b"stats\n", essential=True)
    assert outbox.dropped > 0
    assert not outbox.drain()
    received = b""
    while outbox.waiting:
        received += read_all(pipe[0])
        outbox.flush()
    received += read_all(pipe[0])
    lines = received.splitlines()
    assert lines[-1] == b"stats"
    numbers = [int(line.split()[0]) for line in lines[:-1]]
    assert numbers == sorted(numbers)
    assert len(numbers) == 2000 - outbox.dropped


def test_even_essential_lines_have_a_bound(pipe: tuple[int, int]) -> None:
    outbox = Outbox(pipe[1], stall_s=0.01)
    for _ in range(20):
        outbox.put(b"x" * 1_000_000, essential=True)
    assert len(outbox._pending) < 10_000_000
    assert outbox.dropped


def test_a_reader_that_is_gone_costs_nothing(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    outbox = Outbox(pipe[1])
    outbox.put(b"line\n", essential=True)
    assert not outbox.waiting
    assert not outbox.drain()
