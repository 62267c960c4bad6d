"""Counting requests in an audit log: what is a write, whose it is, and what is left out."""

import json
from typing import Any

from bench.audit import Request, requests_of
from bench.scenarios.resync import request_figures

OWN, ROLE = "ansible-operator/0.1.0", "OpenAPI-Generator/37.0.2/python"


def event(verb: str, resource: str, *, user: str = "me", agent: str = OWN, subresource: str = "") -> bytes:
    target = {"resource": resource, **({"subresource": subresource} if subresource else {})}
    body: dict[str, Any] = {"verb": verb, "user": {"username": user}, "objectRef": target, "userAgent": agent}
    return json.dumps(body).encode()


def test_requests_of_others_of_leases_and_of_no_resource_are_left_out() -> None:
    discovery = json.dumps({"verb": "get", "user": {"username": "me"}, "requestURI": "/apis"}).encode()
    lines = [event("get", "echos"), event("get", "echos", user="you"), event("update", "leases"), discovery]
    assert requests_of(lines, "me") == [Request(verb="get", resource="echos", agent=OWN)]


def test_a_request_is_named_with_its_subresource_and_a_refused_write_is_one() -> None:
    """A refused write was asked for all the same, so a reconcile that only fails to write is no no-op."""
    (request,) = requests_of([event("patch", "echos", subresource="status")], "me")
    assert request.what == "patch echos/status"
    assert request.is_write


def test_reads_are_told_apart_by_agent_and_lists_and_watches_are_no_reads_of_a_reconcile() -> None:
    verbs = ("list", "watch", "get", "get", "get", "get")
    lines = [*(event(verb, "echos") for verb in verbs), event("get", "jobs", agent=ROLE), event("create", "jobs")]
    assert request_figures(requests_of(lines, "me"), 2) == {
        "writes": 1,
        "runtime_reads_per_reconcile": 2.0,
        "role_reads_per_reconcile": 0.5,
    }
