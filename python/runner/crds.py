"""Custom resource definitions from a directory into a cluster: `ansible-operator apply-crds` and `delete-crds`.

Promises: applied on the server's side, so it does not matter who made them or with which tool; done when each kind is
served; `apply` deletes nothing. Does not retry: the Job that runs it does.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import yaml

from runner.clock import Clock
from runner.kube.client import APPLY
from runner.kube.errors import ApiError
from runner.objects import GroupVersionKind, ObjectRef, Raw, Resource

__all__ = ["Client", "CrdsError", "NotEstablished", "apply", "delete", "read"]

_RESOURCE = Resource(
    gvk=GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    plural="customresourcedefinitions",
    namespaced=False,
)
_LOOK_AGAIN_S = 0.5


class CrdsError(Exception):
    """The directory does not hold definitions only; each line of the message names a file."""


class NotEstablished(Exception):  # noqa: N818 - reads as what happened
    """The API server has a definition and does not serve its kind; the message says why."""


class Client(Protocol):
    """The part of `kube.client.KubeClient` that is used here."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Raw | list[Raw] | None = None,
        content_type: str = "application/json",
    ) -> Raw: ...


def read(directory: Path) -> list[Raw]:
    """Read all definitions of a directory, not of those below it.

    Raises:
        CrdsError: with every problem.
    """
    files = sorted(file for file in directory.glob("*") if file.suffix in {".yaml", ".yml"})
    if not files:
        raise CrdsError(f"{directory}: no such directory, or no *.yaml in it; give the one that holds the definitions")
    found: list[Raw] = []
    problems: list[str] = []
    for file in files:
        try:
            documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            problems.append(f"{file}: {error}")
            continue
        for number, document in enumerate(documents, start=1):
            if _is_definition(document):
                found.append(document)
            elif document is not None:
                problems.append(f"{file}: document {number} is no CustomResourceDefinition of apiextensions.k8s.io/v1")
    if problems:
        raise CrdsError("\n".join(problems))
    return found


def _is_definition(document: Any) -> bool:
    if not isinstance(document, dict) or GroupVersionKind.of(document) != _RESOURCE.gvk:
        return False
    metadata = document.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("name"))


async def apply(
    client: Client, definitions: Sequence[Raw], *, clock: Clock, say: Callable[[str], None], within_s: float = 60.0
) -> None:
    """Bring the definitions into the cluster, and wait until their kinds are served.

    Args:
        client: has the rights to get, create and patch them.
        definitions: of `read`.
        clock: for the waiting.
        say: told a line for each.
        within_s: seconds for each kind to be served.

    Raises:
        NotEstablished: not within that time, or not at all, since another definition has the names.
        KubeError: the API server refused one, or was out of reach.
    """
    for definition in definitions:
        name = str(definition["metadata"]["name"])
        # By force: whoever made it first, kubectl or an earlier chart, owns its fields.
        params = {"fieldManager": "ansible-operator-crds", "force": "true"}
        await client.request("PATCH", _path(name), params=params, body=definition, content_type=APPLY)
        await _established(client, name, clock=clock, within_s=within_s)
        say(f"{_RESOURCE.plural}/{name} applied")


async def delete(client: Client, definitions: Sequence[Raw], *, say: Callable[[str], None]) -> None:
    """Delete the definitions, and with them every object of their kinds. What is gone already is no failure.

    Raises:
        KubeError: the API server refused, or was out of reach.
    """
    for definition in definitions:
        name = str(definition["metadata"]["name"])
        try:
            await client.request("DELETE", _path(name))
        except ApiError as error:
            if not error.not_found:
                raise
        say(f"{_RESOURCE.plural}/{name} deleted")


async def _established(client: Client, name: str, *, clock: Clock, within_s: float) -> None:
    end = clock.monotonic() + within_s
    while True:
        conditions = _conditions(await client.request("GET", _path(name)))
        if conditions.get("Established", {}).get("status") == "True":
            return
        names = conditions.get("NamesAccepted", {})
        if names.get("status") == "False":
            raise NotEstablished(f"{name}: {names.get('message')}; delete the definition that has these names")
        if clock.monotonic() >= end:
            raise NotEstablished(f"{name}: not served within {within_s:g} s; look at the definition's conditions")
        await clock.sleep(_LOOK_AGAIN_S)


def _conditions(definition: Raw) -> dict[str, Raw]:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return {str(condition["type"]): condition for condition in conditions}


def _path(name: str) -> str:
    return _RESOURCE.path(ObjectRef("", name))
