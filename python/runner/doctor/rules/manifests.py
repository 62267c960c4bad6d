"""How the operator is started, in manifests and Dockerfiles: flags and variables that mean nothing here."""

import argparse
import json
import re
import shlex
from collections.abc import Iterator

from runner.doctor.findings import Finding, Place, Severity
from runner.doctor.project import Project
from runner.doctor.rules import dockerfile
from runner.doctor.rules.core import SETTINGS
from runner.doctor.yamlfile import MappingNode, Node, ScalarNode, find, items, place_of, plain, text_of
from runner.execution import environment
from runner.goflags import WITHOUT_EFFECT

__all__ = ["check"]

_GO_FLAGS = frozenset({
    "--enable-http2", "--leader-elect-resource-lock", "--zap-devel", "--zap-encoder", "--zap-log-level",
    "--zap-stacktrace-level", "--zap-time-encoding",
})  # fmt: skip
"""Flags that are the Go runtime's alone; whether they are understood is asked of the parser all the same."""
_OPERATOR = re.compile(r"operator|manager|^ansible$")


def check(project: Project, parser: argparse.ArgumentParser) -> Iterator[Finding]:
    """Hold what is written against the flags of `ansible-operator run`, which the parser knows."""
    for path, document in project.manifests:
        for container in _containers(document):
            yield from _container(path, container, parser)
    for path, file in project.yaml.items():
        if "config/" in f"/{path}":
            for document in file.documents:
                yield from _patch(path, document, parser)
    for path, text in project.dockerfiles.items():
        for instruction in dockerfile.parse(text):
            if instruction.word in {"ENTRYPOINT", "CMD"} and "ansible-operator" in instruction.value:
                for word in _words(instruction.value):
                    yield from _flag(Place(path, instruction.line), word, parser)


def _containers(document: Node) -> Iterator[Node]:
    for container in items(find(document, "spec", "template", "spec", "containers")):
        name, image = (str(plain(find(container, key)) or "") for key in ("name", "image"))
        if "proxy" not in name and _OPERATOR.search(f"{name} {image}"):
            yield container


def _container(path: str, container: Node, parser: argparse.ArgumentParser) -> Iterator[Finding]:
    for key in ("command", "args"):
        for word in items(find(container, key)):
            if isinstance(word, ScalarNode):
                yield from _flag(place_of(path, word), word.value, parser)
    for variable in items(find(container, "env")):
        name = text_of(find(variable, "name"))
        if name is not None:
            yield from _variable(place_of(path, variable), name)


def _patch(path: str, document: Node, parser: argparse.ArgumentParser) -> Iterator[Finding]:
    """Operations on `args` of a JSON patch. Of which container cannot be told: only the Go runtime's flags count."""
    for operation in items(document):
        target, value = (plain(find(operation, key)) for key in ("path", "value"))
        node = find(operation, "value")
        if isinstance(operation, MappingNode) and "/args" in str(target) and node is not None:
            for word in value if isinstance(value, list) else [value]:
                if str(word).partition("=")[0] in _GO_FLAGS:
                    yield from _flag(place_of(path, node), str(word), parser)


def _words(command: str) -> list[str]:
    try:
        parsed = json.loads(command)
        return [str(word) for word in parsed] if isinstance(parsed, list) else []
    except ValueError:
        try:
            return shlex.split(command)
        except ValueError:
            return command.split()


def _flag(place: Place, word: str, parser: argparse.ArgumentParser) -> Iterator[Finding]:
    flag = word.partition("=")[0]
    if not re.fullmatch(r"--[a-z][a-z0-9-]+", flag):
        return
    if flag in WITHOUT_EFFECT:
        yield Finding(
            place=place, rule="flag-without-effect", severity=Severity.INFO,
            what=f"{flag} has no effect: {WITHOUT_EFFECT[flag]}",
            remedy="nothing has to be done",
        )  # fmt: skip
        return
    try:
        _, unknown = parser.parse_known_args([f"{flag}=x"])
    except (argparse.ArgumentError, SystemExit):
        return  # understood, though not with this value
    if unknown:
        yield Finding(
            place=place, rule="flag-unknown", severity=Severity.ERROR,
            what=f"{flag} is no flag of this operator, which does not start with it",
            remedy="remove it; docs/settings.md lists all flags",
        )  # fmt: skip


def _variable(place: Place, name: str) -> Iterator[Finding]:
    if name != "KUBECONFIG" and not environment.inherit({name: ""}):
        yield Finding(
            place=place, rule="variable-kept", severity=Severity.CHANGE,
            what=f"{name} does not reach the roles: it leads round the gateway, or upsets ansible-runner",
            remedy="remove it, or give roles what they need under another name",
        )  # fmt: skip
    for variable, what, severity, remedy in SETTINGS.values():
        if variable == name:
            yield Finding(place=place, rule="setting-gone", severity=severity, what=f"{variable} {what}", remedy=remedy)
