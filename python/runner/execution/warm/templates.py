"""Templates that the warm parent has compiled, for forks that meet the same text.

Compiling is a good third of what a role with many expressions costs. What Jinja makes of a text depends on the text, on
Ansible's handling of backslashes, and on how each filter and test that it names wants to be called; the last is looked
up again in the fork, whose plugins may be others. Texts with settings of their own (`#jinja2:`) are left alone.
"""

import functools
from dataclasses import dataclass
from types import CodeType
from typing import Any

from runner.execution.warm import lessons, singletons

__all__ = ["SUBJECT", "install", "learn"]

SUBJECT = "template"
_TEMPLATE, _EXPRESSION = "template", "expression"
_Key = tuple[str, bool, str]
_Plugin = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    code: CodeType
    plugins: tuple[tuple[_Plugin, Any], ...]
    """The filters and tests it names, each with what it wants to be passed, which is part of the code."""


_known: dict[_Key, _Compiled] = {}


def install() -> None:
    """Have Ansible's templates look here first. Once, before forking."""
    from ansible._internal._templating._jinja_bits import AnsibleEnvironment
    from jinja2.environment import TemplateExpression

    plain_compile = AnsibleEnvironment.compile
    plain_expression = AnsibleEnvironment.compile_expression

    @functools.wraps(plain_compile)
    def compile_template(self: Any, source: Any, name: Any = None, filename: Any = None, **options: Any) -> Any:
        key = None if name or filename or options else _key(self, _TEMPLATE, source)
        known = _find(self, key)
        if known is not None:
            return known.code
        code = plain_compile(self, source, name, filename, **options)
        _tell(key)
        return code

    @functools.wraps(plain_expression)
    def compile_expression(self: Any, source: Any, undefined_to_none: bool = True) -> Any:  # noqa: FBT001, FBT002 - Jinja's signature
        key = _key(self, _EXPRESSION, source)
        known = _find(self, key)
        if known is not None:
            template = self.template_class.from_code(self, known.code, self.make_globals(None), None)
            return TemplateExpression(template, undefined_to_none)
        expression = plain_expression(self, source, undefined_to_none)
        _tell(key)
        return expression

    AnsibleEnvironment.compile = compile_template
    AnsibleEnvironment.compile_expression = compile_expression


def learn(kind: str, escape: bool, source: str) -> None:  # noqa: FBT001 - as it was told
    """In the parent: compile that text, for all forks to come.

    Raises:
        Exception: it is no template, names plugins that only some role has, or Ansible has to warn of it.
    """
    from ansible._internal._templating._jinja_bits import AnsibleEnvironment, _TemplateCompileContext
    from jinja2 import Environment

    class Watching(AnsibleEnvironment):  # type: ignore[misc]  # Ansible has no types
        """Keeps the tree and the code that it makes of it."""

        tree: Any
        code: CodeType

        def _generate(self, tree: Any, *args: Any, **options: Any) -> Any:
            self.tree = tree
            return super()._generate(tree, *args, **options)

        def _compile(self, source: str, filename: str) -> Any:
            self.code = super()._compile(source, filename)
            return self.code

    environment = Watching()
    with singletons.nothing_said(), _TemplateCompileContext(escape_backslashes=escape):
        # Past our own wrapping, which would look for what is to be made here.
        if kind == _TEMPLATE:
            Environment.compile(environment, source)
        else:
            Environment.compile_expression(environment, source, False)
    plugins = tuple((plugin, _wants(environment, plugin)) for plugin in _plugins(environment.tree))
    _known[kind, escape, source] = _Compiled(code=environment.code, plugins=plugins)


def _key(environment: Any, kind: str, source: Any) -> _Key | None:
    """What the code depends on; `None`: on more than that."""
    from ansible._internal._templating._jinja_bits import _TemplateCompileContext

    context = _TemplateCompileContext.current(optional=True)
    if context is None or environment.overlayed or environment._debuggable_template_source:
        return None
    return (kind, bool(context.escape_backslashes), str(source)) if isinstance(source, str) else None


def _find(environment: Any, key: _Key | None) -> _Compiled | None:
    known = _known.get(key) if key is not None else None
    if known is None:
        return None
    try:
        same = all(_wants(environment, plugin) == wanted for plugin, wanted in known.plugins)
    except Exception:  # noqa: BLE001 - a plugin that can't be loaded; compiling will say so
        return None
    return known if same else None


def _tell(key: _Key | None) -> None:
    if key is not None and key not in _known:
        lessons.tell(SUBJECT, *key)


def _plugins(tree: Any) -> set[_Plugin]:
    from jinja2 import nodes

    return {(type(node).__name__, node.name) for node in tree.find_all((nodes.Filter, nodes.Test))}


def _wants(environment: Any, plugin: _Plugin) -> tuple[bool, Any]:
    """Whether there is such a plugin, and what Jinja passes to it beside its arguments."""
    from jinja2.utils import _PassArg

    kind, name = plugin
    found = (environment.filters if kind == "Filter" else environment.tests).get(name)
    return found is not None, _PassArg.from_obj(found)
