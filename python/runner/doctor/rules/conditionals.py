"""Conditions that ansible-core 2.19 and later refuse: no text, no boolean, or a template inside.

Sources: ansible-core's porting guide for 2.19 ("Broken Conditionals", "Multi-pass Templating"), and what
`evaluate_conditional` of 2.21 does.
"""

import re
from collections.abc import Iterator

from jinja2 import nodes

from runner.doctor import jinja, kinds
from runner.doctor.findings import Finding, Place, Severity
from runner.doctor.plays import Condition, conditions_of
from runner.doctor.project import Project
from runner.doctor.variables import Variables
from runner.doctor.yamlfile import ScalarNode, place_of, text_of

__all__ = ["check"]

_ALLOWED = re.compile(r"allow_broken_conditionals\W+(value:\W*)?(true|yes|on|1)\b", re.IGNORECASE)
_REMEDIES = {
    kinds.TEXT: "say what is meant: `| length > 0` for 'not empty', `| bool` for a text such as 'true'",
    kinds.NUMBER: "compare it, as in `> 0`",
    kinds.LIST: "add `| length > 0`",
    kinds.MAPPING: "add `| length > 0`, or name the member that is meant, as in `result is changed`",
    kinds.NOTHING: "remove the condition, or say `is not none`",
}
_OTHER = "compare it with something, or add `| bool`"


def check(project: Project, variables: Variables) -> Iterator[Finding]:
    """Yield a finding for each condition that fails whenever it is evaluated, or whenever it matters."""
    allowed = any(_ALLOWED.search(text) for text in project.set_up() if "ALLOW_BROKEN" in text.upper())
    for file in project.task_files:
        for task in file.tasks:
            for condition in conditions_of(task):
                yield from _judge(condition, place_of(file.path, condition.node), variables, allowed=allowed)


def _judge(condition: Condition, place: Place, variables: Variables, *, allowed: bool) -> Iterator[Finding]:
    text = text_of(condition.node)
    if text is not None and text.strip():
        yield from _judge_text(condition.keyword, text, place, variables, allowed=allowed)
        return
    kind = kinds.kind_of_value(condition.node, variables) if text is None else kinds.NOTHING
    if isinstance(condition.node, ScalarNode) and not kinds.wrong(kind):
        return
    colon = kind == kinds.MAPPING
    yield Finding(
        place=place,
        rule="conditional-not-text",
        severity=Severity.INFO if allowed else Severity.ERROR,
        what=f"`{condition.keyword}` is {kind}, and ansible-core 2.19 and later want an expression or true or false",
        remedy="quote the whole expression: the colon in it makes it a mapping" if colon else "write an expression",
    )


def _judge_text(keyword: str, text: str, place: Place, variables: Variables, *, allowed: bool) -> Iterator[Finding]:
    shown = _short(text)
    expr = jinja.expression(text.strip())
    if expr is None and jinja.delimited(text):
        whole = jinja.only_expression(text)
        if whole is None:
            yield from _embedded(keyword, text, place)
            return
        yield from _whole_template(keyword, whole, shown, place, variables)
        kind = kinds.kind_of(whole, variables)
        expr = None if kind == kinds.TEXT else whole  # text is taken as an expression once more
    kind = kinds.kind_of(expr, variables) if expr is not None else kinds.UNKNOWN
    if kinds.wrong(kind):
        yield Finding(
            place=place,
            rule="conditional-not-boolean",
            severity=Severity.INFO if allowed else Severity.ERROR,
            what=f"`{keyword}: {shown}` gives {kind}, and ansible-core 2.19 and later fail on what is no boolean",
            remedy=_REMEDIES.get(kind, _OTHER),
        )


def _embedded(keyword: str, text: str, place: Place) -> Iterator[Finding]:
    stripped = text.strip()
    if stripped.startswith(("{{", "{%")) and stripped.endswith(("}}", "%}")):
        return  # rendered as a whole, and its text taken as an expression: as it always was
    yield Finding(
        place=place,
        rule="conditional-template",
        severity=Severity.ERROR,
        what=f"`{keyword}: {_short(text)}` has a template inside an expression, a syntax error since ansible-core 2.19",
        remedy="write the variable's name without braces",
    )


def _whole_template(
    keyword: str, expr: nodes.Expr, shown: str, place: Place, variables: Variables
) -> Iterator[Finding]:
    """A text from a resource would be taken as an expression, which only text from the role itself may be."""
    name = expr.name if isinstance(expr, nodes.Name) else ""
    types = {resource.fields[name].type for resource in variables.resources if name in resource.fields}
    if types == {"string"} and name not in variables.values:
        yield Finding(
            place=place,
            rule="conditional-from-resource",
            severity=Severity.ERROR,
            what=f"`{keyword}: {shown}` takes a text of the custom resource as an expression, which is refused",
            remedy="compare the value in the role, as in `field == 'wanted'`",
        )


def _short(text: str, limit: int = 60) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= limit else f"{joined[: limit - 3]}..."
