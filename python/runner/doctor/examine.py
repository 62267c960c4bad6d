"""All rules on one project."""

import argparse
import re
from collections.abc import Iterator

from runner.doctor import shipped, variables
from runner.doctor.findings import Finding, Place, Severity
from runner.doctor.project import Project
from runner.doctor.rules import (
    collections,
    conditionals,
    core,
    dockerfile,
    manifests,
    molecule,
    plugins,
    reserved,
    resourcetext,
    runtime,
    watchesfile,
)

__all__ = ["examine"]


def examine(project: Project, flags: argparse.ArgumentParser) -> tuple[Finding, ...]:
    """Return every finding once, in the order of files and lines.

    Args:
        project: what was read.
        flags: the parser of `ansible-operator run`.
    """
    found = {finding.key(): finding for finding in _all(project, flags)}
    return tuple(found[key] for key in sorted(found))


def _all(project: Project, flags: argparse.ArgumentParser) -> Iterator[Finding]:
    known = variables.collect(project)
    there = shipped.look()
    yield from _unread(project)
    yield from watchesfile.check(project, there)
    yield from conditionals.check(project, known)
    yield from core.check(project, known)
    yield from resourcetext.check(project, known)
    yield from reserved.check(project, known)
    yield from collections.check(project, there)
    yield from plugins.check(project, there)
    yield from runtime.check(project)
    yield from molecule.check(project)
    yield from dockerfile.check(project)
    yield from manifests.check(project, flags)


def _unread(project: Project) -> Iterator[Finding]:
    for path in project.unread:
        yield Finding(
            place=Place(path), rule="not-read", severity=Severity.INFO,
            what="this was not looked at: it is large, not UTF-8, or may not be read", remedy="look at it yourself",
        )  # fmt: skip
    for path, file in project.yaml.items():
        # Templates of YAML are no YAML, and lie in many places; in these, a file is most likely meant to be read.
        if file.problem and re.search(r"(^|/)(roles/[^/]+/(tasks|handlers|defaults|vars|meta)|playbooks)/", path):
            yield Finding(
                place=Place(path, file.problem_line), rule="not-read", severity=Severity.INFO,
                what="this is no YAML, and was not looked at from here on", remedy="look at it yourself",
            )  # fmt: skip
