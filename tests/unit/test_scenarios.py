"""Which of Molecule's scenarios `make test-molecule` runs, what it says of them, and how it ends."""

import io
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cluster import processes
from cluster.progress import Progress
from harness import ROOT
from scripts import scenarios
from scripts.scenarios import Hindrance, Runner, Scenario

IMPOSSIBLE = Hindrance(reason="A node needs root.", passing=False)
DECLINED = Hindrance(reason="You did not want that.", passing=False)
OCCUPIED = Hindrance(reason="A node runs already.", passing=True)


def scenario(name: str, cluster: str = "embedded") -> Scenario:
    return Scenario(name=name, cluster=cluster, fixed=False)


def names(found: list[Scenario]) -> list[str]:
    return [each.name for each in found]


def test_all_scenarios_of_the_project_run_each_on_its_cluster() -> None:
    found = scenarios.chosen(scenarios.found(ROOT / "molecule", "embedded"), "", "embedded")
    assert {each.name: each.cluster for each in found} == {
        "default": "embedded",
        "ha": "embedded",
        "kind": "kind",
        "upgrade": "embedded",
    }


@pytest.mark.parametrize("cluster", ["kind", "current"])
def test_on_another_cluster_the_scenario_that_brings_its_own_is_not_run(cluster: str) -> None:
    found = scenarios.chosen(scenarios.found(ROOT / "molecule", cluster), "", cluster)
    assert {each.name: each.cluster for each in found} == dict.fromkeys(["default", "ha", "upgrade"], cluster)


def test_one_is_run_by_its_name_and_a_wrong_name_is_answered_with_the_right_ones() -> None:
    have = [scenario("a"), scenario("b")]
    assert scenarios.chosen(have, "b", "current") == [scenario("b")]
    with pytest.raises(ValueError, match="SCENARIO=c: there is none; have a, b"):
        scenarios.chosen(have, "c", "embedded")


class Run:
    """A run whose scenarios end as they are told to."""

    def __init__(
        self,
        logs: Path,
        *,
        hindered: Mapping[str, Hindrance] | None = None,
        failing: Mapping[str, str] | None = None,
        named: bool = False,
        declined: Mapping[str, Hindrance] | None = None,
    ) -> None:
        self.tested: list[str] = []
        self.prepared: list[str] = []
        stream = io.StringIO()

        def prepare(cluster: str) -> Hindrance | None:
            self.prepared.append(cluster)
            return (declined or {}).get(cluster)

        def test(one: Scenario) -> int:
            self.tested.append(one.name)
            (logs / f"{one.name}.log").write_text((failing or {}).get(one.name, "fine"))
            return 1 if one.name in (failing or {}) else 0

        runner = Runner(
            hindrance=(hindered or {}).get,
            prepare=prepare,
            test=test,
            logs=logs,
            progress=Progress(stream=stream),
        )
        self.status = runner.run([scenario("a"), scenario("b", "kind"), scenario("c")], named=named)
        self.said = stream.getvalue()


def test_each_scenario_gets_a_line_with_its_seconds_and_its_output_stays_in_the_log(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert (run.status, run.tested) == (0, ["a", "b", "c"])
    assert [line for line in run.said.splitlines() if ": done in 0.0 s" in line] == [
        f"  scenario {name} on cluster {cluster}, says more in {tmp_path}/{name}.log: done in 0.0 s"
        for name, cluster in (("a", "embedded"), ("b", "kind"), ("c", "embedded"))
    ]
    assert "fine" not in run.said


def test_what_cannot_run_here_is_said_in_a_line_and_is_no_failure(tmp_path: Path) -> None:
    run = Run(tmp_path, hindered={"kind": IMPOSSIBLE})
    assert (run.status, run.tested) == (0, ["a", "c"])
    assert "kind" not in run.prepared
    assert "  scenario b: not run: A node needs root.\n" in run.said


def test_who_does_not_want_the_machine_changed_is_told_what_is_not_run(tmp_path: Path) -> None:
    run = Run(tmp_path, declined={"kind": DECLINED})
    assert (run.status, run.tested) == (0, ["a", "c"])
    assert "  scenario b: not run: You did not want that.\n" in run.said


def test_what_a_person_could_make_room_for_is_a_failure(tmp_path: Path) -> None:
    """Else a cluster that was left running would turn the tests off, and nobody would know."""
    run = Run(tmp_path, hindered={"embedded": OCCUPIED})
    assert (run.status, run.tested) == (1, ["b"])
    assert "  scenario a: cannot run: A node runs already.\n" in run.said
    assert run.said.endswith("molecule: failed: a, c\n")


def test_what_was_asked_for_by_name_must_run(tmp_path: Path) -> None:
    assert Run(tmp_path, hindered={"kind": IMPOSSIBLE}, named=True).status == 1


def test_a_failure_shows_what_went_wrong_and_the_others_run_all_the_same(tmp_path: Path) -> None:
    run = Run(tmp_path, failing={"a": "the reason"})
    assert (run.status, run.tested) == (1, ["a", "b", "c"])
    assert f"the reason\nscenario a failed; all it said is in {tmp_path}/a.log\n" in run.said
    assert "a.log: done" not in run.said


def test_an_excerpt_is_the_first_task_that_failed() -> None:
    """A destroy comes after it, and would fill the end."""
    log = """\
        PLAY [Verify]

        TASK [See it]
        ok: [localhost]

        TASK [Want it]
        FAILED - RETRYING: [localhost]: Want it (1 retries left).
        [ERROR]: Task failed: Module failed.
        fatal: [localhost]: FAILED! =>
            msg: no

        TASK [Write down what is there]
        ok: [localhost]

        TASK [Fail as it did]
        fatal: [localhost]: FAILED! =>
            msg: the same
        """
    assert scenarios.excerpt(textwrap.dedent(log)) == [
        "TASK [Want it]",
        "FAILED - RETRYING: [localhost]: Want it (1 retries left).",
        "[ERROR]: Task failed: Module failed.",
        "fatal: [localhost]: FAILED! =>",
        "    msg: no",
        "",
    ]


def test_an_excerpt_of_a_log_without_a_failed_task_is_its_end() -> None:
    assert scenarios.excerpt("\n".join(map(str, range(100)))) == [str(number) for number in range(60, 100)]


@pytest.fixture
def molecule(tmp_path: Path) -> Callable[[str], list[str]]:
    """Have a stand-in for Molecule test something, as a program of its own that may be interrupted."""
    stand_in = tmp_path / "molecule"
    caller = tmp_path / "caller.py"
    caller.write_text(
        textwrap.dedent(
            f"""
            import sys
            from pathlib import Path
            sys.path.insert(0, {str(ROOT)!r})
            from cluster import commandline
            from scripts.scenarios import Molecule, Scenario
            here = Path({str(tmp_path)!r})
            molecule = Molecule(program=here / "molecule", logs=here / "logs", cluster="kind")
            one = Scenario(name="one", cluster="kind", fixed=False)
            sys.exit(commandline.run(lambda: molecule.test(one), stops=False))
            """
        )
    )

    def command(script: str) -> list[str]:
        stand_in.write_text(f"#!{sys.executable}\nimport os, subprocess, sys\n{script}\n")
        stand_in.chmod(0o755)
        return [sys.executable, str(caller)]

    return command


def test_molecule_finds_its_programs_and_the_cluster_and_writes_plain_text(
    tmp_path: Path, molecule: Callable[[str], list[str]]
) -> None:
    command = molecule('print(*sys.argv[2:], *map(os.environ.get, ["CLUSTER", "NO_COLOR", "PATH"])); sys.exit(7)')
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "PATH": "/bin"})
    assert (done.returncode, done.stdout, done.stderr) == (7, b"", b"")
    assert (tmp_path / "logs" / "one.log").read_text() == f"test --scenario-name=one kind 1 {tmp_path}:/bin\n"


def test_an_interrupt_ends_what_has_left_the_session_too_and_destroys_the_scenario(
    tmp_path: Path, molecule: Callable[[str], list[str]]
) -> None:
    """Ansible's workers have sessions of their own: a cluster that one of them starts would come up afterwards."""
    command = molecule(
        f"""
action = sys.argv[2]
print(action, file=open("{tmp_path}/calls", "a"))
if action == "test":
    sleeper = subprocess.Popen(["sleep", "60"], start_new_session=True)
    print(sleeper.pid, file=open("{tmp_path}/pid", "w"))
    sleeper.wait()
"""
    )
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ) as parent:
        pid = tmp_path / "pid"
        assert processes.wait_until(lambda: pid.exists() and bool(pid.read_text().strip()), 20)
        sleeper = processes.identify(int(pid.read_text()))
        assert sleeper is not None
        parent.send_signal(signal.SIGINT)
        assert parent.wait(20) == 130
    assert not sleeper.alive()
    assert (tmp_path / "calls").read_text() == "test\ndestroy\n"
