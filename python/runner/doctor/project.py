"""An operator project's files, read and sorted by what they are for.

Directories are told by their names, wherever they lie: `roles/<role>/tasks`, `molecule/`, `config/`. What was
installed or built (virtual environments, collections, vendored code) is not the project's own and stays unread.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from runner.doctor import yamlfile
from runner.doctor.plays import Task, is_play, tasks_of
from runner.doctor.yamlfile import MappingNode, Node, SequenceNode, YamlFile, find

__all__ = ["HOME", "Project", "ProjectError", "TaskFile", "open_project"]

HOME = "/opt/ansible"
"""Where a project lies in the image, Operator SDK's and ours."""

_FOREIGN = frozenset({
    "__pycache__", "bin", "bundle", "catalog", "charts", "node_modules", "site-packages", "testbin", "vendor",
    # Beside the operator rather than part of it, and written for whatever Ansible its authors have.
    "bench", "ci", "docs", "hack", "test", "tests",
})  # fmt: skip
_COLLECTIONS = "ansible_collections"
_TEXTS = frozenset({".yml", ".yaml", ".j2", ".cfg", ".py", ".json"})
_MAX_BYTES = 4 << 20
_MAX_FILES = 20_000
_ROLE_PART = re.compile(r"(?:^|/)roles/(?P<role>[^/]+)/(?P<part>[^/]+)/")
_DOCKERFILE = re.compile(r"(.*[.-])?(dockerfile|containerfile)([.-].*)?", re.IGNORECASE)


class ProjectError(Exception):
    """There is no project to read; the message names the path and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """One file of tasks or plays, with all that is in it."""

    path: str
    role: str
    """The role it belongs to; empty: none."""
    tasks: tuple[Task, ...]

    @property
    def in_molecule(self) -> bool:
        return "molecule" in PurePosixPath(self.path).parts


@dataclass(frozen=True, kw_only=True)
class Project:
    """Texts by path (relative, with slashes); everything else is worked out from them."""

    root: Path
    texts: Mapping[str, str]
    unread: tuple[str, ...] = ()
    """Files that are too large, no UTF-8 or not ours to read."""
    collections: frozenset[str] = frozenset()
    """Names of the collections that the project brings along as files."""
    yaml: Mapping[str, YamlFile] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path, texts: Mapping[str, str], **more: Any) -> "Project":
        parsed = {path: yamlfile.read(path, text) for path, text in texts.items() if path.endswith((".yml", ".yaml"))}
        return cls(root=root, texts=texts, yaml=parsed, **more)

    @cached_property
    def task_files(self) -> tuple[TaskFile, ...]:
        return tuple(self._task_files())

    @cached_property
    def variable_files(self) -> tuple[tuple[str, Node], ...]:
        """Path and mapping of every file of variables."""
        places = {"defaults", "vars", "group_vars", "host_vars"}
        return tuple(
            (path, document)
            for path, document in self._documents()
            if places.intersection(PurePosixPath(path).parts[:-1]) and isinstance(document, MappingNode)
        )

    @cached_property
    def manifests(self) -> tuple[tuple[str, Node], ...]:
        """Path and mapping of every Kubernetes object, and of the patches that kustomize makes objects of."""
        return tuple(
            (path, document)
            for path, document in self._documents()
            if find(document, "kind") is not None and find(document, "apiVersion") is not None
        )

    @cached_property
    def watch_files(self) -> tuple[str, ...]:
        """`watches.yaml` and its like (`watches-k8s.yaml`), outermost first."""
        names = [path for path in self.yaml if re.fullmatch(r"watches([.-].*)?\.ya?ml", PurePosixPath(path).name)]
        return tuple(sorted(names, key=lambda path: (path.count("/"), path)))

    @cached_property
    def dockerfiles(self) -> Mapping[str, str]:
        return {path: text for path, text in self.texts.items() if _DOCKERFILE.fullmatch(PurePosixPath(path).name)}

    def named(self, *names: str) -> Iterator[YamlFile]:
        """Yield the YAML files of these names, whatever directory they are in."""
        for path, file in self.yaml.items():
            if PurePosixPath(path).name in names:
                yield file

    def has_module(self, name: str) -> bool:
        """Whether the project brings a module of that short name."""
        places = tuple(f"{place}/{name}.py" for place in ("library", "modules", "action_plugins", "plugins/action"))
        return any(path.endswith(places) for path in self.texts)

    def set_up(self) -> Iterator[str]:
        """Yield the texts that say how operator and Ansible are started: YAML, ansible.cfg and Dockerfiles."""
        for path, text in self.texts.items():
            if path.endswith((".yml", ".yaml", ".cfg")) or path in self.dockerfiles:
                yield text

    def with_suffix(self, suffix: str) -> Iterator[tuple[str, str]]:
        return ((path, text) for path, text in self.texts.items() if path.endswith(suffix))

    def _documents(self) -> Iterator[tuple[str, Node]]:
        for path, file in self.yaml.items():
            for document in file.documents:
                yield path, document

    def _task_files(self) -> Iterator[TaskFile]:
        for path, document in self._documents():
            part = _ROLE_PART.search(path)
            holds_tasks = part is not None and part["part"] in {"tasks", "handlers"}
            if not isinstance(document, SequenceNode):
                if (
                    part is not None
                    and part["part"] == "meta"
                    and isinstance(find(document, "dependencies"), SequenceNode)
                ):
                    yield TaskFile(path=path, role=part["role"], tasks=_dependencies(document))
                continue
            plays = any(is_play(item) for item in document.value)
            if plays or holds_tasks or "tasks" in PurePosixPath(path).parts[:-1]:
                role = part["role"] if part is not None else ""
                yield TaskFile(path=path, role=role, tasks=tuple(tasks_of(document)))


def _dependencies(document: Node) -> tuple[Task, ...]:
    found = find(document, "dependencies")
    return tuple(Task(node=item) for item in yamlfile.items(found) if isinstance(item, MappingNode))


def open_project(root: Path) -> Project:
    """Read a project's files.

    Raises:
        ProjectError: no such directory, no right to read it, or nothing in it that an operator is made of.
    """
    if not root.is_dir():
        raise ProjectError(f"{root}: no such directory; name the one that holds watches.yaml")
    reading = _Reading(root)
    try:
        reading.read()
    except OSError as error:
        raise ProjectError(f"{root}: cannot be read: {error}; make it readable or copy it") from error
    project = Project.of(root, reading.texts, unread=tuple(reading.unread), collections=frozenset(reading.collections))
    if not project.watch_files and not any(_ROLE_PART.search(path) for path in reading.texts):
        raise ProjectError(f"{root}: holds neither watches.yaml nor roles/; name the directory that does")
    return project


class _Reading:
    """One walk through a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.texts: dict[str, str] = {}
        self.unread: list[str] = []
        self.collections: set[str] = set()

    def read(self) -> None:
        next(self._root.iterdir(), None)  # an unreadable directory is an error, which `walk` would keep to itself
        for directory, names, files in self._root.walk():
            if _COLLECTIONS in names:
                self.collections |= set(collections_in(directory))
            names[:] = sorted(name for name in names if not _foreign(directory / name))
            for name in sorted(files):
                path = directory / name
                if path.suffix in _TEXTS or _DOCKERFILE.fullmatch(name):
                    self._add(path)

    def _add(self, path: Path) -> None:
        relative = path.relative_to(self._root).as_posix()
        if len(self.texts) >= _MAX_FILES:
            raise ProjectError(f"{self._root}: more than {_MAX_FILES} files; name the operator's own directory")
        try:
            if path.stat().st_size > _MAX_BYTES:
                self.unread.append(relative)
            else:
                self.texts[relative] = path.read_text(encoding="utf-8")
        except (FileNotFoundError, PermissionError, UnicodeDecodeError):
            self.unread.append(relative)


def collections_in(directory: Path) -> Iterator[str]:
    """Yield `namespace.name` of what lies in the directory's `ansible_collections`."""
    for path in (directory / _COLLECTIONS).glob("*/*/"):
        if not path.name.startswith((".", "_")) and not path.parent.name.endswith(".info"):
            yield f"{path.parent.name}.{path.name}"


def _foreign(directory: Path) -> bool:
    # Hidden directories are other programs' (.git, .venv, .tox).
    name = directory.name
    if name.startswith(".") or name in _FOREIGN or name == _COLLECTIONS or (directory / "pyvenv.cfg").exists():
        return True
    return _is_project(directory)


def _is_project(directory: Path) -> bool:
    """Whether an operator of its own lies there, an example say."""
    return (directory / "watches.yaml").exists() and any((directory / part).is_dir() for part in ("roles", "playbooks"))
