"""watches.yaml: what `runner.watches` says about it, with the line, and keys whose meaning differs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runner import watches
from runner.content import SearchPath
from runner.doctor.findings import Finding, Place, Severity
from runner.doctor.project import HOME, Project
from runner.doctor.rules.collections import required
from runner.doctor.shipped import Shipped
from runner.doctor.yamlfile import Node, YamlFile, entries, items, place_of, plain

__all__ = ["check"]

_PATH = re.compile(r"^(?P<file>[^\s\[:]+)\[(?P<index>\d+)\](?P<keys>(\.[\w-]+)*): (?P<text>.*)$", re.DOTALL)


def check(project: Project, shipped: Shipped) -> Iterator[Finding]:
    if not project.watch_files:
        yield Finding(
            place=Place("watches.yaml"), rule="watches", severity=Severity.ERROR,
            what="there is no watches.yaml", remedy="write one, or name another project directory",
        )  # fmt: skip
    for path in project.watch_files:
        yield from _file(project, path, shipped)


def _file(project: Project, path: str, shipped: Shipped) -> Iterator[Finding]:
    parsed = project.yaml[path]
    if parsed.problem:
        yield Finding(
            place=Place(path, parsed.problem_line), rule="watches", severity=Severity.ERROR,
            what=f"this is no YAML: {parsed.problem}", remedy="as it is, the operator does not start; correct it",
        )  # fmt: skip
        return
    search = _search(project, shipped)
    name = PurePosixPath(path).name
    try:
        loaded = watches.parse(project.texts[path], name=name, search=search, environment={"HOME": HOME})
    except watches.WatchesError as error:
        for problem in error.problems:
            yield _said(parsed, problem, Severity.ERROR, "as it is, the operator does not start; correct it")
    else:
        for warning in loaded.warnings:
            yield _said(
                parsed, warning, Severity.CHANGE, "remove or correct the key; with --strict the operator refuses it"
            )
    for watch in [watch for document in parsed.documents for watch in items(document)]:
        yield from _meanings(path, watch)


def _said(parsed: YamlFile, line: str, severity: Severity, remedy: str) -> Finding:
    found = _PATH.match(line)
    place, text = Place(parsed.path), line
    if found is not None:
        node, place = _at(parsed, int(found["index"]), found["keys"].split(".")[1:])
        text = f"{found['keys'].lstrip('.') or 'this entry'}: {found['text']}" if node else line
    return Finding(
        place=place,
        rule="watches" if severity is Severity.ERROR else "watches-key",
        severity=severity,
        what=text,
        remedy=remedy,
    )


def _at(parsed: YamlFile, index: int, keys: list[str]) -> tuple[Node | None, Place]:
    """Find what a path such as `watches.yaml[2].finalizer.role` means; as near to it as there is something."""
    watches_there = [item for document in parsed.documents for item in items(document)]
    if index >= len(watches_there):
        return None, Place(parsed.path)
    node = watches_there[index]
    place = place_of(parsed.path, node)
    for key in keys:
        found = next(((name, value) for text, name, value in entries(node) if text.lower() == key.lower()), None)
        if found is None:
            break
        place, node = place_of(parsed.path, found[0]), found[1]
    return node, place


def _meanings(path: str, watch: Node) -> Iterator[Finding]:
    given: Mapping[str, tuple[Node, Node]] = {key.lower(): (name, value) for key, name, value in entries(watch)}
    period = given.get("reconcileperiod")
    if period is not None and re.fullmatch(r"0+(ns|us|ms|s|m|h)?", str(plain(period[1]))):
        yield Finding(
            place=place_of(path, period[0]), rule="watches-period", severity=Severity.INFO,
            what="reconcilePeriod 0s means never here; the Go runtime takes it for unset, which is 10h",
            remedy="nothing has to be done if never is meant; write 10h to keep the period",
        )  # fmt: skip
    for key, (name, value) in given.items():
        text = str(plain(value))
        if key not in {"vars", "finalizer", "selector"} and re.search(r"\$[A-Za-z_]", text):
            yield Finding(
                place=place_of(path, name), rule="watches-variable", severity=Severity.CHANGE,
                what=f"`{text}` stays as it is here; the Go runtime replaces $NAME too",
                remedy="write ${NAME}",
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _InImage(SearchPath):
    """Where roles and playbooks will be, told from where they are: paths of the image lead into the project."""

    installed: frozenset[str]
    """Collections that may hold a role, though they are not installed here."""

    def find_role(self, name: str) -> Path | None:
        parts = name.split(".")
        if len(parts) == 3 and ".".join(parts[:2]) in self.installed:
            return self.project
        return next((path for path in map(self._here, self.role_candidates(name)) if path.is_dir()), None)

    def find_playbook(self, name: str) -> Path | None:
        path = self._here(self.project / name)
        return path if path.is_file() else None

    def _here(self, path: Path) -> Path:
        return self.project / path.relative_to(HOME) if path.is_relative_to(HOME) else path


def _search(project: Project, shipped: Shipped) -> SearchPath:
    wanted = required(project)
    installed = {entry.name for entry in wanted} | project.collections | set(shipped.collections)
    roles = sorted({
        project.root / PurePosixPath(path[: found.end() - 1])
        for path in project.texts if (found := re.search(r"(^|/)roles/", path)) is not None and path.count("/") > 1
    })  # fmt: skip
    return _InImage(project=project.root, roles=tuple(roles), installed=frozenset(installed))
