"""A CR author can say how an object is run, and can neither stop it nor spin the operator by a typo."""

import pytest

from runner.annotations import ARTIFACTS, PERIOD, VERBOSITY, Annotations, Wishes, read
from runner.objects import Meta, ObjectRef, Uid

X = ObjectRef("a", "x")


def meta(uid: str = "u", **annotations: str) -> Meta:
    names = {"period": PERIOD, "verbosity": VERBOSITY, "artifacts": ARTIFACTS}
    found = {names[key]: value for key, value in annotations.items()}
    return Meta(ref=X, uid=Uid(uid), labels={}, annotations=found)


def test_names_are_operator_sdks() -> None:
    assert {PERIOD, VERBOSITY, ARTIFACTS} == {
        f"ansible.sdk.operatorframework.io/{name}" for name in ("reconcile-period", "verbosity", "max-runner-artifacts")
    }


def test_good_values_are_read() -> None:
    found = read({PERIOD: "1m30s", VERBOSITY: "4", ARTIFACTS: "0", "other": "x"})
    assert found == (Wishes(period_s=90.0, verbosity=4, max_artifacts=0), ())
    assert read({PERIOD: "0s"}) == (Wishes(period_s=0.0), ())
    assert read({}) == (Wishes(), ())


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        (PERIOD, "30", "must be a duration with units, as 30s, 5m or 1h30m"),
        (PERIOD, "soon", "must be a duration with units"),
        (PERIOD, "", "must be a duration with units"),
        (PERIOD, "-1m", "must be 0s, which is never, or at least 1s"),
        (PERIOD, "1ns", "must be 0s, which is never, or at least 1s"),
        (VERBOSITY, "8", "must be a whole number from 0 to 7"),
        (VERBOSITY, "\u0664", "must be a whole number from 0 to 7"),
        (ARTIFACTS, "-1", "must be a whole number from 0 to 1000"),
        (ARTIFACTS, "9" * 5000, "must be a whole number from 0 to 1000"),
    ],
)
def test_a_bad_value_is_told_with_annotation_value_and_rule(name: str, value: str, rule: str) -> None:
    wishes, (complaint,) = read({name: value})
    assert wishes == Wishes()
    assert complaint.startswith(f"annotation {name}: {rule}")
    assert repr(value[:100]) in complaint
    assert complaint.endswith("it is as if it were not there")


def test_the_last_good_value_stays() -> None:
    known = Annotations()
    assert known.look(meta(period="30s", verbosity="3")) == (Wishes(period_s=30.0, verbosity=3), ())
    wishes, (complaint,) = known.look(meta(period="30", verbosity="3"))
    assert wishes == Wishes(period_s=30.0, verbosity=3)
    assert complaint.endswith("the last good value stays")
    assert known.look(meta(period="5m")) == (Wishes(period_s=300.0), ())


def test_an_annotation_that_is_taken_away_counts_no_longer() -> None:
    known = Annotations()
    known.look(meta(period="30s"))
    assert known.look(meta()) == (Wishes(), ())
    assert known.look(meta(period="x"))[0] == Wishes()


def test_each_bad_value_is_told_once() -> None:
    """An object that is looked at each second would otherwise be told of each second."""
    known = Annotations()
    told = [len(known.look(meta(period="30"))[1]) for _ in range(3)]
    assert told == [1, 0, 0]
    assert len(known.look(meta(period="31"))[1]) == 1


def test_a_namesake_begins_anew() -> None:
    known = Annotations()
    known.look(meta(period="30s"))
    assert known.look(meta("another", period="x"))[0] == Wishes()
    known.look(meta(period="30s"))
    known.forget(X)
    assert known.look(meta(period="x"))[0] == Wishes()
