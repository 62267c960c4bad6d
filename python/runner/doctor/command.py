"""The command `ansible-operator doctor`: flags, output and exit code."""

import argparse
import os
import sys
from pathlib import Path

__all__ = ["HELP", "add_flags", "run"]

HELP = "say what an operator project has to change to run here"

_DESCRIPTION = """\
Read an operator project as Operator SDK lays it out (watches.yaml, roles/, playbooks/, requirements.yml, Dockerfile,
config/, molecule/) and say, by file and line, what will not work or behave differently with this operator and
ansible-core 2.21. Nothing of the project is executed, and no cluster is asked. What cannot be told for certain from
the files is not reported.

  error   it will not work, as a condition that gives no boolean, or a flag that is unknown
  change  it works and behaves differently
  info    good to know, nothing has to be done

docs/migrating.md tells the whole story."""

_EPILOG = """\
examples:
  ansible-operator doctor .
  ansible-operator doctor --output json ../memcached-operator | jq '.findings[] | select(.severity == "error")'

exit codes: 0 nothing needs a change, 1 something does, 2 the project cannot be read"""

_NOTHING, _SOMETHING, _UNREADABLE = 0, 1, 2


def add_flags(parser: argparse.ArgumentParser, *, operator: argparse.ArgumentParser) -> None:
    """Make `parser` the command's; `operator` is that of `ansible-operator run`, whose flags are looked up."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.set_defaults(operator=operator)
    parser.add_argument("project", metavar="PROJECT", type=Path, help="directory that holds watches.yaml")
    parser.add_argument("--output", choices=["text", "json"], default="text", help="for people or for programs (text)")


def run(parsed: argparse.Namespace) -> int:
    """Examine the project and print the report; return the exit code."""
    # Only this command needs Jinja's parser: the operator neither waits for it nor holds it in memory.
    from runner.doctor import examine, report  # noqa: PLC0415
    from runner.doctor.findings import Severity, worst  # noqa: PLC0415
    from runner.doctor.project import ProjectError, open_project  # noqa: PLC0415

    try:
        findings = examine.examine(open_project(parsed.project), parsed.operator)
    except ProjectError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for whoever started us
        return _UNREADABLE
    if parsed.output == "json":
        shown = report.as_json(str(parsed.project), findings)
    else:
        colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        shown = report.as_text(str(parsed.project), findings, colours=colours)
    print(shown)  # noqa: T201 - this is the command's output
    return _SOMETHING if worst(findings) in {Severity.ERROR, Severity.CHANGE} else _NOTHING
