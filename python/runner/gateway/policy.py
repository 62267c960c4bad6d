"""What a request asks for, in Kubernetes' own terms, and what a run may ask for. Pure.

A path is read as the API server reads it, or refused: two readers that disagree about one path are how a check is
walked around. So nothing here is forgiving. Does not know which kinds exist (`kube.discovery` does).
"""

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl, unquote, urlencode

__all__ = ["APPLY_PATCHES", "ApiRequest", "BadPath", "Creation", "Restriction", "parse_request", "with_dry_run"]

APPLY_PATCHES = frozenset({"application/apply-patch+yaml", "application/apply-patch+cbor"})
"""Content types of a server-side apply."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COMMANDS = frozenset({"exec", "attach", "portforward"})
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
_ENCODED_TRICK = re.compile(r"%(2[ef5]|5c|[01][0-9a-f]|7f)", re.IGNORECASE)
_MALFORMED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN = re.compile(r"[!\"$-\[\]-~]*")
"""Visible ASCII but for the backslash and `#`, which no request target may hold."""


class BadPath(Exception):  # noqa: N818 - reads as what it is
    """A path that could be read in two ways; the text says which part."""


class Creation(Enum):
    """By which kind of request an object may come into being."""

    NONE = "none"
    POST = "post"
    PUT = "put"
    APPLY = "apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request. Where `is_resource` is false all names are empty and the verb is the lower-case method."""

    method: str
    verb: str
    """get, list, watch, create, update, patch, delete, deletecollection or connect."""
    path: str
    """As sent, without the query."""
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    """Empty for cluster-scoped objects, `Namespace` among them, and for all namespaces."""
    plural: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def is_write(self) -> bool:
        """Whether it may change something: a command in a container counts, whatever its method."""
        return self.method not in _READS or self.is_command

    @property
    def is_command(self) -> bool:
        """Exec, attach or port forward: what it does is decided by the bytes that flow later."""
        return self.verb == "connect" and self.subresource in _COMMANDS

    @property
    def is_whole_object(self) -> bool:
        """Whether the answer, if it is a good one, is one object: a named one, or the one just created."""
        named = self.verb in ("get", "update", "patch") and bool(self.name)
        return self.is_resource and not self.subresource and (named or self.verb == "create")

    @property
    def is_long(self) -> bool:
        """Whether the server may rightly stay silent for longer than any other request lasts."""
        return self.verb in ("watch", "connect") or self.subresource == "log"

    def creation(self, content_type: str) -> Creation:
        """How it could create an object; `content_type` without parameters."""
        if not self.is_resource or self.subresource:
            return Creation.NONE
        if self.verb == "create" and not self.name:
            return Creation.POST
        if self.verb == "update" and self.name:
            return Creation.PUT
        if self.verb == "patch" and self.name and content_type in APPLY_PATCHES:
            return Creation.APPLY
        return Creation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """What a run may touch, by reading or writing; requests for no resource (discovery, version) are always allowed."""

    namespaces: frozenset[str] | None = None
    """`None`: all, and cluster-scoped objects too. With a set, neither those nor requests across namespaces."""
    resources: frozenset[tuple[str, str]] | None = None
    """Group and plural of each; `None`: all."""

    def refusal(self, request: ApiRequest) -> str:
        """Say why a request is not allowed; empty if it is."""
        if not request.is_resource:
            return ""
        if self.resources is not None and (request.group, request.plural) not in self.resources:
            what = f"{request.plural}.{request.group}" if request.group else request.plural
            return f"this run may not touch {what}"
        if self.namespaces is not None:
            namespace = request.name if _is_namespace(request) else request.namespace
            if namespace not in self.namespaces:
                return f"this run may not touch {'namespace ' + namespace if namespace else 'more than its namespaces'}"
        return ""


def _is_namespace(request: ApiRequest) -> bool:
    return (request.group, request.plural) == ("", "namespaces")


def parse_request(method: str, raw_path: str, query: str) -> ApiRequest:
    """Read a request as the API server does.

    Args:
        method: upper case.
        raw_path: the target's path as sent, percent escapes included.
        query: what follows the question mark.

    Raises:
        BadPath: there are two ways to read it.
    """
    parts = _segments(raw_path)
    prefix, *rest = parts
    if prefix == "api" and len(rest) >= 2:
        group, version, *rest = "", *rest
    elif prefix == "apis" and len(rest) >= 3:
        group, version, *rest = rest
    else:
        return ApiRequest(method=method, verb=method.lower(), path=raw_path)
    watched = rest[0] == "watch"  # the old spelling of a watch, still served
    if watched:
        rest = rest[1:]
    namespace, rest = _scope(rest)
    if not rest:
        return ApiRequest(method=method, verb=method.lower(), path=raw_path)
    plural, name, subresource = (*rest, "", "")[:3]
    return ApiRequest(
        method=method,
        verb="watch" if watched else _verb(method, plural, name, subresource, query, group=group),
        path=raw_path,
        is_resource=True,
        group=group,
        version=version,
        namespace=namespace,
        plural=plural,
        name=name,
        subresource=subresource,
    )


def _segments(raw_path: str) -> list[str]:
    if not raw_path.startswith("/"):
        raise BadPath("the request target must be a path; the address of the gateway must not be reached by a proxy")
    if not _PLAIN.fullmatch(raw_path):
        raise BadPath("the path holds a backslash, '#', white space, a control character or bytes that are not ASCII")
    if "//" in raw_path:
        raise BadPath("the path holds an empty segment")
    if _MALFORMED.search(raw_path) or _ENCODED_TRICK.search(raw_path):
        raise BadPath("the path holds a percent escape that is malformed, or stands for '/', '.', '%', '\\' or control")
    try:
        parts = [unquote(part, errors="strict") for part in raw_path.strip("/").split("/")]
    except UnicodeDecodeError as error:
        raise BadPath("the path's percent escapes are no UTF-8") from error
    if "." in parts or ".." in parts:
        raise BadPath("the path holds a relative segment")
    return parts


def _scope(parts: list[str]) -> tuple[str, list[str]]:
    """Split off `namespaces/NAME`, unless that is itself the object."""
    if len(parts) > 2 and parts[0] == "namespaces" and parts[2] not in _NAMESPACE_SUBRESOURCES:
        return parts[1], parts[2:]
    return "", parts


def _verb(method: str, plural: str, name: str, subresource: str, query: str, *, group: str) -> str:
    if not group and name and _connects(plural, subresource):
        return "connect"
    verb = _VERBS.get(method, method.lower())
    if name:
        return verb
    if verb == "get":
        return "watch" if _watches(query) else "list"
    return "deletecollection" if verb == "delete" else verb


def _connects(plural: str, subresource: str) -> bool:
    if plural == "pods":
        return subresource in _COMMANDS or subresource == "proxy"
    return subresource == "proxy" and plural in ("services", "nodes")


def _watches(query: str) -> bool:
    """The first value counts, and anything but these two words is a yes: so does the API server convert."""
    values = [value for key, value in parse_qsl(query, keep_blank_values=True) if key == "watch"]
    return bool(values) and values[0].lower() not in ("false", "0")


def with_dry_run(query: str) -> str:
    """Have the server do everything but store the result, whatever the query said of it."""
    kept = [(key, value) for key, value in parse_qsl(query, keep_blank_values=True) if key != "dryRun"]
    return urlencode([*kept, ("dryRun", "All")])
