"""molecule.yml: what molecule 26 no longer knows."""

from collections.abc import Iterator

from runner.doctor.findings import Finding, Severity
from runner.doctor.project import Project
from runner.doctor.yamlfile import find, place_of, text_of

__all__ = ["check"]


def check(project: Project) -> Iterator[Finding]:
    for file in project.named("molecule.yml", "molecule.yaml", "base.yml"):
        for document in file.documents:
            name = find(document, "driver", "name")
            if name is not None and text_of(name) == "delegated":
                yield Finding(
                    place=place_of(file.path, name),
                    rule="molecule-driver",
                    severity=Severity.ERROR,
                    what="molecule 26 fails to find a driver 'delegated'; it is called 'default' since molecule 6",
                    remedy="write `name: default`",
                )
