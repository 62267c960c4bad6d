"""Dockerfile lines that cannot work, or mean something else, on this operator's image."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runner.doctor.findings import Finding, Place, Severity
from runner.doctor.project import Project
from runner.doctor.rules.core import SETTINGS

__all__ = ["Instruction", "check", "parse"]

_OLD_IMAGE = re.compile(r"(operator-framework/|openshift\d?/ose-)[a-z0-9-]*ansible[a-z0-9-]*operator", re.IGNORECASE)
_ANY_OPERATOR_IMAGE = re.compile(r"ansible-operator")
_PACKAGES = re.compile(r"(?:^|[;&|(]\s*|\bsudo\s+)(dnf|microdnf|yum|rpm|apk)\s")
_PIP = re.compile(r"\bpip[0-9.]*\s+install\b(?P<rest>[^;&|]*)")
_LOCKED = re.compile(r"(?<![\w./-])(ansible-core|ansible-runner|ansible|kubernetes)(?=[=<>~!\[\s'\"]|$)")
_MAKES_USER = re.compile(r"\b(useradd|adduser)\b(?P<rest>[^;&|]*)")
_KNOWN_USERS = frozenset({"ansible", "nobody", "root"})
_BASE_REMEDY = "name this operator's image, as docs/migrating.md shows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction, continuation lines joined; `line` is where it begins."""

    word: str
    """In capitals."""
    value: str
    line: int


def parse(text: str) -> list[Instruction]:
    """Split a Dockerfile into its instructions; comments go."""
    found: list[Instruction] = []
    pending, begin = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        begin = begin or number
        pending += f" {line.removesuffix(chr(92))}"
        if line.endswith("\\"):
            continue
        word, _, value = pending.strip().partition(" ")
        found.append(Instruction(word=word.upper(), value=value.strip(), line=begin))
        pending, begin = "", 0
    return found


def check(project: Project) -> Iterator[Finding]:
    for path, text in project.dockerfiles.items():
        instructions = parse(text)
        ours = _stages(instructions, of_operator="watches" in text)
        stage = -1
        made = {name for found in instructions if found.word == "RUN" for name in _users(found.value)}
        for instruction in instructions:
            stage += instruction.word == "FROM"
            if stage >= 0 and ours[stage]:
                yield from _instruction(path, instruction, made)


def _stages(instructions: list[Instruction], *, of_operator: bool) -> list[bool]:
    """Whether each stage is made of the operator's image; other stages are nobody's business here.

    An image that only the one who builds names is taken for it in a file that has to do with watches.
    """
    values = dict(found.value.partition("=")[::2] for found in instructions if found.word == "ARG")
    ours: list[bool] = []
    names: dict[str, bool] = {}
    for found in instructions:
        if found.word == "FROM":
            image, alias = _image(found, values)
            unknown = of_operator and image.startswith("$")
            ours.append(names.get(image, unknown or _ANY_OPERATOR_IMAGE.search(image) is not None))
            names[alias] = ours[-1]
    return ours


def _image(found: Instruction, values: Mapping[str, str]) -> tuple[str, str]:
    words = [word for word in found.value.split() if not word.startswith("--")]
    image = re.sub(
        r"\$\{?(\w+)\}?", lambda name: values.get(name[1], "").strip("\"'") or name[0], words[0] if words else ""
    )
    alias = words[2] if len(words) > 2 and words[1].lower() == "as" else ""
    return image, alias


def _instruction(path: str, found: Instruction, made: set[str]) -> Iterator[Finding]:
    place = Place(path, found.line)
    if found.word == "FROM" and _OLD_IMAGE.search(found.value):
        yield Finding(
            place=place, rule="image-base", severity=Severity.ERROR, remedy=_BASE_REMEDY,
            what="this is the image of the Go runtime, with ansible-core 2.18 or older",
        )  # fmt: skip
    elif found.word == "RUN":
        yield from _command(place, found.value)
    elif found.word == "USER":
        yield from _user(place, found.value, made)
    elif found.word == "ENV":
        yield from _environment(place, found.value)


def _command(place: Place, command: str) -> Iterator[Finding]:
    manager = _PACKAGES.search(command)
    if manager is not None:
        yield Finding(
            place=place, rule="image-packages", severity=Severity.ERROR,
            what=f"{manager[1]} is not there: this operator's image is made of Debian",
            remedy="use apt-get update && apt-get install --no-install-recommends, with Debian's names of the packages",
        )  # fmt: skip
    for install in _PIP.finditer(command):
        locked = _LOCKED.search(install["rest"])
        if locked is not None:
            yield Finding(
                place=place, rule="image-pip", severity=Severity.ERROR,
                what=f"this replaces the {locked[1]} that the operator was tested with, and may keep it from starting",
                remedy=f"leave {locked[1]} out; the image brings it",
            )  # fmt: skip


def _users(command: str) -> Iterator[str]:
    for found in _MAKES_USER.finditer(command):
        yield from found["rest"].split()


def _user(place: Place, value: str, made: set[str]) -> Iterator[Finding]:
    user = value.partition(":")[0].strip("\"'")
    if user.isdigit() or user.startswith("$") or user in _KNOWN_USERS or user in made:
        return
    yield Finding(
        place=place, rule="image-user", severity=Severity.ERROR,
        what=f"the image knows no user {user!r}", remedy="write 1001, or make the user before with useradd",
    )  # fmt: skip


def _environment(place: Place, value: str) -> Iterator[Finding]:
    names = set(re.findall(r"(?:^|\s)([A-Za-z_]\w*)=", value)) or {value.partition(" ")[0]}
    for variable, what, severity, remedy in SETTINGS.values():
        if variable in names:
            yield Finding(place=place, rule="setting-gone", severity=severity, what=f"{variable} {what}", remedy=remedy)
