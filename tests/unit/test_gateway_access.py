"""Tokens: who is let in, for how long, and how clients carry them."""

import base64

import yaml

from runner.gateway.access import Access, Grant, Registry, kubeconfig
from runner.gateway.discovery import Question
from runner.objects import GroupVersionKind, ObjectRef, RunId, Uid

GRANT = Grant(
    run_id=RunId("r"),
    owner_gvk=GroupVersionKind("g", "v1", "K"),
    owner_ref=ObjectRef("n", "x"),
    owner_uid=Uid("u"),
    owner_namespaced=True,
)


def issue(registry: Registry) -> Access:
    return registry.issue(GRANT, host="127.0.0.1", port=1234)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_a_token_is_found_in_either_scheme():
    registry = Registry()
    access = issue(registry)
    for header in (
        f"Bearer {access.token}",
        f"bearer  {access.token} ",
        basic(f"run:{access.token}"),
        basic(f":{access.token}"),
    ):
        session = registry.find(header)
        assert session is not None, header
        assert session.grant is GRANT


def test_nothing_else_is_found():
    registry = Registry()
    access = issue(registry)
    for header in (
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        access.token,
        f"Digest {access.token}",
        f"Bearer {access.token[:-1]}",
        basic(access.token),
        basic(f"{access.token}:"),
        "Basic !!!",
        "Basic " + base64.b64encode(b"run:\xff\xfe").decode(),
        "Bearer \udcff",
    ):
        assert registry.find(header) is None, header


def test_a_withdrawn_token_is_unknown_and_the_others_stay():
    registry = Registry()
    one, two = issue(registry), issue(registry)
    assert one.token != two.token
    registry.withdraw(one)
    registry.withdraw(one)
    assert registry.find(f"Bearer {one.token}") is None
    assert registry.find(f"Bearer {two.token}") is not None
    registry.withdraw_all()
    assert registry.find(f"Bearer {two.token}") is None


def test_a_token_does_not_show_in_logs():
    access = issue(Registry())
    assert access.token not in repr(access)
    assert access.token in access.url


def test_kubeconfig_carries_the_token_for_both_kinds_of_clients():
    access = issue(Registry())
    config = yaml.safe_load(kubeconfig(access, "n"))
    assert config["clusters"][0]["cluster"]["server"] == f"http://run:{access.token}@127.0.0.1:1234"
    assert config["users"][0]["user"] == {"token": access.token}
    context = config["contexts"][0]
    assert context == {
        "name": config["current-context"],
        "context": {"cluster": config["clusters"][0]["name"], "user": config["users"][0]["name"], "namespace": "n"},
    }


def test_kubeconfig_of_a_cluster_scoped_owner_names_no_namespace():
    config = yaml.safe_load(kubeconfig(issue(Registry()), ""))
    assert "namespace" not in config["contexts"][0]["context"]


def test_a_session_remembers_what_a_client_was_answered_and_stays_small():
    registry = Registry()
    session = registry.find(f"Bearer {issue(registry).token}")
    assert session is not None
    apis = Question(path="/apis", query="", accept="", encoding="")
    session.answered(("127.0.0.1", 1), apis, 5.0)
    assert session.answered_at(("127.0.0.1", 1), apis) == 5.0
    assert session.answered_at(("127.0.0.1", 2), apis) is None
    for port in range(2, 2000):
        session.answered(("127.0.0.1", port), apis, 6.0)
    assert session.answered_at(("127.0.0.1", 1999), apis) == 6.0
    assert session.answered_at(("127.0.0.1", 1), apis) is None, "what was long not asked is forgotten"


def test_a_session_tells_new_versions_from_known_ones_and_stays_small():
    registry = Registry()
    session = registry.find(f"Bearer {issue(registry).token}")
    assert session is not None
    assert [session.saw("/a", version) for version in ("1", "1", "2", "2")] == [True, False, True, False]
    for index in range(2000):
        session.saw(f"/{index}", "1")
    assert session.saw("/1999", "1") is False
    assert session.saw("/a", "2") is True, "what was long not seen is forgotten"


def test_a_blacklist_and_the_switch_end_watching():
    kind = GroupVersionKind("", "v1", "ConfigMap")
    assert GRANT.watches(kind)
    for changes in ({"watch_dependents": False}, {"blacklist": frozenset({kind})}):
        grant = Grant(
            run_id=GRANT.run_id,
            owner_gvk=GRANT.owner_gvk,
            owner_ref=GRANT.owner_ref,
            owner_uid=GRANT.owner_uid,
            owner_namespaced=True,
            **changes,
        )
        assert not grant.watches(kind)
