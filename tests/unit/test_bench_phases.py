"""Phases of runs, from log lines."""

import json

from bench.phases import PHASES, Phase, phases, records


def line(run: str, second: float, *, msg: str = "task event", event: str = "") -> bytes:
    body = {"ts": f"2026-01-02T03:04:{second:06.3f}Z", "msg": msg, "run": run, **({"event": event} if event else {})}
    return json.dumps(body).encode()


def one_run(run: str, *, begin: float, tasks_s: float) -> list[bytes]:
    return [
        line(run, begin, msg="run starts"),
        line(run, begin + 1, event="playbook_on_start"),
        line(run, begin + 1.5, event="playbook_on_task_start"),
        line(run, begin + 1.6, event="runner_on_ok"),
        line(run, begin + 1.7, event="playbook_on_task_start"),
        line(run, begin + 1.5 + tasks_s, event="playbook_on_stats"),
        line(run, begin + 2 + tasks_s, msg="run finished"),
    ]


def test_each_phase_is_the_mean_of_all_runs_whose_lines_may_be_mixed() -> None:
    lines = sorted(one_run("a", begin=0, tasks_s=2) + one_run("b", begin=0.25, tasks_s=4))
    found = [(phase.name, round(phase.seconds, 3), phase.runs) for phase in phases(records(lines))]
    assert found == list(zip((name for name, _, _ in PHASES), (1.0, 0.5, 3.0, 0.5, 5.0), (2,) * 5, strict=True))


def test_a_run_that_was_cut_off_counts_for_the_phases_it_went_through() -> None:
    found = phases(records(one_run("a", begin=0, tasks_s=2)[:3]))
    assert [phase.name for phase in found] == [PHASES[0][0], PHASES[1][0]]
    assert found[0] == Phase(name=PHASES[0][0], seconds=1.0, runs=1)


def test_lines_that_are_no_records_of_runs_are_passed_over() -> None:
    assert list(records([b"Traceback (most recent call last):\n", b'{"msg": "ready"}\n'])) == []
