"""What ansible-core removed or does differently between 2.18 and 2.21, in tasks, variables and ansible.cfg.

Sources: the porting guides and change logs of ansible-core 2.19, 2.20 and 2.21; each entry names its version.
"""

import configparser
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from jinja2 import nodes

from runner.doctor import jinja
from runner.doctor.findings import Finding, Place, Severity
from runner.doctor.plays import Task, short_name, variables_of
from runner.doctor.project import Project
from runner.doctor.variables import Variables
from runner.doctor.yamlfile import Node, ScalarNode, SequenceNode, entries, find, place_of, plain, scalars, text_of

__all__ = ["SETTINGS", "check"]

_OPTIONS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("dnf", "install_repoquery"): ("2.20", "remove it"),
    ("dnf5", "install_repoquery"): ("2.20", "remove it"),
    ("yum_repository", "keepcache"): ("2.20", "remove it"),
    ("git", "gpg_whitelist"): ("2.21", "write gpg_allowlist"),
}
"""Options of modules that are gone: the version, and what to do."""

SETTINGS: Mapping[str, tuple[str, str, Severity, str]] = {
    "collections_paths": (
        "ANSIBLE_COLLECTIONS_PATHS", "is not read since ansible-core 2.19", Severity.ERROR, "write the singular"
    ),
    "jinja2_native": (
        "ANSIBLE_JINJA2_NATIVE", "has no effect since ansible-core 2.19: native types are always kept", Severity.CHANGE,
        "remove it, and convert where text is wanted (`| string`) or a boolean (`| bool`)",
    ),
    "error_on_undefined_vars": (
        "ANSIBLE_ERROR_ON_UNDEFINED_VARS", "has no effect since ansible-core 2.19: what is undefined is an error",
        Severity.CHANGE, "give defaults with `| default(...)`",
    ),
    "allow_unsafe_lookups": (
        "", "has no effect since ansible-core 2.19: what a lookup gives is data", Severity.CHANGE,
        "render the text in the task that needs it",
    ),
    "string_conversion_action": (
        "ANSIBLE_STRING_CONVERSION_ACTION", "was removed in ansible-core 2.19", Severity.CHANGE, "remove it"
    ),
    "jinja2_extensions": (
        "ANSIBLE_JINJA2_EXTENSIONS", "is deprecated, and goes with ansible-core 2.23", Severity.INFO,
        "use filters, tests and lookups instead",
    ),
}  # fmt: skip
"""Settings by their key in ansible.cfg: the variable, what happened, how grave it is, what to do."""

_BOOLEAN_WORDS = frozenset({"yes", "no", "true", "false"})
_TASK_LISTS = frozenset({"block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers", "roles"})


def check(project: Project, variables: Variables) -> Iterator[Finding]:
    for file in project.task_files:
        for task in file.tasks:
            yield from _task(file.path, task)
            for key, _, value in entries(task.node):
                if key not in _TASK_LISTS:
                    yield from _templates(file.path, value, variables)
    for path, mapping in project.variable_files:
        yield from _templates(path, mapping, variables)
        for _, _, value in entries(mapping):
            yield from _data_as_text(path, value)
    for path, text in project.with_suffix(".cfg"):
        if PurePosixPath(path).name == "ansible.cfg":
            yield from _configuration(path, text)


def _task(path: str, task: Task) -> Iterator[Finding]:
    yield from _options(path, task)
    yield from _include_vars(path, task)
    yield from _connection(path, task)
    for name, _, value in variables_of(task):
        yield from _data_as_text(path, value)
        if task.module == "set_fact":
            yield from _boolean_word(path, name, value)
    loop = task.keyword("loop")
    if loop is not None:
        yield from _data_as_text(path, loop)
        yield from _range(path, loop)


def _options(path: str, task: Task) -> Iterator[Finding]:
    for (module, option), (version, remedy) in _OPTIONS.items():
        found = task.argument(option) if task.module == module else None
        if found is not None:
            yield Finding(
                place=place_of(path, found), rule="option-removed", severity=Severity.ERROR, remedy=remedy,
                what=f"the option {option} of {module} was removed in ansible-core {version}",
            )  # fmt: skip


def _include_vars(path: str, task: Task) -> Iterator[Finding]:
    for option in ("extensions", "ignore_files") if task.module == "include_vars" else ():
        found = task.argument(option)
        if isinstance(found, ScalarNode) and not jinja.delimited(found.value):
            grave = option == "extensions"
            yield Finding(
                place=place_of(path, found), rule="option-list",
                severity=Severity.ERROR if grave else Severity.INFO, remedy="write it as a list",
                what=f"{option} of include_vars has to be a list since ansible-core 2.20"
                + ("" if grave else "; text is deprecated"),
            )  # fmt: skip


def _connection(path: str, task: Task) -> Iterator[Finding]:
    # The inventory says `local` for localhost, which beats the keyword unless the task is for another host.
    keyword = task.keyword("connection") if task.keyword("delegate_to") is not None else None
    for found in (keyword, find(task.keyword("vars"), "ansible_connection")):
        if found is not None and short_name(str(plain(found))) in {"paramiko", "paramiko_ssh", "smart"}:
            yield Finding(
                place=place_of(path, found), rule="connection-removed", severity=Severity.ERROR, remedy="write ssh",
                what="the connection paramiko was removed in ansible-core 2.21, and smart in 2.20",
            )  # fmt: skip


def _boolean_word(path: str, name: str, value: Node) -> Iterator[Finding]:
    text = text_of(value)
    if text is not None and text.lower() in _BOOLEAN_WORDS:
        meant = "true" if text.lower() in {"yes", "true"} else "false"
        yield Finding(
            place=place_of(path, value), rule="set-fact-text", severity=Severity.CHANGE,
            what=f"set_fact makes {name} the text '{text}', which ansible-core before 2.19 turned into a boolean",
            remedy=f"write {meant} without quotes",
        )  # fmt: skip


def _range(path: str, loop: Node) -> Iterator[Finding]:
    expr = jinja.only_expression(loop.value) if isinstance(loop, ScalarNode) else None
    if isinstance(expr, nodes.Call) and isinstance(expr.node, nodes.Name) and expr.node.name == "range":
        yield Finding(
            place=place_of(path, loop), rule="range-result", severity=Severity.ERROR,
            what="a template may not give a bare range() since ansible-core 2.19", remedy="add `| list`",
        )  # fmt: skip


def _data_as_text(path: str, value: Node) -> Iterator[Finding]:
    """Text that looks like a list or a mapping once its templates are rendered: it was read as one before 2.19."""
    if isinstance(value, SequenceNode) or (text := text_of(value)) is None or not jinja.delimited(text):
        return
    parsed = jinja.template(text.strip())
    if parsed is None or jinja.only_expression(text) is not None:
        return
    literal = [part for output in parsed.body if isinstance(output, nodes.Output) for part in output.nodes]
    first, last = (literal[0], literal[-1]) if literal else (None, None)
    if not isinstance(first, nodes.TemplateData) or not isinstance(last, nodes.TemplateData):
        return
    ends = (first.data.lstrip()[:1], last.data.rstrip()[-1:])
    if ends in {("[", "]"), ("{", "}")}:
        kind = "list" if ends[0] == "[" else "mapping"
        yield Finding(
            place=place_of(path, value), rule="text-not-data", severity=Severity.CHANGE,
            what=f"this template gives text that looks like a {kind}; ansible-core before 2.19 made a {kind} of it",
            remedy=f"build the {kind} in one expression, or add `| from_yaml` where it is used",
        )  # fmt: skip


def _templates(path: str, node: Node, variables: Variables) -> Iterator[Finding]:
    for scalar in scalars(node):
        if jinja.delimited(scalar.value):
            parsed = jinja.template(scalar.value)
        elif re.search(r"\.invocation\b", scalar.value):
            expr = jinja.expression(scalar.value.strip())
            parsed = None if expr is None else nodes.Template([nodes.Output([expr])])
        else:
            continue
        if parsed is not None:
            yield from _calls(place_of(path, scalar), parsed)
            yield from _members(place_of(path, scalar), parsed, variables)


def _calls(place: Place, parsed: nodes.Template) -> Iterator[Finding]:
    for call in parsed.find_all(nodes.Call):
        name = call.node.name if isinstance(call.node, nodes.Name) else ""
        given = {keyword.key for keyword in call.kwargs}
        if name in {"lookup", "query", "q"} and "allow_unsafe" in given:
            yield Finding(
                place=place, rule="lookup-unsafe", severity=Severity.CHANGE,
                what="`allow_unsafe` of a lookup has no effect since ansible-core 2.19: its result is data",
                remedy="render the text where it is needed, as with the template lookup",
            )  # fmt: skip
        if name == "lookup" and given & {"convert_data", "jinja2_native"}:
            yield Finding(
                place=place, rule="lookup-convert", severity=Severity.CHANGE,
                what="`convert_data` and `jinja2_native` of the template lookup have no effect since ansible-core "
                "2.19: its result is text",
                remedy="add `| from_json` or `| from_yaml` where data is wanted",
            )  # fmt: skip
    for filtered in parsed.find_all(nodes.Filter):
        if short_name(filtered.name) in {"vault", "unvault"} and any(key.key == "vaultid" for key in filtered.kwargs):
            yield Finding(
                place=place, rule="option-removed", severity=Severity.ERROR,
                what="vaultid of vault and unvault was removed in ansible-core 2.20", remedy="write vault_id",
            )  # fmt: skip


def _members(place: Place, parsed: nodes.Template, variables: Variables) -> Iterator[Finding]:
    for member in parsed.find_all(nodes.Getattr):
        base = member.node.name if isinstance(member.node, nodes.Name) else ""
        if base in variables.registered and base not in variables.values and member.attr == "invocation":
            yield Finding(
                place=place, rule="result-invocation", severity=Severity.ERROR,
                what=f"{base}.invocation is not there: results hold no invocation since ansible-core 2.21",
                remedy="use the values the task was given, or set ANSIBLE_INJECT_INVOCATION=true",
            )  # fmt: skip


def _configuration(path: str, text: str) -> Iterator[Finding]:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, inline_comment_prefixes=(";",))
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    for key, value in parser["defaults"].items() if parser.has_section("defaults") else ():
        line = next((n for n, line in enumerate(text.splitlines(), 1) if re.match(rf"\s*{key}\b", line)), 1)
        if key in SETTINGS:
            _, what, severity, remedy = SETTINGS[key]
            yield Finding(
                place=Place(path, line), rule="setting-gone", severity=severity, what=f"{key} {what}", remedy=remedy
            )
        elif key == "interpreter_python" and str(value).startswith("auto_legacy"):
            yield Finding(
                place=Place(path, line), rule="setting-gone", severity=Severity.ERROR,
                what=f"{value} of interpreter_python was removed in ansible-core 2.21", remedy="write auto_silent",
            )  # fmt: skip
        elif key == "transport" and str(value) in {"smart", "paramiko"}:
            yield Finding(
                place=Place(path, line), rule="setting-gone", severity=Severity.ERROR,
                what="transport smart and paramiko were removed in ansible-core 2.20 and 2.21", remedy="write ssh",
            )  # fmt: skip
