"""How request paths are read: as the API server reads them, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateway.policy import ApiRequest, BadPath, Creation, Restriction, parse_request, with_dry_run

MAPS = "/api/v1/namespaces/n/configmaps"
JOBS = "/apis/batch/v1/namespaces/n/jobs"


def read(method: str, target: str) -> ApiRequest:
    path, _, query = target.partition("?")
    return parse_request(method, path, query)


@pytest.mark.parametrize(
    ("method", "target", "verb", "place"),
    [
        # verb by method, and by whether there is a name
        ("GET", MAPS, "list", ("", "v1", "n", "configmaps", "", "")),
        ("HEAD", MAPS, "list", ("", "v1", "n", "configmaps", "", "")),
        ("GET", f"{MAPS}/", "list", ("", "v1", "n", "configmaps", "", "")),
        ("GET", f"{MAPS}/x", "get", ("", "v1", "n", "configmaps", "x", "")),
        ("POST", MAPS, "create", ("", "v1", "n", "configmaps", "", "")),
        ("PUT", f"{MAPS}/x", "update", ("", "v1", "n", "configmaps", "x", "")),
        ("PATCH", f"{MAPS}/x", "patch", ("", "v1", "n", "configmaps", "x", "")),
        ("DELETE", f"{MAPS}/x", "delete", ("", "v1", "n", "configmaps", "x", "")),
        ("DELETE", MAPS, "deletecollection", ("", "v1", "n", "configmaps", "", "")),
        # a list becomes a watch by the first value of the parameter, and anything but two words is a yes
        ("GET", f"{MAPS}?watch=true", "watch", ("", "v1", "n", "configmaps", "", "")),
        ("GET", f"{MAPS}?watch=1&watch=false", "watch", ("", "v1", "n", "configmaps", "", "")),
        ("GET", f"{MAPS}?watch", "watch", ("", "v1", "n", "configmaps", "", "")),
        ("GET", f"{MAPS}?w%61tch=yes", "watch", ("", "v1", "n", "configmaps", "", "")),
        ("GET", f"{MAPS}?watch=False", "list", ("", "v1", "n", "configmaps", "", "")),
        ("GET", f"{MAPS}?watch=0&watch=1", "list", ("", "v1", "n", "configmaps", "", "")),
        ("GET", f"{MAPS}/x?watch=true", "get", ("", "v1", "n", "configmaps", "x", "")),
        ("GET", "/api/v1/watch/namespaces/n/configmaps", "watch", ("", "v1", "n", "configmaps", "", "")),
        # scope
        ("GET", "/api/v1/configmaps", "list", ("", "v1", "", "configmaps", "", "")),
        ("POST", "/api/v1/namespaces", "create", ("", "v1", "", "namespaces", "", "")),
        ("GET", "/api/v1/namespaces/n", "get", ("", "v1", "", "namespaces", "n", "")),
        ("PUT", "/api/v1/namespaces/n/finalize", "update", ("", "v1", "", "namespaces", "n", "finalize")),
        ("PATCH", "/api/v1/namespaces/n/status", "patch", ("", "v1", "", "namespaces", "n", "status")),
        ("POST", "/apis/rbac.x/v1/clusterroles", "create", ("rbac.x", "v1", "", "clusterroles", "", "")),
        ("GET", "/apis/rbac.x/v1/clusterroles/a%3Ab", "get", ("rbac.x", "v1", "", "clusterroles", "a:b", "")),
        # subresources
        ("PUT", f"{JOBS}/x/status", "update", ("batch", "v1", "n", "jobs", "x", "status")),
        ("POST", "/api/v1/namespaces/n/pods/p/eviction", "create", ("", "v1", "n", "pods", "p", "eviction")),
        ("GET", "/api/v1/namespaces/n/pods/p/log", "get", ("", "v1", "n", "pods", "p", "log")),
        ("GET", "/api/v1/namespaces/n/pods/p/exec?command=x", "connect", ("", "v1", "n", "pods", "p", "exec")),
        ("POST", "/api/v1/namespaces/n/pods/p/attach", "connect", ("", "v1", "n", "pods", "p", "attach")),
        (
            "GET",
            "/api/v1/namespaces/n/services/s:80/proxy/a/b",
            "connect",
            ("", "v1", "n", "services", "s:80", "proxy"),
        ),
        ("GET", "/apis/x/v1/namespaces/n/pods/p/exec", "get", ("x", "v1", "n", "pods", "p", "exec")),
    ],
)
def test_resource_requests(method: str, target: str, verb: str, place: tuple[str, ...]):
    asked = read(method, target)
    found = (asked.group, asked.version, asked.namespace, asked.plural, asked.name, asked.subresource)
    assert (asked.is_resource, asked.verb, found) == (True, verb, place)


@pytest.mark.parametrize(
    "target",
    ["/", "/version", "/api", "/api/v1", "/apis", "/apis/batch", "/apis/batch/v1", "/openapi/v3", "/api/v1/watch"],
)
def test_other_requests_name_no_resource(target: str):
    assert read("GET", target) == ApiRequest(method="GET", verb="get", path=target)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/n/../m/secrets",
        "/api/v1/namespaces/n/./secrets",
        "/api/v1/namespaces/n/%2e%2e/secrets",
        "/api/v1/namespaces/n/.%2E/secrets",
        "/api/v1/namespaces/n%2Fsecrets",
        "/api/v1/namespaces/n%2fsecrets",
        "/api/v1//namespaces/n/secrets",
        "//api/v1/secrets",
        "/api/v1/secrets//",
        "/api/v1/namespaces\\n/secrets",
        "/api/v1/namespaces/n%5csecrets",
        "/api/v1/namespaces/n%252Fsecrets",
        "/api/v1/namespaces/n/secrets/a%00",
        "/api/v1/namespaces/n/secrets/a%0d%0ab",
        "/api/v1/namespaces/n/secrets/a\tb",
        "/api/v1/namespaces/n/secrets/a b",
        "/api/v1/namespaces/n/secrets/a#b",
        "/api/v1/namespaces/n/secrets/\u00e4",
        "/api/v1/namespaces/n/secrets/%ff",
        "/api/v1/namespaces/n/secrets/%zz",
        "/api/v1/namespaces/n/secrets/a%",
        "http://elsewhere/api/v1/secrets",
        "elsewhere:443",
        "*",
        "",
    ],
)
def test_tricks_are_refused(path: str):
    with pytest.raises(BadPath):
        parse_request("GET", path, "")


@given(st.text(alphabet="/.%2fFeE5cC\\ab:-", max_size=20))
def test_what_is_accepted_has_one_reading(tail: str):
    """No accepted path holds a segment that decoding or cleaning would turn into something else."""
    try:
        asked = parse_request("GET", f"/api/v1/namespaces/n/{tail}", "")
    except BadPath:
        return
    for part in (asked.namespace, asked.plural, asked.name, asked.subresource):
        assert part not in (".", "..")
        assert not set(part) & set("/\\%")


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", MAPS, False),
        ("HEAD", MAPS, False),
        ("OPTIONS", MAPS, False),
        ("POST", MAPS, True),
        ("PUT", f"{MAPS}/x", True),
        ("PATCH", f"{MAPS}/x", True),
        ("DELETE", MAPS, True),
        ("GET", "/api/v1/namespaces/n/pods/p/exec", True),
        ("GET", "/api/v1/namespaces/n/pods/p/portforward", True),
        ("GET", "/api/v1/namespaces/n/services/s/proxy/x", False),
        ("POST", "/api/v1/namespaces/n/services/s/proxy/x", True),
        ("GET", "/api/v1/namespaces/n/pods/p/log", False),
    ],
)
def test_writes(method: str, target: str, expected: bool):
    assert read(method, target).is_write is expected


@pytest.mark.parametrize(
    ("method", "target", "content_type", "expected"),
    [
        ("POST", MAPS, "application/json", Creation.POST),
        ("POST", f"{MAPS}/x", "application/json", Creation.NONE),
        ("POST", "/api/v1/namespaces/n/serviceaccounts/x/token", "application/json", Creation.NONE),
        ("PUT", f"{MAPS}/x", "application/json", Creation.PUT),
        ("PUT", f"{MAPS}/x/status", "application/json", Creation.NONE),
        ("PATCH", f"{MAPS}/x", "application/apply-patch+yaml", Creation.APPLY),
        ("PATCH", f"{MAPS}/x", "application/apply-patch+cbor", Creation.APPLY),
        ("PATCH", f"{MAPS}/x/status", "application/apply-patch+yaml", Creation.NONE),
        ("PATCH", f"{MAPS}/x", "application/merge-patch+json", Creation.NONE),
        ("DELETE", f"{MAPS}/x", "application/json", Creation.NONE),
        ("POST", "/version", "application/json", Creation.NONE),
    ],
)
def test_creations(method: str, target: str, content_type: str, expected: Creation):
    assert read(method, target).creation(content_type) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "dryRun=All"),
        ("dryRun=", "dryRun=All"),
        ("dryRun=All&dryRun=None&fieldManager=a%20b", "fieldManager=a+b&dryRun=All"),
        ("dry%52un=x&force", "force=&dryRun=All"),
    ],
)
def test_dry_run_replaces_what_the_query_says_of_it(query: str, expected: str):
    assert with_dry_run(query) == expected


@pytest.mark.parametrize(
    ("restriction", "target", "allowed"),
    [
        (Restriction(), "/api/v1/secrets", True),
        (Restriction(namespaces=frozenset({"n"})), MAPS, True),
        (Restriction(namespaces=frozenset({"n"})), "/api/v1/namespaces/n", True),
        (Restriction(namespaces=frozenset({"n"})), "/api/v1/namespaces/m/configmaps", False),
        (Restriction(namespaces=frozenset({"n"})), "/api/v1/namespaces/m", False),
        (Restriction(namespaces=frozenset({"n"})), "/api/v1/configmaps", False),
        (Restriction(namespaces=frozenset({"n"})), "/api/v1/nodes/x", False),
        (Restriction(namespaces=frozenset({"n"})), "/apis/batch/v1", True),
        (Restriction(namespaces=frozenset()), "/version", True),
        (Restriction(resources=frozenset({("batch", "jobs")})), JOBS, True),
        (Restriction(resources=frozenset({("batch", "jobs")})), MAPS, False),
        (Restriction(resources=frozenset({("", "jobs")})), JOBS, False),
    ],
)
def test_restrictions(restriction: Restriction, target: str, allowed: bool):
    assert (restriction.refusal(read("GET", target)) == "") is allowed
