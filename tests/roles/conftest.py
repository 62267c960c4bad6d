"""Runs the roles with a real ansible-runner against the real API server, many objects in one process.

There is no gateway here, so nobody adds owner references: a test that needs a child of its own makes it itself.
"""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import JOB, Api
from runner.objects import GroupVersionKind, Raw

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

ROOT = Path(__file__).resolve().parent.parent.parent
FORMER_IMAGE = "busybox:1.33.1"
_WRITES = {"create", "update", "patch", "delete", "deletecollection"}
_RUNS = itertools.count()
_SNAKE = {"timeZone": "time_zone"}


def _variables_of(obj: Raw, **more: Any) -> Raw:
    """The variables that the operator gives a run for `obj`, unmarked, and `more`."""
    kind = obj["kind"].lower()
    spec = obj.get("spec") or {}
    return {
        **{_SNAKE.get(key, key): value for key, value in spec.items()},
        "ansible_operator_meta": {key: obj["metadata"][key] for key in ("name", "namespace")},
        f"_mmontes_io_{kind}": obj,
        f"_mmontes_io_{kind}_spec": spec,
        **more,
    }


@dataclass(slots=True)
class Report:
    """What a run did for one host, as ansible-runner's events tell."""

    modules: list[str] = field(default_factory=list)
    """Modules that a Python was started for, in order."""
    changed: int = 0
    failure: str = ""
    again: str = ""
    """What `requeue_after` asked for."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Results of `debug` by the name of the variable."""


@pytest.fixture
def variables_of() -> Callable[..., Raw]:
    return _variables_of


Play = Callable[..., Awaitable[dict[str, Report]]]


@pytest.fixture
def play(control_plane: "ControlPlane", tmp_path: Path) -> Play:
    """Play tasks on many hosts, each with the variables of one object; returns a `Report` for each host."""

    async def run(
        hosts: Mapping[str, Mapping[str, Any]],
        *,
        role: str | None = None,
        tasks: Sequence[Mapping[str, Any]] | None = None,
        vars_files: Sequence[Path] = (),
    ) -> dict[str, Report]:
        directory = tmp_path / f"run-{next(_RUNS)}"
        # The values come as extra variables do, marked unsafe; the inventory only names them for each host.
        named = {name: {key: f"{{{{ given[{name!r}][{key!r}] }}}}" for key in values} for name, values in hosts.items()}
        body: dict[str, Any] = {"hosts": "all", "gather_facts": False, "connection": "local"}
        if vars_files:
            body["vars_files"] = [str(path) for path in vars_files]
        body |= {"roles": [role]} if role else {"tasks": list(tasks or ())}
        files = {
            "project/play.yml": [body],
            "inventory/hosts.json": {"all": {"hosts": named}},
            "env/extravars": {"given": _wrapped({name: dict(values) for name, values in hosts.items()})},
        }
        for name, content in files.items():
            path = directory / name
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(content), encoding="utf-8")
        await _ansible_runner(directory, control_plane.kubeconfig, "-p", "play.yml", "--forks", "3")
        return _reports(directory)

    return run


@pytest.fixture
def run_role(control_plane: "ControlPlane", tmp_path: Path) -> Callable[[str, Raw], Awaitable[Report]]:
    """Run a role for one object exactly as the operator does: on localhost, all variables as extra variables."""

    async def run(role: str, obj: Raw) -> Report:
        directory = tmp_path / f"run-{next(_RUNS)}"
        extra = {"ansible_python_interpreter": sys.executable, **_wrapped(_variables_of(obj))}
        (directory / "env").mkdir(parents=True)
        (directory / "env" / "extravars").write_text(json.dumps(extra), encoding="utf-8")
        arguments = ["--role", role, "--roles-path", str(ROOT / "roles"), "--hosts", "localhost", "--role-skip-facts"]
        await _ansible_runner(directory, control_plane.kubeconfig, *arguments)
        return _reports(directory)["localhost"]

    return run


def _wrapped(value: Any) -> Any:
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, dict):
        return {key: _wrapped(inner) for key, inner in value.items()}
    return [_wrapped(inner) for inner in value] if isinstance(value, list) else value


async def _ansible_runner(directory: Path, kubeconfig: Path, *arguments: str) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "K8S_AUTH_"))},
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
        "ANSIBLE_INTERPRETER_PYTHON": sys.executable,
        "ANSIBLE_HOME": str(directory / "ansible"),
        "ANSIBLE_RETRY_FILES_ENABLED": "false",
        "KUBECONFIG": str(kubeconfig),
        "K8S_AUTH_KUBECONFIG": str(kubeconfig),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "ansible-runner"),
        *("run", str(directory), "-i", "it", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    output, _ = await process.communicate()
    # 2: some host failed, which is for the test to judge.
    assert process.returncode in {0, 2}, output.decode(errors="replace")
    assert list((directory / "artifacts" / "it" / "job_events").glob("*.json")), output.decode(errors="replace")


def _reports(directory: Path) -> dict[str, Report]:
    reports: dict[str, Report] = {}
    events = (directory / "artifacts" / "it" / "job_events").glob("*.json")
    for file in sorted(events, key=lambda path: int(path.name.partition("-")[0])):
        event = json.loads(file.read_text(encoding="utf-8"))
        data = event.get("event_data") or {}
        if event["event"] not in {"runner_on_ok", "runner_on_failed"}:
            continue
        report = reports.setdefault(data["host"], Report())
        action, result = data["resolved_action"], data["res"]
        if not action.startswith("ansible.builtin."):
            report.modules.append(action)
        report.changed += bool(result.get("changed"))
        report.again = result.get("period", report.again)
        if action == "ansible.builtin.debug":
            report.facts |= {key: value for key, value in result.items() if not key.startswith("_")}
        if event["event"] == "runner_on_failed":
            report.failure = str(result.get("msg"))
    return reports


@dataclass(frozen=True, slots=True)
class Children:
    """Makes children as they may be found, with all that a controller would have written into them."""

    api: Api
    namespace: str

    async def job(
        self, owner: Raw | None, name: str, *, command: Sequence[str], ends: str = "", held: bool = False
    ) -> Raw:
        """A Job; `ends` is the type of its last condition, `held` keeps it from going when it is deleted."""
        container = {"name": "main", "image": FORMER_IMAGE, "command": list(command)}
        await self.api.create(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": self._metadata(owner, name, held=held),
                "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
            }
        )
        # The controller manager writes its first status whenever it likes; after that it has nothing to add.
        await self.api.until(JOB, self.namespace, name, lambda job: "startTime" in job.get("status", {}), within=20)
        if ends:
            await self.finish(name, ends)
        return await self.api.until(JOB, self.namespace, name)

    async def finish(self, name: str, ends: str = "Complete") -> None:
        """Have the Job end, as the Job controller writes it."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        first, counts = {
            "Complete": ("SuccessCriteriaMet", {"succeeded": 1, "completionTime": now}),
            "Failed": ("FailureTarget", {"failed": 1}),
        }[ends]
        conditions = [
            {"type": kind, "status": "True", "reason": "Test", "message": "as the test says", "lastTransitionTime": now}
            for kind in (first, ends)
        ]
        status = {"active": None, "ready": None, "terminating": None, "conditions": conditions, **counts}
        await self.api.patch(JOB, self.namespace, name, {"status": status}, subresource="status")

    async def cron_job(
        self, owner: Raw | None, name: str, *, command: Sequence[str], schedule: str = "0 3 * * *", held: bool = False
    ) -> Raw:
        """A CronJob of the Go echoperator's shape."""
        container = {"name": name, "image": FORMER_IMAGE, "imagePullPolicy": "IfNotPresent", "command": list(command)}
        pod = {"metadata": {}, "spec": {"restartPolicy": "Never", "containers": [container]}}
        return await self.api.create(
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": self._metadata(owner, name, held=held),
                "spec": {
                    "schedule": schedule,
                    "concurrencyPolicy": "Forbid",
                    "jobTemplate": {"metadata": {}, "spec": {"template": pod}},
                },
            }
        )

    async def adopt(self, gvk: GroupVersionKind, owner: Raw, name: str) -> None:
        """Write the owner reference that the gateway adds to what a role creates."""
        patch = {"metadata": {"ownerReferences": [_reference(owner)]}}
        await self.api.patch(gvk, self.namespace, name, patch)

    def _metadata(self, owner: Raw | None, name: str, *, held: bool = False) -> Raw:
        metadata: Raw = {"name": name, "namespace": self.namespace}
        if owner is not None:
            metadata["ownerReferences"] = [_reference(owner)]
        if held:
            metadata["finalizers"] = ["tests.mmontes.io/held"]
        return metadata


def _reference(owner: Raw) -> Raw:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


@pytest.fixture
async def children(api: Api, namespace: str) -> Children:
    return Children(api, namespace)


@pytest.fixture
def audit(control_plane: "ControlPlane", namespace: str) -> Callable[[], list[Raw]]:
    """Every write of a role in the namespace so far, refused ones too, as the API server has logged it."""

    def look() -> list[Raw]:
        events = [json.loads(line) for line in control_plane.audit_log.read_text(encoding="utf-8").splitlines()]
        return [
            event
            for event in events
            if event["verb"] in _WRITES
            and (event.get("objectRef") or {}).get("namespace") == namespace
            and (event.get("userAgent") or "").startswith(("OpenAPI-Generator", "operator_sdk.util"))
        ]

    return look


@pytest.fixture
def writes(audit: Callable[[], list[Raw]]) -> Callable[[], list[str]]:
    """The same as `verb resource name`."""

    def look() -> list[str]:
        found = []
        for event in audit():
            where = event["objectRef"]
            kind = "/".join(part for part in (where["resource"], where.get("subresource")) if part)
            found.append(f"{event['verb']} {kind} {where.get('name') or event['requestObject']['metadata']['name']}")
        return found

    return look
