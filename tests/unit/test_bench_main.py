"""`make bench` as a whole: one scenario's trouble is not another's, and shows in the exit code's reasons."""

from pathlib import Path

import pytest

from bench.__main__ import _NOT_HERE, _Found, _measure_all, _program
from bench.checks import Unmeasured, WrongResult
from bench.measurement import Measurement
from bench.rig import Case
from bench.scenarios import Scenario
from bench.selection import Planned


async def good(case: Case) -> Measurement:
    return Measurement(
        scenario=case.scenario, variant=case.variant, count=case.count, workers=1, figures={"reconciles_per_s": 1.0}
    )


async def wrong(_case: Case) -> Measurement:
    raise ExceptionGroup("in a group, as tasks raise", [WrongResult("Echo a has no Job")])


async def not_here(_case: Case) -> Measurement:
    raise Unmeasured("no node here")


async def broken(_case: Case) -> Measurement:
    raise ZeroDivisionError("division by zero")


def planned(*measures: object) -> list[Planned]:
    made = []
    for measure in measures:
        name = measure.__name__  # type: ignore[attr-defined]
        scenario = Scenario(name=name, what="", measure=measure, counts={}, brief=None)  # type: ignore[arg-type]
        made.append(Planned(scenario=scenario, variant="warm", count=3))
    return made


def test_what_goes_wrong_in_one_scenario_costs_no_other_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """A quarter of an hour of measuring must not be lost to the last minute."""
    found = _Found()
    _measure_all(planned(wrong, broken, not_here, good), found, workers=None, peer=None)
    assert [one.scenario for one in found.measurements] == ["good"]
    assert found.missing == {
        "wrong warm": "Echo a has no Job",
        "broken warm": "a defect: division by zero",
        "not_here warm": f"{_NOT_HERE}no node here",
    }
    said = capsys.readouterr()
    assert "reconciles per second" in said.out
    assert "ZeroDivisionError" in said.err


def test_an_interrupt_ends_the_call_and_keeps_what_was_measured() -> None:
    async def interrupted(_case: Case) -> Measurement:
        raise KeyboardInterrupt

    found = _Found()
    with pytest.raises(KeyboardInterrupt):
        _measure_all(planned(good, interrupted, good), found, workers=None, peer=None)
    assert [one.scenario for one in found.measurements] == ["good"]


def test_a_peer_is_found_by_path_as_others_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started in another directory."""
    program = tmp_path / "operator"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert _program("./operator") == program
