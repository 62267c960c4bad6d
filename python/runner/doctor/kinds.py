"""What kind of value an expression gives, where that can be told from the project's files (pure).

Answers `BOOLEAN`, the name of another kind, or `UNKNOWN`. It guesses nothing: a name that may be set to things of
different kinds, a filter or a lookup that is not listed here, a call of something unknown are all `UNKNOWN`.
"""

from collections.abc import Callable, Mapping

from jinja2 import nodes

from runner.doctor import jinja
from runner.doctor.crds import Resource
from runner.doctor.plays import short_name
from runner.doctor.variables import Variables
from runner.doctor.yamlfile import MappingNode, Node, ScalarNode, SequenceNode, find

__all__ = [
    "BOOLEAN",
    "LIST",
    "MAPPING",
    "NOTHING",
    "NUMBER",
    "TEXT",
    "UNKNOWN",
    "Kind",
    "kind_of",
    "kind_of_value",
    "wrong",
]

Kind = str
BOOLEAN, UNKNOWN = "a boolean", ""
TEXT, NUMBER, LIST, MAPPING, NOTHING = "text", "a number", "a list", "a mapping", "nothing"
_MAX_DEPTH = 12

_TAGS: Mapping[str, Kind] = {"str": TEXT, "bool": BOOLEAN, "int": NUMBER, "float": NUMBER, "null": NOTHING}
_SCHEMA: Mapping[str, Kind] = {
    "string": TEXT, "boolean": BOOLEAN, "integer": NUMBER, "number": NUMBER, "array": LIST, "object": MAPPING,
}  # fmt: skip


def _table(groups: Mapping[Kind, str]) -> dict[str, Kind]:
    return {name: kind for kind, names in groups.items() for name in names.split()}


_FILTERS = _table(
    {
        BOOLEAN: "bool",
        TEXT: "b64decode b64encode basename capitalize center checksum comment dirname escape expanduser expandvars "
        "forceescape format hash indent join lower md5 password_hash path_join quote regex_escape regex_replace "
        "regex_search relpath replace realpath safe sha1 splitext string strftime striptags title to_json to_nice_json "
        "to_nice_yaml to_uuid to_yaml tojson trim truncate upper urlencode urlize wordwrap",
        NUMBER: "abs count float human_to_bytes int length log pow root round sum wordcount",
        LIST: "batch dict2items dictsort difference flatten groupby intersect list map permutations product "
        "regex_findall reject rejectattr select selectattr slice sort split subelements symmetric_difference union "
        "unique zip zip_longest",
        MAPPING: "combine items2dict urlsplit",
    }
)
"""What the filters of Jinja and ansible-core give. `regex_search` gives nothing where nothing matches."""

_METHODS = _table(
    {
        BOOLEAN: "endswith isalnum isalpha isdigit islower isspace isupper startswith",
        TEXT: "capitalize format join lower lstrip replace rstrip strftime strip title upper",
        NUMBER: "count find index rfind rindex timestamp total_seconds",
        LIST: "items keys partition rpartition rsplit split splitlines values",
    }
)

_LOOKUPS = _table(
    {
        TEXT: "csvfile env file first_found ini password pipe template unvault url",
        LIST: "dict fileglob indexed_items inventory_hostnames items k8s kubernetes.core.k8s lines list nested "
        "sequence subelements together varnames",
    }
)

_RESULTS = _table(
    {
        BOOLEAN: "changed failed skipped unreachable",
        TEXT: "delta end msg start stderr stdout",
        NUMBER: "attempts rc",
        LIST: "cmd resources results stderr_lines stdout_lines warnings",
        MAPPING: "ansible_facts stat",
    }
)
"""What a registered result holds under these names, whichever module it is of."""

_SPECIAL = _table(
    {
        TEXT: "ansible_playbook_python inventory_dir inventory_file inventory_hostname inventory_hostname_short "
        "playbook_dir role_name role_path",
        LIST: "ansible_play_batch ansible_play_hosts group_names play_hosts role_names",
        MAPPING: "ansible_facts ansible_operator_meta groups hostvars vars",
    }
)


def wrong(kind: Kind) -> bool:
    """Whether a condition of that kind fails for certain."""
    return kind not in {BOOLEAN, UNKNOWN}


def kind_of(expr: nodes.Node, variables: Variables, depth: int = 0) -> Kind:
    """Return the kind of an expression's value; of several that are possible, one that is no boolean."""
    if depth > _MAX_DEPTH:
        return UNKNOWN
    judge = _JUDGES.get(type(expr))
    return judge(expr, variables, depth + 1) if judge is not None else UNKNOWN


def kind_of_value(node: Node, variables: Variables, depth: int = 0) -> Kind:
    """Return the kind of a value in a YAML file, templates in it taken into account."""
    if isinstance(node, SequenceNode):
        return LIST
    if isinstance(node, MappingNode):
        return MAPPING
    kind = _TAGS.get(node.tag.rpartition(":")[2], UNKNOWN) if node.tag.startswith("tag:yaml.org,2002:") else UNKNOWN
    if kind == TEXT and isinstance(node, ScalarNode) and jinja.delimited(node.value):
        expr = jinja.only_expression(node.value)
        return UNKNOWN if expr is None else kind_of(expr, variables, depth + 1)
    return kind


def _agreed(kinds: list[Kind]) -> Kind:
    """One kind for all of them: the first if they are all booleans or none is, else unknown."""
    if not kinds or UNKNOWN in kinds or len({kind == BOOLEAN for kind in kinds}) > 1:
        return UNKNOWN
    return kinds[0]


def _any_wrong(kinds: list[Kind]) -> Kind:
    """For values of which each may be the result."""
    found = next((kind for kind in kinds if wrong(kind)), None)
    if found is not None:
        return found
    return BOOLEAN if all(kind == BOOLEAN for kind in kinds) else UNKNOWN


def _const(expr: nodes.Const, _variables: Variables, _depth: int) -> Kind:
    if expr.value is None:
        return NOTHING
    return {bool: BOOLEAN, str: TEXT, int: NUMBER, float: NUMBER}.get(type(expr.value), UNKNOWN)


def _name(expr: nodes.Name, variables: Variables, depth: int) -> Kind:
    name = expr.name
    if name in variables.unknown:
        return UNKNOWN
    kinds = [kind_of_value(node, variables, depth) for _, node in variables.values.get(name, ())]
    if name in variables.registered:
        kinds.append(MAPPING)
    for resource in variables.resources:
        if name in resource.fields:
            kinds.append(_SCHEMA.get(resource.fields[name].type, UNKNOWN))
        if name in resource.names:
            kinds.append(MAPPING)
    return _agreed(kinds) if kinds else _SPECIAL.get(name, UNKNOWN)


def _member(expr: nodes.Getattr | nodes.Getitem, variables: Variables, depth: int) -> Kind:
    key = expr.attr if isinstance(expr, nodes.Getattr) else getattr(expr.arg, "value", None)
    if not isinstance(key, str):
        return UNKNOWN
    base = expr.node
    if isinstance(base, nodes.Name):
        return _member_of_name(base.name, key, variables, depth)
    if isinstance(base, nodes.Getattr) and isinstance(base.node, nodes.Name) and base.attr == "spec":
        return _spec_field([resource for resource in variables.resources if base.node.name == resource.names[0]], key)
    return UNKNOWN


def _member_of_name(name: str, key: str, variables: Variables, depth: int) -> Kind:
    values = [node for _, node in variables.values.get(name, ())]
    if name in variables.unknown:
        return UNKNOWN
    if name in variables.registered:
        return UNKNOWN if values else _RESULTS.get(key, UNKNOWN)
    if name == "ansible_operator_meta":
        return TEXT if key in {"name", "namespace"} else UNKNOWN
    of_spec = [resource for resource in variables.resources if name == resource.names[1]]
    if of_spec:
        return _spec_field(of_spec, key)
    if any(name in resource.fields for resource in variables.resources):
        return UNKNOWN
    members = [find(node, key) for node in values]
    return _agreed([UNKNOWN if node is None else kind_of_value(node, variables, depth) for node in members])


def _spec_field(resources: list[Resource], key: str) -> Kind:
    kinds = []
    for resource in resources:
        fields = [field for field in resource.fields.values() if field.key == key]
        kinds += [_SCHEMA.get(field.type, UNKNOWN) for field in fields] or [UNKNOWN]
    return _agreed(kinds)


def _filter(expr: nodes.Filter, variables: Variables, depth: int) -> Kind:
    name = short_name(expr.name)
    if name in {"default", "d"} and expr.node is not None and expr.args:
        return _default(expr, variables, depth)
    if name == "ternary":
        return _any_wrong([kind_of(arg, variables, depth) for arg in expr.args[:2]])
    return _FILTERS.get(name, UNKNOWN)


def _default(expr: nodes.Filter, variables: Variables, depth: int) -> Kind:
    assert expr.node is not None
    given, otherwise = kind_of(expr.node, variables, depth), kind_of(expr.args[0], variables, depth)
    if wrong(given):
        return given
    also_if_false = len(expr.args) > 1 or any(keyword.key == "boolean" for keyword in expr.kwargs)
    defined = isinstance(expr.node, nodes.Name) and expr.node.name in variables.values
    if wrong(otherwise) and (also_if_false or not (defined or given == BOOLEAN)):
        return otherwise
    return BOOLEAN if given == otherwise == BOOLEAN else UNKNOWN


def _call(expr: nodes.Call, _variables: Variables, _depth: int) -> Kind:
    if isinstance(expr.node, nodes.Getattr):
        return _METHODS.get(expr.node.attr, UNKNOWN)
    if not isinstance(expr.node, nodes.Name):
        return UNKNOWN
    if expr.node.name in {"query", "q", "range"} or any(keyword.key == "wantlist" for keyword in expr.kwargs):
        return LIST
    if expr.node.name == "lookup" and expr.args and isinstance(expr.args[0], nodes.Const):
        return _LOOKUPS.get(short_name(str(expr.args[0].value)), UNKNOWN)
    return MAPPING if expr.node.name == "dict" else UNKNOWN


def _either(expr: nodes.And | nodes.Or, variables: Variables, depth: int) -> Kind:
    # Both give one of their operands as it is: the right one whenever the left one lets it come to that.
    right = expr.right
    if isinstance(expr, nodes.Or) and isinstance(expr.left, nodes.Not):
        right = _where_true(right, expr.left.node)  # `not x or (x and y)`
    return _any_wrong([kind_of(side, variables, depth) for side in (right, expr.left)])


def _where_true(expr: nodes.Expr, known: nodes.Expr) -> nodes.Expr:
    """What is left of a chain of `and` where `known` is true."""
    if not isinstance(expr, nodes.And):
        return expr
    left = _where_true(expr.left, known)
    return expr.right if left == known else nodes.And(left, expr.right)


def _branches(expr: nodes.CondExpr, variables: Variables, depth: int) -> Kind:
    branches = [expr.expr1, *([expr.expr2] if expr.expr2 is not None else [])]
    kind = _any_wrong([kind_of(branch, variables, depth) for branch in branches])
    return UNKNOWN if kind == BOOLEAN and expr.expr2 is None else kind


def _always(kind: Kind) -> Callable[[nodes.Node, Variables, int], Kind]:
    return lambda _expr, _variables, _depth: kind


_JUDGES: Mapping[type, Callable[..., Kind]] = {
    nodes.Const: _const, nodes.Name: _name, nodes.Getattr: _member, nodes.Getitem: _member, nodes.Filter: _filter,
    nodes.Call: _call, nodes.And: _either, nodes.Or: _either, nodes.CondExpr: _branches,
    nodes.Compare: _always(BOOLEAN), nodes.Test: _always(BOOLEAN), nodes.Not: _always(BOOLEAN),
    nodes.Concat: _always(TEXT), nodes.List: _always(LIST), nodes.Tuple: _always(LIST), nodes.Dict: _always(MAPPING),
    nodes.Add: _always("a sum"), nodes.Sub: _always(NUMBER), nodes.Mul: _always("a product"),
    nodes.Div: _always(NUMBER), nodes.FloorDiv: _always(NUMBER), nodes.Mod: _always(NUMBER),
    nodes.Pow: _always(NUMBER), nodes.Neg: _always(NUMBER), nodes.Pos: _always(NUMBER),
}  # fmt: skip
