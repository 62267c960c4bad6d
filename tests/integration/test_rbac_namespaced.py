"""The operator bound to some namespaces only. Apart from test_rbac, whose module gives it the rights for all."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from harness import ECHO, JOB, Api, echo, succeeded
from manifests import kustomized
from operator_account import USER, allowed, asked_by, operating, rights_given
from scripts.overlay import overlay

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


async def test_bound_to_namespaces_it_serves_these_and_sees_no_other(
    api: Api, control_plane: "ControlPlane", tmp_path: Path
) -> None:
    """The overlay that `make deploy WATCH_NAMESPACE=one,two` writes."""
    names = [f"bound-{number}" for number in ("one", "two", "three")]
    for name in names:
        await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        await api.create(echo("hello", name))
    for name, content in overlay(tmp_path, image="mine", namespaces=names[:2]).items():
        (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    objects = await asyncio.to_thread(kustomized, control_plane.kubectl, tmp_path)
    start = control_plane.audit_log.stat().st_size
    with rights_given(control_plane, objects), operating(control_plane, objects, tmp_path):
        for name in names[:2]:
            await api.until(ECHO, name, "hello", succeeded)
        for verb in ("get", "list", "watch"):
            assert [await allowed(api, USER, name, verb, "echos") for name in names] == [True, True, False]
    assert await api.get(JOB, names[2], "hello") is None
    assert [request for request in asked_by(USER, control_plane.audit_log, start) if not request.allowed] == []
    for name in names:
        await api.clear(name)
