"""Python files of the project (modules, filters, lookups): imports that ansible-core no longer has.

Modules are looked up in the ansible-core that is installed. The names that `ansible.module_utils.basic` no longer
passes on are from the change log of 2.21, "Removed Features".
"""

import ast
from collections.abc import Iterator, Mapping

from runner.doctor.findings import Finding, Place, Severity
from runner.doctor.project import Project
from runner.doctor.shipped import Shipped

__all__ = ["check"]

_PLUGINS = (
    "action_plugins/", "filter_plugins/", "library/", "lookup_plugins/", "module_utils/", "plugins/", "test_plugins/",
    "callback_plugins/", "inventory_plugins/", "vars_plugins/",
)  # fmt: skip

_REMEDIES: Mapping[str, str] = {
    "ansible.utils.native_jinja": "remove it: types are always native since ansible-core 2.19",
    "ansible.vars.fact_cache": "use ansible.plugins.cache",
    "ansible.module_utils.compat.paramiko": "import paramiko itself",
}
_OTHER = "use the standard library, or what ansible-core has in its place"
_BASIC = frozenset(
    f"ansible.module_utils.basic.{name}"
    for name in ("chain", "datetime", "map", "repeat", "safe_eval", "shlex_quote", "signal", "types")
)
"""Names that ansible-core 2.21 no longer passes on."""


def check(project: Project, shipped: Shipped) -> Iterator[Finding]:
    for path, text in project.with_suffix(".py"):
        if any(f"/{place}" in f"/{path}" for place in _PLUGINS):
            yield from _file(path, text, shipped)


def _file(path: str, text: str, shipped: Shipped) -> Iterator[Finding]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        yield Finding(
            place=Place(path, getattr(error, "lineno", None) or 1), rule="plugin-syntax", severity=Severity.ERROR,
            what="this is not the Python that ansible-core 2.21 runs in (3.12 or newer)", remedy="correct the syntax",
        )  # fmt: skip
        return
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            gone = {f"{node.module}.{alias.name}" for alias in node.names} & _BASIC
            names = [node.module, *sorted(gone)]
        for name in names:
            missing = name in _BASIC or (name.startswith("ansible.") and shipped.python and name not in shipped.python)
            if missing and isinstance(node, ast.stmt):
                yield Finding(
                    place=Place(path, node.lineno, node.col_offset + 1), rule="import-removed",
                    severity=Severity.ERROR, remedy=_REMEDIES.get(name, _OTHER),
                    what=f"{name} cannot be imported from ansible-core 2.21",
                )  # fmt: skip
