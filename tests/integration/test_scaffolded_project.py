"""A project of Operator SDK's scaffold, written for the Go runtime, runs as it lies there: nothing in it is changed.

It is started in its directory with the arguments and variables of its own Deployment, and with the rights that its own
RBAC gives, Lease and all. The control plane has no node, so the Deployment's own Pod never starts.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from harness import DEPLOYMENT, Api, Operator, condition_of, succeeded
from projects import Cluster
from runner.objects import GroupVersionKind, Raw
from scaffold import Scaffold

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PROJECT = "demo-operator"
GROUP = "demo.example.com"
SYSTEM = f"{PROJECT}-system"
ACCOUNT = f"{PROJECT}-controller-manager"
SPACE = "scaffold"
SECRET = GroupVersionKind("", "v1", "Secret")
OPTIONAL = {("create", "events"), ("list", "customresourcedefinitions"), ("list", "apiservices")}
"""Rights that the scaffold does not give, and that the operator can do without."""

# As people wrote them for Ansible 2.9 and after: short names, no spaces in templates, yes and no.
TASKS = """
    ---
    # tasks file for Cache
    - name: what does this cluster have
      set_fact:
        api_groups: "{{ lookup('k8s', cluster_info='api_groups', kubeconfig=lookup('env', 'K8S_AUTH_KUBECONFIG')) }}"

    - name: start memcached
      k8s:
        definition: "{{ lookup('template', 'deployment.yml.j2') }}"
      when: "'apps' in api_groups"

    - block:
      - fail: msg="not today"
      rescue:
      - k8s_status:
          api_version: demo.example.com/v1alpha1
          kind: Cache
          name: "{{ ansible_operator_meta.name }}"
          namespace: "{{ ansible_operator_meta.namespace }}"
          status:
            size: "{{size}}"
            port: "{{ _demo_example_com_cache_spec.listenPort }}"
            groups: "{{ api_groups | select('match', 'apps') | list }}"

    - osdk_metric:
        name: caches_reconciled
        description: how often
        counter:
          increment: yes
"""
TEMPLATE = """
    kind: Deployment
    apiVersion: apps/v1
    metadata:
      name: '{{ ansible_operator_meta.name }}-memcached'
      namespace: '{{ ansible_operator_meta.namespace }}'
    spec:
      replicas: {{size}}
      selector:
        matchLabels:
          app: memcached
      template:
        metadata:
          labels:
            app: memcached
        spec:
          containers:
          - name: memcached
            image: memcached:1.4.36-alpine
            command: [memcached, -m=64, -o, modern, -v]
            ports:
            - containerPort: {{listen_port}}
"""
FINALIZER = """
    ---
    - name: delete what is left
      k8s:
        kind: Secret
        api_version: v1
        name: deleteme
        namespace: '{{ ansible_operator_meta.namespace }}'
        state: absent
"""


def kind(name: str) -> GroupVersionKind:
    return GroupVersionKind(GROUP, "v1alpha1", name)


def lay_out(directory: Path) -> Scaffold:
    """Three kinds as they were generated, and one with a role that somebody has written."""
    project = Scaffold(directory, PROJECT, GROUP)
    project.init()
    project.create_api("Bare", role=True)
    project.create_api("Empty", playbook=True)
    project.create_api("Both", role=True, playbook=True)
    project.create_api("Cache", role=True, playbook=True)
    project.write("roles/cache/tasks/main.yml", TASKS)
    project.write("roles/cache/templates/deployment.yml.j2", TEMPLATE)
    project.write("roles/cachefin/tasks/main.yml", FINALIZER)
    project.write("roles/cachefin/meta/main.yml", "collections: [kubernetes.core]\n")
    watches = directory / "watches.yaml"
    finalizer = f"  finalizer:\n    name: {GROUP}/finalizer\n    role: cachefin\n"
    text = watches.read_text(encoding="utf-8")
    watches.write_text(text.replace("playbooks/cache.yml\n", f"playbooks/cache.yml\n{finalizer}"), encoding="utf-8")
    return project


def fingerprint(directory: Path) -> dict[str, str]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@dataclass(frozen=True, slots=True)
class Running:
    """The project as it was when the operator was started in it, and the operator."""

    directory: Path
    before: dict[str, str]
    operator: Operator


@pytest.fixture(scope="module", autouse=True)
def running(control_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("scaffold")
    project = lay_out(directory / "project")
    cluster = Cluster(control_plane)
    before = fingerprint(project.directory)
    overlay = project.directory / "config" / "default"
    cluster.install(overlay)
    cluster.namespace(SPACE)
    manager = container(cluster.kubectl("kustomize", str(overlay)))
    # Ports of their own, because others test on this machine; and the namespace, which a Pod finds in its account.
    arguments = [argument for argument in manager["args"] if "-bind-address=" not in argument]
    operator = Operator(
        kubeconfig=cluster.as_account(SYSTEM, ACCOUNT, directory),
        directory=directory / "operator",
        project=project.directory,
        arguments=[*arguments, f"--leader-election-namespace={SYSTEM}"],
        environment={entry["name"]: entry["value"] for entry in manager["env"]},
    )
    try:
        yield Running(project.directory, before, operator.wait_ready())
    finally:
        operator.dispose()
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")
        cluster.kubectl("delete", "-k", str(overlay), "--wait=false")


def container(manifests: str) -> dict[str, Any]:
    """The manager's container in the Deployment that the project would be run by."""
    (found,) = (obj for obj in yaml.safe_load_all(manifests) if obj["kind"] == "Deployment")
    manager: dict[str, Any] = found["spec"]["template"]["spec"]["containers"][0]
    return manager


def resource(name: str, of: str, **spec: Any) -> Raw:
    body: Raw = {"apiVersion": f"{GROUP}/v1alpha1", "kind": of, "metadata": {"name": name, "namespace": SPACE}}
    return {**body, "spec": spec} if spec else body


@pytest.mark.parametrize("name", ["Bare", "Empty", "Both"])
async def test_kinds_succeed_as_they_were_generated(api: Api, name: str) -> None:
    """A role without tasks, a playbook without tasks, and a playbook that imports that role from roles/."""
    await api.create(resource("generated", name))
    obj = await api.until(kind(name), SPACE, "generated", succeeded)
    assert condition_of(obj, "Failure")["status"] == "False"


async def test_role_in_the_style_of_its_time_does_what_it_did(api: Api, running: Running) -> None:
    await api.create(resource("old", "Cache", size=3, listenPort=11211))
    obj = await api.until(kind("Cache"), SPACE, "old", succeeded)
    deployment = await api.get(DEPLOYMENT, SPACE, "old-memcached")
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 3
    assert deployment["metadata"]["ownerReferences"][0]["name"] == "old"
    assert (obj["status"]["size"], obj["status"]["port"], obj["status"]["groups"]) == (3, 11211, ["apps"])
    assert [line for line in running.operator.lines("reconcile failed") if line["ref"] == f"{SPACE}/old"] == []


async def test_hand_on_a_child_is_undone(api: Api) -> None:
    await api.create(resource("drifts", "Cache", size=2, listenPort=11211))
    await api.until(kind("Cache"), SPACE, "drifts", succeeded)
    await api.patch(DEPLOYMENT, SPACE, "drifts-memcached", {"spec": {"replicas": 1}})
    await api.until(DEPLOYMENT, SPACE, "drifts-memcached", lambda found: found["spec"]["replicas"] == 2)


async def test_finalizer_role_runs_before_the_resource_goes(api: Api) -> None:
    await api.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "deleteme", "namespace": SPACE}})
    await api.create(resource("going", "Cache", size=1, listenPort=11211))
    obj = await api.until(kind("Cache"), SPACE, "going", succeeded)
    assert obj["metadata"]["finalizers"] == [f"{GROUP}/finalizer"]
    await api.delete(kind("Cache"), SPACE, "going")
    await api.gone(kind("Cache"), SPACE, "going")
    assert await api.get(SECRET, SPACE, "deleteme") is None


async def test_rights_of_the_scaffold_are_enough(api: Api, control_plane: "ControlPlane") -> None:
    """What the API server refused is what the operator can do without."""
    await api.create(resource("counted", "Cache", size=1, listenPort=11211))
    await api.until(kind("Cache"), SPACE, "counted", succeeded)
    user = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
    events = [json.loads(line) for line in control_plane.audit_log.read_text(encoding="utf-8").splitlines()]
    ours = [event for event in events if event["user"]["username"] == user and "responseStatus" in event]
    refused = {
        (event["verb"], event["objectRef"]["resource"]) for event in ours if event["responseStatus"]["code"] == 403
    }
    assert ours
    assert refused <= OPTIONAL


async def test_no_file_of_the_project_was_changed(api: Api, running: Running) -> None:
    await api.create(resource("last", "Both"))
    await api.until(kind("Both"), SPACE, "last", succeeded)
    assert fingerprint(running.directory) == running.before
