"""The two lanes as such; `test_workqueue` has what they mean for a queue, and its model check."""

import pytest

from runner.workqueue.lanes import Lane, Lanes


def test_take_returns_the_lane_and_since_when_a_key_is_ready():
    """The waiting time of a key that moved ahead counts from the beginning, or the metric would flatter us."""
    lanes: Lanes[str] = Lanes()
    lanes.put("a", Lane.ROUTINE, since=1)
    lanes.put("b", Lane.ROUTINE, since=2)
    lanes.put("b", Lane.CHANGES, since=9)
    assert (len(lanes), "a" in lanes, "c" in lanes) == (2, True, False)
    assert [lanes.take(), lanes.take()] == [("b", Lane.CHANGES, 2), ("a", Lane.ROUTINE, 1)]


def test_a_key_is_there_once_whatever_lanes_asked_for_it():
    """Twice would be two runs for one change."""
    lanes: Lanes[str] = Lanes()
    for lane in (Lane.CHANGES, Lane.ROUTINE, Lane.CHANGES):
        lanes.put("a", lane, since=1)
    assert lanes.take() == ("a", Lane.CHANGES, 1)
    with pytest.raises(KeyError):
        lanes.take()


def test_clear_leaves_nothing():
    """A shut-down queue hands nothing out."""
    lanes: Lanes[str] = Lanes()
    lanes.put("a", Lane.ROUTINE, since=1)
    lanes.put("b", Lane.CHANGES, since=1)
    lanes.clear()
    assert len(lanes) == 0
