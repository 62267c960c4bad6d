"""Makes what has to agree out of one source: the definition and the role's argument specs, both of api.yaml.

python generate.py            # write them
python generate.py --check    # say which of them are not as they should be; then the exit status is 1
"""

import re
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
HEADER = "---\n# Made of api.yaml by generate.py; change it there.\n"
ANSIBLE_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
FOR_OURSELVES = {"rules", "column"}
"""What of a field in api.yaml has another form in a definition."""


def main(arguments):
    files = rendered(yaml.safe_load((HERE / "api.yaml").read_text(encoding="utf-8")))
    if arguments == ["--check"]:
        stale = [name for name, text in files.items() if (HERE / name).read_text(encoding="utf-8") != text]
        for name in stale:
            sys.stderr.write(f"{name} is not what api.yaml says; run python generate.py\n")
        return 1 if stale else 0
    for name, text in files.items():
        (HERE / name).write_text(text, encoding="utf-8")
    return 0


def rendered(api):
    """The files that are made, by name."""
    definition = f"config/crd/bases/{api['group']}_{api['plural']}.yaml"
    role = api["kind"].lower()
    return {
        definition: written(crd(api)),
        f"roles/{role}/meta/argument_specs.yml": written(argument_specs(api)),
    }


def crd(api):
    kind = api["kind"]
    names = {"kind": kind, "listKind": f"{kind}List", "plural": api["plural"], "singular": kind.lower()}
    versions = [version(api, stored=number == 0, **said) for number, said in enumerate(api["versions"])]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{api['plural']}.{api['group']}"},
        "spec": {
            "group": api["group"],
            "names": names,
            "scope": "Namespaced",
            "conversion": {"strategy": "None"},
            "versions": versions,
        },
    }


def version(api, *, name, stored, deprecationWarning=None):  # noqa: N803 - the name that it has in a definition
    deprecated = {"deprecated": True, "deprecationWarning": deprecationWarning} if deprecationWarning else {}
    columns = [
        {"name": field["column"], "type": field["type"], "jsonPath": f".{field_name}"}
        for field_name, field in api["fields"].items()
        if "column" in field
    ]
    columns.append({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
    return {
        "name": name,
        "served": True,
        "storage": stored,
        **deprecated,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": schema(api)},
    }


def schema(api):
    fields = {name: property_of(field) for name, field in api["fields"].items()}
    return {
        "description": api["description"],
        "type": "object",
        "x-kubernetes-validations": api["rules"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            **fields,
            "status": api["status"],
        },
    }


def property_of(field):
    rules = {"x-kubernetes-validations": field["rules"]} if "rules" in field else {}
    return {key: value for key, value in field.items() if key not in FOR_OURSELVES} | rules


def argument_specs(api):
    """The role is given the whole object, by the name that the operator has for it."""
    variable = f"_{api['group']}_{api['kind']}".replace(".", "_").lower()
    own = {name: {"type": kind} for name, kind in (("apiVersion", "str"), ("kind", "str"), ("metadata", "dict"))}
    fields = {name: option(field) for name, field in api["fields"].items()}
    options = {
        variable: {
            "description": f"The whole {api['kind']}; the operator fills it in.",
            "type": "dict",
            "required": True,
            "options": own | fields | {"status": {"type": "dict"}},
        },
        "ansible_operator_meta": {
            "description": f"Which {api['kind']} this is; the operator fills it in.",
            "type": "dict",
            "required": True,
        },
    }
    return {"argument_specs": {"main": {"short_description": api["description"], "options": options}}}


def option(field):
    """A field with a default is always there: the API server fills it in."""
    needed = {"required": True} if "default" in field else {}
    choices = {"choices": field["enum"]} if "enum" in field else {}
    return {"description": field["description"], "type": ANSIBLE_TYPES[field["type"]], **needed, **choices}


class Writer(yaml.SafeDumper):
    """Lists are indented, what is repeated is written out."""

    def increase_indent(self, flow=False, indentless=False):  # noqa: ARG002, FBT002 - as PyYAML has it
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data):  # noqa: ARG002
        return True


def written(value):
    text = yaml.dump(value, Dumper=Writer, sort_keys=False, width=110)
    return HEADER + re.sub(r" +$", "", text, flags=re.MULTILINE)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
