"""All rules on one project."""

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


def examine(project: Project) -> tuple[Finding, ...]:
    """Return every finding once, in the order of files and lines."""
    found = {finding.key(): finding for finding in _all(project)}
    return tuple(found[key] for key in sorted(found))


def _all(project: Project) -> Iterator[Finding]:
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
    yield from manifests.check(project)


def _unread(project: Project) -> Iterator[Finding]:
    for path in project.unread:
        yield Finding(
            place=Place(path), rule="not-read", severity=Severity.INFO,
            what="this was not looked at: it is large, not UTF-8, or may not be read", remedy="look at it yourself",
        )  # fmt: skip
    in_use = {file.path for file in project.task_files} | {path for path, _ in project.variable_files}
    for path, file in project.yaml.items():
        # Templates of YAML are no YAML, and lie in many places; a role's own files are read by Ansible as they are.
        if file.problem and (path in in_use or "/tasks/" in path or "/defaults/" in path or "/handlers/" in path):
            yield Finding(
                place=Place(path, file.problem_line), rule="not-yaml", severity=Severity.ERROR,
                what=f"this is no YAML: {file.problem[:120]}", remedy="correct it; what follows was not looked at",
            )  # fmt: skip
