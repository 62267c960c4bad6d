"""`python -m scripts.scenarios`: what `make test-molecule` does, Molecule's scenarios one after the other.

Those that this machine cannot run are named with the reason, and nothing fails for that; one that a person has asked
for by its name does fail. What a scenario says goes into a log, and is shown where it fails.
"""

import argparse
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from cluster import build, commandline, nodecheck, processes, versions
from cluster.errors import DeclinedError
from cluster.kind import engine, needs, nodeimage, programs
from cluster.node import Node
from cluster.progress import Progress

__all__ = [
    "CLUSTERS",
    "Hindrance",
    "Molecule",
    "Runner",
    "Scenario",
    "chosen",
    "excerpt",
    "found",
    "hindrance",
    "main",
    "prepare",
]

CLUSTERS = ("embedded", "kind", "current")
_ROOT = Path(__file__).resolve().parents[1]
_UNWINDING_S = 60.0
_SHOWN_LINES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One of molecule/."""

    name: str
    cluster: str
    """What it runs on, one of `CLUSTERS`."""
    fixed: bool
    """It says so itself, whatever CLUSTER is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """Why a scenario cannot run; `reason` is a sentence."""

    reason: str
    passing: bool
    """Something is in the way that a person can stop."""


class _FailedError(Exception):
    """Molecule did not end with 0."""


def found(directory: Path, cluster: str) -> list[Scenario]:
    """The scenarios below a directory, by their names.

    Args:
        directory: molecule/.
        cluster: What those run on that do not say it themselves.
    """
    return [_scenario(path, cluster) for path in sorted(directory.glob("*/molecule.yml"))]


def _scenario(path: Path, cluster: str) -> Scenario:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    inventory = (content.get("provisioner") or {}).get("inventory") or {}
    own = ((inventory.get("group_vars") or {}).get("all") or {}).get("cluster")
    return Scenario(name=path.parent.name, cluster=own or cluster, fixed=own is not None)


def chosen(scenarios: Sequence[Scenario], wanted: str, cluster: str) -> list[Scenario]:
    """Those that are to be run; who names a cluster of another sort has no use for those that bring their own.

    Args:
        scenarios: All.
        wanted: The name of one; empty: all.
        cluster: What a person has chosen, one of `CLUSTERS`.

    Raises:
        ValueError: None has that name; the text is for a person.
    """
    if not wanted:
        return [each for each in scenarios if cluster == "embedded" or not each.fixed]
    named = [each for each in scenarios if each.name == wanted]
    if not named:
        raise ValueError(f"SCENARIO={wanted}: there is none; have {', '.join(each.name for each in scenarios)}")
    return named


def hindrance(cluster: str) -> Hindrance | None:
    """What keeps scenarios from running on one of `CLUSTERS` here.

    Returns:
        `None`: nothing.
    """
    if cluster == "current":
        return None
    if cluster == "kind":
        if engine.found() is not None or engine.running() is not None:
            return None
        never, now = needs.refusal(), needs.occupied()
    else:
        never, now = nodecheck.impossible(), nodecheck.occupied()
    if never is not None:
        return Hindrance(reason=never, passing=False)
    return None if now is None else Hindrance(reason=now, passing=True)


def prepare(cluster: str) -> Hindrance | None:
    """Install and build what takes minutes the first time, so that a person sees it, and is asked.

    Returns:
        `None`: all is there. Else the person at the terminal said no.

    Raises:
        cluster.errors.ClusterError: It can't be built or installed.
    """
    try:
        if cluster == "embedded":
            Node.prepare(Progress())
            build.provide(versions.all_programs(), Progress())
        elif cluster == "kind" and engine.found() is None and not os.environ.get("KIND_NODE_IMAGE"):
            needs.install((*needs.ENGINE, *needs.IMAGE), Progress(), engine=True)
            programs.provide([programs.KIND], Progress())
            nodeimage.provide(Progress())
    except DeclinedError:
        return Hindrance(reason="You did not want this machine changed.", passing=False)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Has scenarios tested, one at a time, as a machine has one node."""

    hindrance: Callable[[str], Hindrance | None]
    prepare: Callable[[str], Hindrance | None]
    """As the functions of these names."""
    test: Callable[[Scenario], int]
    """Has Molecule test one, and write its log; returns the exit status."""
    logs: Path
    """Where the scenario NAME has its log NAME.log."""
    progress: Progress

    def run(self, scenarios: Sequence[Scenario], *, named: bool) -> int:
        """Run all of them, whichever fails.

        Args:
            scenarios: In their order.
            named: A person has asked for them by name: what cannot run is then a failure too.

        Returns:
            The exit status, 1 if one failed, or did not run and should have.
        """
        failed = [each.name for each in scenarios if not self._passes(each, must=named)]
        if failed:
            self.progress.warn(f"molecule: failed: {', '.join(failed)}")
        return 1 if failed else 0

    def _passes(self, scenario: Scenario, *, must: bool) -> bool:
        hindered = self.hindrance(scenario.cluster) or self.prepare(scenario.cluster)
        if hindered is not None:
            fails = must or hindered.passing
            self.progress.warn(f"  scenario {scenario.name}: {'cannot run' if fails else 'not run'}: {hindered.reason}")
            return not fails
        log = self.logs / f"{scenario.name}.log"
        try:
            with self.progress.step(
                f"scenario {scenario.name} on cluster {scenario.cluster}, says more in {_shown(log)}"
            ):
                self._test(scenario)
        except _FailedError:
            self.progress.warn("\n".join(excerpt(log.read_text(encoding="utf-8", errors="replace"))))
            self.progress.warn(f"scenario {scenario.name} failed; all it said is in {_shown(log)}")
            return False
        return True

    def _test(self, scenario: Scenario) -> None:
        if self.test(scenario) != 0:
            raise _FailedError


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def excerpt(log: str) -> list[str]:
    """The lines of a log that say what went wrong: the first task that failed, else the end."""
    lines = log.splitlines()
    fatal = next((number for number, line in enumerate(lines) if line.startswith("fatal: [")), None)
    if fatal is None:
        return lines[-_SHOWN_LINES:]
    start = max((number for number in range(fatal) if lines[number].startswith("TASK [")), default=fatal)
    return list(_until_next(lines[start : start + _SHOWN_LINES]))


def _until_next(lines: Sequence[str]) -> Iterator[str]:
    """A task with what it said, up to the next heading."""
    for number, line in enumerate(lines):
        if number and line.startswith(("TASK [", "PLAY ", "RUNNING HANDLER [")):
            return
        yield line


@dataclass(frozen=True, slots=True, kw_only=True)
class Molecule:
    """The program, with what it says in logs."""

    program: Path
    logs: Path
    cluster: str
    """For scenarios that don't name one."""

    def test(self, scenario: Scenario) -> int:
        """Run a scenario from nothing to nothing; an interrupt goes through once nothing of it is left."""
        try:
            return self._call("test", scenario, self.logs / f"{scenario.name}.log")
        except BaseException:
            self._end_all()
            self._call("destroy", scenario, self.logs / f"{scenario.name}-destroy.log")
            raise

    def _call(self, action: str, scenario: Scenario, log: Path) -> int:
        command = [str(self.program), f"--base-config={_ROOT / '.config/molecule/config.yml'}"]
        command += [action, f"--scenario-name={scenario.name}"]
        path = os.pathsep.join([str(self.program.parent), *filter(None, [os.environ.get("PATH")])])
        plain = {"NO_COLOR": "1", "MOLECULE_COMMAND_BORDERS": "false"}
        added = {"PATH": path, "CLUSTER": self.cluster, processes.MARKER: str(self.logs), **plain}
        return processes.run_logged(command, log=log, env={**os.environ, **added}, cwd=_ROOT)

    def _end_all(self) -> None:
        """End what Molecule has left, by its mark: Ansible's workers have sessions of their own."""
        left = processes.marked(self.logs)
        for process in left:
            process.signal(signal.SIGINT)
        processes.wait_until(lambda: not any(process.alive() for process in left), _UNWINDING_S)
        processes.stop(left, timeout_s=5.0)


def main() -> int:
    """Run what was asked for; 1 where something failed, 2 where an argument is wrong."""
    parser = argparse.ArgumentParser(prog="python -m scripts.scenarios", description=__doc__)
    parser.add_argument("--scenario", default="", help="only the one with this name")
    parser.add_argument("--cluster", choices=CLUSTERS, default="embedded", help="of those that don't name one")
    options = parser.parse_args()
    logs = Path(os.environ.get("DEBUG_OUTPUT_DIR") or _ROOT / ".work" / "molecule").resolve()
    try:
        scenarios = chosen(found(_ROOT / "molecule", options.cluster), options.scenario, options.cluster)
    except ValueError as error:
        print(f"molecule: {error}", file=sys.stderr)
        return 2
    molecule = Molecule(program=Path(sys.executable).parent / "molecule", logs=logs, cluster=options.cluster)
    runner = Runner(
        hindrance=hindrance, prepare=functools.cache(prepare), test=molecule.test, logs=logs, progress=Progress()
    )
    return commandline.run(lambda: runner.run(scenarios, named=bool(options.scenario)), stops=False)


if __name__ == "__main__":
    raise SystemExit(main())
