"""What roles do that this operator treats differently from the Go runtime: ports, artifacts, detached tasks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runner.doctor.findings import Finding, Place, Severity
from runner.doctor.project import Project, TaskFile
from runner.doctor.yamlfile import place_of, plain

__all__ = ["check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    pattern: re.Pattern[str]
    rule: str
    severity: Severity
    what: str
    remedy: str


_TEXTS = (
    _Text(
        pattern=re.compile(r"\b(localhost|127\.0\.0\.1):8888\b"),
        rule="proxy-address",
        severity=Severity.ERROR,
        what="nothing listens on 8888: the gateway has another address in each run, and wants that run's token",
        remedy="leave the address to KUBECONFIG or K8S_AUTH_KUBECONFIG, which each run is given",
    ),
    _Text(
        pattern=re.compile(r"\b(localhost|127\.0\.0\.1):5050\b"),
        rule="metrics-address",
        severity=Severity.CHANGE,
        what="roles' metrics are taken at OSDK_METRICS_URL, with a token; nothing listens on port 5050 by default",
        remedy="use operator_sdk.util.osdk_metric, or set --user-metrics-bind-address=127.0.0.1:5050",
    ),
    _Text(
        pattern=re.compile(r"/tmp/ansible-operator/runner"),  # noqa: S108 - looked for, not used
        rule="run-directory",
        severity=Severity.CHANGE,
        what="a run's private directory is another one in each run and gone with it; only its artifacts are kept there",
        remedy="write files that are to outlast a run somewhere else",
    ),
)  # fmt: skip


def check(project: Project) -> Iterator[Finding]:
    for path, text in project.texts.items():
        if "/roles/" in f"/{path}" or "/playbooks/" in f"/{path}":
            yield from _addresses(path, text)
    for file in project.task_files:
        if not file.in_molecule:
            yield from _detached(project, file)


def _addresses(path: str, text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            continue
        for known in _TEXTS:
            found = known.pattern.search(line)
            if found is not None:
                yield Finding(
                    place=Place(path, number, found.start() + 1),
                    rule=known.rule,
                    severity=known.severity,
                    what=known.what,
                    remedy=known.remedy,
                )


def _detached(project: Project, file: TaskFile) -> Iterator[Finding]:
    """`poll: 0` without anyone who waits: the task ends with its run here."""
    waits = any(
        task.module == "async_status"
        for other in project.task_files if other.path == file.path or (other.role and other.role == file.role)
        for task in other.tasks
    )  # fmt: skip
    for task in file.tasks:
        poll = task.keyword("poll")
        if poll is not None and plain(poll) == 0 and task.keyword("async") is not None and not waits:
            yield Finding(
                place=place_of(file.path, poll),
                rule="task-detached",
                severity=Severity.CHANGE,
                what="`poll: 0` leaves the task running after its run, and here it is killed with it",
                remedy="wait for it with async_status, or make a Job of it",
            )
