"""The control plane's command lines."""

import json
from pathlib import Path

import pytest

from cluster import components
from cluster.components import Component, Layout, Ports, Settings

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def settings(
    *,
    address: str = "127.0.0.1",
    durable: bool = False,
    audit: bool = False,
    controller_manager: bool = True,
    scheduler: bool = True,
) -> Settings:
    return Settings(
        layout=Layout(Path("/d")),
        ports=Ports(etcd_client=1, etcd_peer=2, api_server=3, controller_manager=4, scheduler=5),
        binaries={name: Path("/bin") / name for name in NAMES},
        address=address,
        durable=durable,
        audit=audit,
        controller_manager=controller_manager,
        scheduler=scheduler,
    )


def planned(name: str, **changes: object) -> Component:
    plan = {component.name: component for component in components.plan(settings(**changes))}  # type: ignore[arg-type]
    return plan[name]


def test_plan_starts_what_the_others_need_first() -> None:
    assert tuple(component.name for component in components.plan(settings())) == NAMES


def test_plan_leaves_out_what_was_not_asked_for() -> None:
    plan = components.plan(settings(controller_manager=False, scheduler=False))
    assert [component.name for component in plan] == ["etcd", "kube-apiserver"]


def test_etcd_listens_on_loopback_and_asks_for_client_certificates() -> None:
    """It holds every secret of the cluster, in clear."""
    arguments = planned("etcd", address="192.0.2.7").arguments
    assert [argument for argument in arguments if "listen" in argument] == [
        "--listen-client-urls=https://127.0.0.1:1",
        "--listen-peer-urls=https://127.0.0.1:2",
    ]
    assert "--client-cert-auth" in arguments


@pytest.mark.parametrize("durable", [True, False])
def test_etcd_writes_through_only_when_durable(durable: bool) -> None:
    assert ("--unsafe-no-fsync" in planned("etcd", durable=durable).arguments) is not durable


def test_api_server_stays_on_loopback_unless_pods_must_reach_it() -> None:
    assert "--bind-address=127.0.0.1" in planned("kube-apiserver").arguments
    reachable = planned("kube-apiserver", address="192.0.2.7").arguments
    assert "--bind-address=0.0.0.0" in reachable
    assert "--advertise-address=192.0.2.7" in reachable


def test_api_server_checks_owner_references_and_rights() -> None:
    """As OpenShift does: a finalizer right is needed to set blockOwnerDeletion."""
    arguments = planned("kube-apiserver").arguments
    assert "--enable-admission-plugins=OwnerReferencesPermissionEnforcement" in arguments
    assert "--authorization-mode=Node,RBAC" in arguments


@pytest.mark.parametrize("audit", [True, False])
def test_api_server_writes_the_audit_log_when_asked(audit: bool) -> None:
    arguments = planned("kube-apiserver", audit=audit).arguments
    assert ("--audit-log-path=/d/audit.log" in arguments) is audit


def test_controllers_listen_on_loopback() -> None:
    for name in NAMES[2:]:
        assert "--bind-address=127.0.0.1" in planned(name, address="192.0.2.7").arguments


def test_audit_policy_keeps_whole_requests_of_what_tests_read() -> None:
    policy = json.loads(components.audit_policy())
    assert policy["omitStages"] == ["RequestReceived"]
    first, last = policy["rules"]
    assert first["level"] == "RequestResponse"
    assert {rule["group"] for rule in first["resources"]} == {"coordination.k8s.io", "batch", "mmontes.io"}
    assert last == {"level": "Metadata"}
