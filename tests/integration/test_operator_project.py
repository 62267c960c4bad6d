"""A project as Operator SDK's documentation teaches it, unmodified: its files, its flags, its variables and its rights.

One operator serves all tests, under a service account that has what the scaffold's config/rbac gives and nothing else.
"""

import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from harness import Api, Operator, condition_of, eventually
from runner.objects import GroupVersionKind, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

GROUP = "project.example.com"
SYSTEM = "project-system"
FINALIZER = "project.example.com/finalizer"
SECRET = GroupVersionKind("", "v1", "Secret")
KINDS = ("Again", "Bare", "Gone", "Kept", "Whole")
PASSWORD = "not-much-of-one"


def gvk(kind: str) -> GroupVersionKind:
    return GroupVersionKind(GROUP, "v1", kind)


ME = "api_version: project.example.com/v1, name: '{{ ansible_operator_meta.name }}', namespace: '{{ ansible_operator_meta.namespace }}'"
FILES = {
    "watches.yaml": f"""
        - {{version: v1, group: {GROUP}, kind: Again, role: again}}
        - {{version: v1, group: {GROUP}, kind: Bare, role: acme.web.bare}}
        - {{version: v1, group: {GROUP}, kind: Gone, role: gone}}
        - version: v1
          group: {GROUP}
          kind: Kept
          role: kept
          finalizer: {{name: {FINALIZER}, vars: {{state: absent}}}}
        - {{version: v1, group: {GROUP}, kind: Whole, playbook: playbooks/whole.yml}}
        """,
    "ansible.cfg": "[defaults]\nfilter_plugins = ./filters\n",
    "filters/shout.py": """
        class FilterModule:
            def filters(self):
                return {"shout": lambda text: text.upper() + "!"}
        """,
    "inventory/hosts": "localhost ansible_connection=local ansible_python_interpreter={{ansible_playbook_python}}\n",
    "inventory/group_vars/all.yml": "from_inventory: an inventory\n",
    "collections/ansible_collections/acme/web/roles/say/tasks/main.yml": "- set_fact: {said: '{{ words }}'}\n",
    "collections/ansible_collections/acme/web/roles/bare/tasks/main.yml": """
        - kubernetes.core.k8s:
            definition:
              apiVersion: v1
              kind: Secret
              metadata: {name: '{{ ansible_operator_meta.name }}', namespace: '{{ ansible_operator_meta.namespace }}'}
              stringData: {size: '{{ size_in_gb | string }}'}
        """,
    "playbooks/whole.yml": f"""
        - hosts: localhost
          gather_facts: false
          vars_files: [../vars/vaulted.yml]
          tasks:
            - set_fact: {{first: '{{{{ size_in_gb }}}} of {{{{ secret }}}}'}}
        - hosts: all
          gather_facts: false
          collections: [kubernetes.core, operator_sdk.util]
          roles:
            - {{role: acme.web.say, words: a role}}
          tasks:
            - k8s_status:
                {{{ME}, kind: Whole}}
              args:
                status:
                  found:
                    - '{{{{ first }}}}'
                    - '{{{{ said }}}}'
                    - '{{{{ from_inventory }}}}'
                    - "{{{{ lookup('env', 'RELATED_IMAGE_DATABASE') }}}}"
                    - "{{{{ lookup('env', 'ANSIBLE_FORCE_COLOR') }}}}"
                    - "{{{{ 'filters' | shout }}}}"
                    - '{{{{ ansible_verbosity | string }}}}'
        """,
    "roles/again/tasks/main.yml": f"""
        - set_fact: {{count: '{{{{ (_project_example_com_again.status.count | default(0)) | int + 1 }}}}'}}
        - operator_sdk.util.k8s_status: {{{ME}, kind: Again, status: {{count: '{{{{ count | int }}}}'}}}}
        - operator_sdk.util.requeue_after: {{time: 1s}}
          when: count | int < 3
        - name: Whatever comes after it is done too
          operator_sdk.util.k8s_status: {{{ME}, kind: Again, status: {{after: '{{{{ count | int }}}}'}}}}
        """,
    "roles/gone/tasks/main.yml": f"- kubernetes.core.k8s: {{{ME}, kind: Gone, state: absent}}\n",
    "roles/kept/tasks/main.yml": f"""
        - name: Clean up
          when: state | default('present') == 'absent'
          kubernetes.core.k8s:
            {{state: absent, kind: Secret, name: 'deleteme-{{{{ ansible_operator_meta.name }}}}', namespace: '{{{{ ansible_operator_meta.namespace }}}}'}}
        - name: Delete the resource itself
          when: state | default('present') != 'absent' and leave | default(false)
          kubernetes.core.k8s: {{{ME}, kind: Kept, state: absent}}
        - when: state | default('present') != 'absent' and wait | default(false)
          block:
            - name: Say that it goes on
              kubernetes.core.k8s:
                definition:
                  apiVersion: v1
                  kind: Secret
                  metadata: {{name: started, namespace: '{{{{ ansible_operator_meta.namespace }}}}'}}
            - name: Wait for the word to end
              kubernetes.core.k8s_info: {{kind: Secret, name: end, namespace: '{{{{ ansible_operator_meta.namespace }}}}'}}
              register: word
              until: word.resources | length > 0
              retries: 600
              delay: 0.1
        """,
}
# The scaffold's manager-role, leader-election-role and what `create api` adds for each kind.
ALL = ["create", "delete", "get", "list", "patch", "update", "watch"]
MANAGER = [
    {"apiGroups": [""], "resources": ["secrets", "pods", "pods/exec", "pods/log"], "verbs": ALL},
    {"apiGroups": ["apps"], "resources": ["deployments", "daemonsets", "replicasets", "statefulsets"], "verbs": ALL},
    {
        "apiGroups": [GROUP],
        "resources": [f"{kind.lower()}s{part}" for kind in KINDS for part in ("", "/status", "/finalizers")],
        "verbs": ALL,
    },
]
ELECTION = [
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ALL},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ALL},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
]


def write_project(directory: Path) -> Path:
    vaulted = VaultLib([("default", VaultSecret(PASSWORD.encode()))]).encrypt("a vault").decode()
    more = {
        "password": f"{PASSWORD}\n",
        "vars/vaulted.yml": "secret: !vault |\n" + textwrap.indent(vaulted, "  "),
    }
    for name, text in {**FILES, **more}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return directory


def crd(kind: str) -> Raw:
    plural = f"{kind.lower()}s"
    version: Raw = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {
                    part: {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                    for part in ("spec", "status")
                },
            }
        },
    }
    if kind != "Bare":
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


async def scaffold(api: Api, directory: Path) -> str:
    """Install CRDs and rights; return a token of the account that has them."""
    manifests = directory / "manifests"
    manifests.mkdir()
    (manifests / "crds.yaml").write_text(yaml.safe_dump_all([crd(kind) for kind in KINDS]))
    await api.install_crds(manifests)
    await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    name = "controller-manager"
    await api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": SYSTEM}})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": SYSTEM}
    rbac = "rbac.authorization.k8s.io"
    for prefix, rules, place in (
        ("Cluster", MANAGER, {"name": "project-manager"}),
        ("", ELECTION, {"name": "project-election", "namespace": SYSTEM}),
    ):
        role = {"apiGroup": rbac, "kind": f"{prefix}Role", "name": place["name"]}
        await api.apply({"apiVersion": f"{rbac}/v1", "kind": f"{prefix}Role", "metadata": place, "rules": rules})
        await api.apply(
            {
                "apiVersion": f"{rbac}/v1",
                "kind": f"{prefix}RoleBinding",
                "metadata": place,
                "roleRef": role,
                "subjects": [subject],
            }
        )
    body: Raw = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{name}/token"
    return str((await api.client.request("POST", path, body=body))["status"]["token"])


class Project:
    """The project on disk, and operators that serve it."""

    def __init__(self, plane: "ControlPlane", directory: Path, token: str) -> None:
        self._directory = directory
        self._project = write_project(directory / "project")
        settings: dict[str, Any] = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
        settings["users"] = [{"name": entry["name"], "user": {"token": token}} for entry in settings["users"]]
        self._kubeconfig = directory / "kubeconfig"
        self._kubeconfig.write_text(yaml.safe_dump(settings))
        self.operators: list[Operator] = []

    def start(self) -> Operator:
        operator = Operator(
            kubeconfig=self._kubeconfig,
            directory=self._directory / f"operator-{len(self.operators)}",
            project=self._project,
            arguments=(
                "--leader-elect",
                "--leader-election-id=project",
                f"--leader-election-namespace={SYSTEM}",
                f"--ansible-args='--vault-password-file {self._project}/password'",
                f"--ansible-collections-path={self._project}/collections",
                "--zap-log-level=info",
                "--enable-http2=false",
            ),
            environment={
                "ANSIBLE_INVENTORY": "inventory",
                "ANSIBLE_FORCE_COLOR": "false",
                "ANSIBLE_VERBOSITY_WHOLE_PROJECT_EXAMPLE_COM": "1",
                "RELATED_IMAGE_DATABASE": "an image",
            },
        )
        self.operators.append(operator)
        return operator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def project(control_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Project]:
    directory = tmp_path_factory.mktemp("project")
    async with Api(control_plane.kubeconfig) as api:
        project = Project(control_plane, directory, await scaffold(api, directory))
    yield project
    for operator in project.operators:
        operator.dispose()


@pytest.fixture
async def namespace(api: Api, namespace: str) -> AsyncIterator[str]:
    """Its resources go with the test, or the operator that is started anew would begin with them."""
    yield namespace
    for kind in KINDS:
        await api.client.request("DELETE", (await api.resource(gvk(kind))).path(namespace=namespace))


@pytest.fixture
def operator(project: Project) -> Operator:
    running = project.operators[-1] if project.operators else project.start()
    return running.wait_ready()


async def create(
    api: Api, kind: str, namespace: str, name: str, *, finalizers: tuple[str, ...] = (), **spec: Any
) -> Raw:
    metadata = {"name": name, "namespace": namespace, "finalizers": list(finalizers)}
    return await api.create({"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, "spec": spec})


def runs_of(operator: Operator, namespace: str, name: str) -> list[str]:
    """Verdicts of an object's runs."""
    return [line["verdict"] for line in operator.lines("run finished") if line["ref"] == f"{namespace}/{name}"]


async def ended(operator: Operator, namespace: str, name: str, runs: int) -> None:
    """Wait for so many runs of an object, and see that they went well and were no more."""

    async def enough() -> bool:
        return len(runs_of(operator, namespace, name)) >= runs

    await eventually(enough, what=f"{runs} runs of {name}")
    assert runs_of(operator, namespace, name) == ["Succeeded"] * runs


async def test_plays_roles_plugins_inventory_and_vault_are_found(api: Api, namespace: str, operator: Operator) -> None:
    """Several plays, a role by its full name, ansible.cfg, ANSIBLE_INVENTORY, --ansible-args and the environment."""
    await create(api, "Whole", namespace, "x", sizeInGb=3)
    obj = await api.until(gvk("Whole"), namespace, "x", lambda obj: bool((obj.get("status") or {}).get("conditions")))
    obj = await api.until(
        gvk("Whole"), namespace, "x", lambda obj: condition_of(obj, "Ready").get("status") != "Unknown"
    )
    assert condition_of(obj, "Successful").get("status") == "True", condition_of(obj, "Ready")
    assert obj["status"]["found"] == ["3 of a vault", "a role", "an inventory", "an image", "false", "FILTERS!", "1"]


async def test_requeue_after_comes_back_until_the_role_is_content(api: Api, namespace: str, operator: Operator) -> None:
    """Each run to its very end, the status done in between, and none after the last."""
    await create(api, "Again", namespace, "x")
    await api.until(gvk("Again"), namespace, "x", lambda obj: (obj.get("status") or {}).get("after") == 3)
    await ended(operator, namespace, "x", 3)
    obj = await api.until(
        gvk("Again"), namespace, "x", lambda obj: condition_of(obj, "Running").get("status") == "True"
    )
    assert (obj["status"]["count"], condition_of(obj, "Successful")["status"]) == (3, "True")
    await ended(operator, namespace, "x", 3)


async def test_conditions_are_stored_as_the_go_runtime_stores_them(
    api: Api, namespace: str, operator: Operator
) -> None:
    """To the letter, but for times: in that order, with the empty reason and Running=True after the end."""
    await create(api, "Gone", namespace, "other")  # its role deletes it, so it never gets a status
    await create(api, "Whole", namespace, "x", sizeInGb=1)
    obj = await api.until(
        gvk("Whole"), namespace, "x", lambda obj: condition_of(obj, "Successful").get("status") == "True"
    )
    stored = [entry for entry in obj["status"]["conditions"] if entry["type"] != "Ready"]
    for entry in stored:
        assert len(entry.pop("lastTransitionTime")) == len("2026-01-01T12:00:00Z")
    completion = stored[0]["ansibleResult"].pop("completion")
    assert len(completion) == len("2026-01-01T12:00:00.000000+00:00")
    assert stored == [
        {
            "type": "Running",
            "status": "True",
            "reason": "Successful",
            "message": "Awaiting next reconciliation",
            "ansibleResult": {"ok": 3, "changed": 1, "skipped": 0, "failures": 0},
        },
        {"type": "Successful", "status": "True", "reason": "Successful", "message": "Last reconciliation succeeded"},
        {"type": "Failure", "status": "False", "reason": "", "message": ""},
    ]


async def test_deleted_in_the_middle_of_a_run_it_is_finalized_after_it(
    api: Api, namespace: str, operator: Operator
) -> None:
    """Once, and somebody else's finalizer stays until they take it off themselves."""
    await api.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "deleteme-x", "namespace": namespace}})
    await create(api, "Kept", namespace, "x", finalizers=("others.example.com/f",), wait=True)
    await api.until(SECRET, namespace, "started")
    await api.delete(gvk("Kept"), namespace, "x")
    deleted = await api.get(gvk("Kept"), namespace, "x")
    assert deleted is not None
    assert deleted["metadata"]["finalizers"] == ["others.example.com/f", FINALIZER]
    assert await api.get(SECRET, namespace, "deleteme-x") is not None
    await api.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "end", "namespace": namespace}})
    left = ["others.example.com/f"]
    await api.until(gvk("Kept"), namespace, "x", lambda obj: obj["metadata"]["finalizers"] == left)
    assert await api.get(SECRET, namespace, "deleteme-x") is None
    await ended(operator, namespace, "x", 2)
    await api.patch(gvk("Kept"), namespace, "x", {"metadata": {"finalizers": []}})
    await api.gone(gvk("Kept"), namespace, "x")


@pytest.mark.parametrize(("kind", "runs"), [("Gone", 1), ("Kept", 2)], ids=["at once", "through the finalizer"])
async def test_a_role_may_delete_its_own_resource(
    api: Api, namespace: str, operator: Operator, kind: str, runs: int
) -> None:
    await create(api, kind, namespace, "self", leave=True)
    await api.gone(gvk(kind), namespace, "self")
    # Another that is made after it shows that the operator had its chance to try again.
    await create(api, "Gone", namespace, "after")
    await api.gone(gvk("Gone"), namespace, "after")
    await ended(operator, namespace, "self", runs)


async def test_a_kind_without_status_subresource_is_served_and_said_so_once(
    api: Api, namespace: str, operator: Operator
) -> None:
    """Its role is one of a collection, named in full in watches.yaml."""
    for name in ("one", "two"):
        await create(api, "Bare", namespace, name, sizeInGb=5)
        await api.until(SECRET, namespace, name)
        await ended(operator, namespace, name, 1)
    obj = await api.get(gvk("Bare"), namespace, "one")
    assert obj is not None
    assert "status" not in obj
    assert len(operator.lines("this kind has no status subresource, so no status is written")) == 1


async def test_a_right_that_the_scaffold_does_not_give_is_one_line_and_a_count(
    api: Api, namespace: str, operator: Operator
) -> None:
    """No Events but in its own namespace, and no look at the definitions of kinds: nothing fails for that."""
    for name in ("one", "two"):
        await create(api, "Whole", namespace, name, sizeInGb=1)
        await api.until(
            gvk("Whole"), namespace, name, lambda obj: condition_of(obj, "Successful").get("status") == "True"
        )

    async def counted() -> bool:
        name = "ansible_operator_optional_rights_denied_total"
        counts = {
            line.split()[0]: float(line.split()[-1])
            for line in operator.metrics().splitlines()
            if line.startswith(name)
        }
        return counts[f'{name}{{right="events"}}'] >= 2 and counts[f'{name}{{right="customresourcedefinitions"}}'] >= 1

    await eventually(counted, what="the refusals, counted")
    assert len(operator.lines("events cannot be written; this is said once")) == 1
    refused = operator.lines("not allowed to list or watch; asking again every 20 to 30 s")
    assert sorted(line["kind"].rsplit("=")[-1] for line in refused) == ["APIService", "CustomResourceDefinition"]
    assert [line for line in operator.lines("run finished") if line["verdict"] != "Succeeded"] == []


async def test_after_a_restart_what_roles_made_is_watched_again(
    api: Api, namespace: str, operator: Operator, project: Project
) -> None:
    await create(api, "Bare", namespace, "x", sizeInGb=5)
    first = await api.until(SECRET, namespace, "x")
    operator.terminate()
    assert await operator.exit_code() == 0
    second = await project.start().ready()
    await ended(second, namespace, "x", 1)
    await api.delete(SECRET, namespace, "x")
    again = await api.until(SECRET, namespace, "x", lambda obj: obj["metadata"]["uid"] != first["metadata"]["uid"])
    assert again["metadata"]["ownerReferences"][0]["kind"] == "Bare"
