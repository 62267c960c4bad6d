"""A project made of texts, and what doctor finds in it."""

import argparse
import textwrap
from collections.abc import Mapping
from pathlib import Path

from runner import settings
from runner.doctor.examine import examine
from runner.doctor.findings import Finding
from runner.doctor.project import Project, open_project

WATCHES = "- {group: cache.example.com, version: v1, kind: Memcached, role: memcached, markUnsafe: true}\n"


def flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    settings.add_flags(parser)
    return parser


def write(root: Path, files: Mapping[str, str]) -> Project:
    """Write the files, and a watches.yaml and its role where there are none."""
    for path, text in {"watches.yaml": WATCHES, "roles/memcached/tasks/main.yml": "[]\n", **files}.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text).lstrip("\n"))
    return open_project(root)


def found(root: Path, files: Mapping[str, str]) -> list[tuple[str, int, str, str]]:
    """Return file, line, rule and severity of every finding."""
    return [short(finding) for finding in all_of(root, files)]


def all_of(root: Path, files: Mapping[str, str]) -> tuple[Finding, ...]:
    return examine(write(root, files), flags())


def short(finding: Finding) -> tuple[str, int, str, str]:
    return (finding.place.file, finding.place.line, finding.rule, str(finding.severity))


__all__ = ["WATCHES", "all_of", "flags", "found", "short", "write"]
