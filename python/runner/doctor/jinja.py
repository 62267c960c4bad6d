"""Jinja as Ansible reads it: expressions (conditions) and templates (all other text), parsed and never rendered."""

import re
from functools import lru_cache

import jinja2
from jinja2 import nodes
from jinja2.parser import Parser

__all__ = ["delimited", "expression", "only_expression", "template"]

_ENVIRONMENT = jinja2.Environment(  # noqa: S701 - parses, renders nothing
    extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"]
)
_DELIMITERS = re.compile(r"\{\{|\{%")


def delimited(text: str) -> bool:
    """Whether a text holds a template."""
    return _DELIMITERS.search(text) is not None


@lru_cache(maxsize=4096)
def expression(text: str) -> nodes.Expr | None:
    """Parse what stands between `{{` and `}}`; `None` if it is no expression."""
    try:
        parser = Parser(_ENVIRONMENT, text, state="variable")
        parsed = parser.parse_expression()
    except (jinja2.TemplateSyntaxError, RecursionError):
        return None
    return parsed if parser.stream.eos else None


@lru_cache(maxsize=4096)
def template(text: str) -> nodes.Template | None:
    """Parse a text with templates in it; `None` if that fails."""
    try:
        return _ENVIRONMENT.parse(text)
    except (jinja2.TemplateSyntaxError, RecursionError):
        return None


def only_expression(text: str) -> nodes.Expr | None:
    """Return the expression of a text that is one `{{ expression }}` and nothing else; `None` otherwise."""
    parsed = template(text.strip()) if delimited(text) else None
    if parsed is None or len(parsed.body) != 1 or not isinstance(parsed.body[0], nodes.Output):
        return None
    parts = parsed.body[0].nodes
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData) else None
