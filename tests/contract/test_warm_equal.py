"""A run comes to the same on both paths: each play of the corpus, run plain and warm, compared event by event.

What may differ stands in `warm_normalised`, and nowhere else. That both runs were what they claim to be is asserted
task by task: a warm run that quietly fell back would be equal too.
"""

import difflib
import itertools
import json
import shutil
import subprocess
import textwrap
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ansible_collections.kubernetes.core
import pytest

import harness
from runner.content import Content
from runner.execution.outcome import RunOutcome
from runner.objects import RunId
from tests.contract import warm_normalised as normalised
from tests.contract.test_execution_run import GVK
from tests.contract.warm_rig import WarmRig, warm_rig

if TYPE_CHECKING:
    from cluster.controlplane import ControlPlane

pytestmark = pytest.mark.ansible

CORPUS = Path(__file__).parent / "warm_corpus"
UTIL = harness.ROOT / "collections"
RUNS = itertools.count(1)
WARM = {""}
"""No reason for a process of its own."""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[WarmRig]:
    async with warm_rig(tmp_path) as rig:
        shutil.copytree(CORPUS, rig.project, dirs_exist_ok=True)
        (rig.project / "vault").write_text("corpus\n")
        yield rig


@dataclass(kw_only=True)
class Result:
    """All that a run left."""

    outcome: RunOutcome
    told: list[dict[str, Any]]
    """What the operator heard."""
    events: list[dict[str, Any]]
    """What ansible-runner kept."""
    files: dict[str, str]
    """By name, the other artifacts and what the play's callback wrote."""
    calls: list[tuple[Any, ...]] = field(default_factory=list)


async def run(rig: WarmRig, path: str, play: str, **options: Any) -> Result:
    scratch = rig.project / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    rig.events.clear()
    rig.environ["RECORD"] = str(rig.project / f"record-{path}")
    variables = {
        "who": "corpus",
        "scratch": str(scratch),
        "given_unsafe": {"__ansible_unsafe": "{{ lookup('pipe', 'false') }} $x"},
        "namespace": namespace(rig, path),
        **options.pop("variables", {}),
    }
    spec = rig.spec(
        Content(playbook=rig.project / play),
        variables,
        run_id=RunId(f"{path}{next(RUNS)}"),
        max_artifacts=2,
        ansible_args=f"--vault-password-file {rig.project}/vault",
        **options,
    )
    execution = rig.execution()
    outcome = await (execution if path == "warm" else execution.plain())(spec)
    kept = rig.area.kept(GVK, spec.ref) / spec.run_id
    return Result(
        outcome=outcome,
        told=[told for event in rig.events if (told := normalised.event({**event, "event": event["kind"]}))],
        events=kept_events(kept / "job_events"),
        files={
            **{file.name: normalised.text(file.read_text()) for file in kept.iterdir() if file.is_file()},
            "record": (rig.project / f"record-{path}").read_text() if outcome.stats else "",
        },
    )


def kept_events(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.iterdir(), key=lambda file: int(file.name.split("-", 1)[0]))
    events = [json.loads(file.read_text()) for file in files]
    return [event for raw in events if (event := normalised.event(raw)) is not None]


def assert_equal(plain: Result, warm: Result) -> None:
    assert summary(plain.outcome) == summary(warm.outcome)
    assert plain.told == warm.told
    for one, other in zip(plain.events, warm.events, strict=False):
        assert list(differences(one, other)) == [], one.get("event_data", {}).get("task")
    assert len(plain.events) == len(warm.events)
    assert plain.files == warm.files
    assert plain.calls == warm.calls


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where two values differ; for people."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(set(one) | set(other)):
            yield from differences(one.get(key, "(absent)"), other.get(key, "(absent)"), f"{path}.{key}")
    elif one != other:
        lines = [str(value).splitlines() or [""] for value in (one, other)]
        yield f"{path}:\n" + "\n".join(difflib.unified_diff(*lines, lineterm="", n=0))


def summary(outcome: RunOutcome) -> dict[str, Any]:
    values = asdict(outcome)
    for name in ("run_id", "completion", "seconds"):
        del values[name]
    return normalised._value(values)


def warm_actions(rig: WarmRig, what: str) -> set[str]:
    return {action.removeprefix("ansible.builtin.") for action, why in rig.seen.reasons(what).items() if why == WARM}


PLAYS = {
    "basics.yml": (
        {"assert", "debug", "fail", "include_role", "include_tasks", "include_vars", "ping", "set_fact", "slurp",
         "validate_argument_spec"},
        {"ping", "slurp", "stat"},
    ),
    "fails.yml": ({"debug", "fail", "ping"}, {"ping"}),
    "files.yml": ({"debug", "slurp", "stat"}, {"slurp", "stat", "legacy.stat"}),
    "extend.yml": ({"debug", "set_fact"}, {"legacy.stat"}),
    "hosts.yml": ({"debug", "fail", "set_fact"}, {"ping"}),
}  # fmt: skip
"""By play, whose tasks ran in the play's process, and which modules in no process of their own."""


LEARNED = {"basics.yml", "extend.yml"}
"""Those that are run again, with what the parent has learned from them: between them they have all that it learns."""
MODES = [(play, mode) for play in PLAYS for mode in ("", "check and diff")] + [("basics.yml", "verbose")]


@pytest.mark.parametrize(("play", "mode"), MODES)
async def test_a_play_comes_to_the_same(rig: WarmRig, play: str, mode: str) -> None:
    rig.may_be_plain = True
    options: dict[str, Any] = {"": {}, "check and diff": {"check": True}, "verbose": {"verbosity": 4}}[mode]
    plain = await run(rig, "plain", play, **options)
    rig.seen.tasks.clear()
    warm = await run(rig, "warm", play, **options)
    if mode == "verbose":  # lines of all kinds, about commands too
        del plain.files["stdout"], warm.files["stdout"]
    assert_equal(plain, warm)
    assert plain.outcome.stats is not None
    assert len(plain.events) > 10
    assert (rig.seen.warm, rig.seen.plain) == (1, ["switched_off"])
    assert_as_expected(rig, play, mode)
    if not mode and play in LEARNED:
        assert_equal(plain, await run_taught(rig, play))


async def run_taught(rig: WarmRig, play: str) -> Result:
    """One more warm run, when the parent has learned from two."""
    await run(rig, "warm", play)
    learned = await rig.parent().ping(10)
    assert learned > 0
    taught = await run(rig, "warm", play)
    assert await rig.parent().ping(10) == learned, "it had to work out what others had before"
    return taught


def assert_as_expected(rig: WarmRig, play: str, mode: str) -> None:
    """Which path its tasks and modules took."""
    tasks, modules = PLAYS[play]
    assert warm_actions(rig, "task") >= tasks
    if mode != "check and diff":
        assert {action.removeprefix("ansible.") for action in warm_actions(rig, "module")} >= modules


async def test_a_role_comes_to_the_same(rig: WarmRig) -> None:
    rig.may_be_plain = True
    rig.environ["RECORD"] = str(rig.project / "record")
    results = []
    for path in ("plain", "warm"):
        rig.events.clear()
        execution = rig.execution()
        content = Content(role=rig.project / "roles" / "outer")
        outcome = await (execution if path == "warm" else execution.plain())(rig.spec(content, {"who": "role"}))
        results.append(
            (summary(outcome), [normalised.event({**event, "event": event["kind"]}) for event in rig.events])
        )
    assert results[0] == results[1]


# Against a real API server


def namespace(rig: WarmRig, path: str) -> str:
    return f"equal-{path}-{zlib.crc32(rig.base.name.encode())}"


def namespaces(rig: WarmRig, plane: "ControlPlane") -> None:
    for path in ("plain", "warm"):
        command = [plane.kubectl, f"--kubeconfig={plane.kubeconfig}", "create", "namespace", namespace(rig, path)]
        subprocess.run(command, check=True, capture_output=True)


async def run_with_server(rig: WarmRig, plane: "ControlPlane", path: str, play: str, **options: Any) -> Result:
    user = f"{path}-{rig.base.name}"
    kubeconfig = plane.user_kubeconfig(user, ("system:masters",)).read_text()
    began = plane.audit_log.stat().st_size
    result = await run(rig, path, play, kubeconfig=kubeconfig, **options)
    with plane.audit_log.open() as log:
        log.seek(began)
        entries = [json.loads(line) for line in log]
    mine = [entry for entry in entries if entry["user"]["username"] == user and entry["stage"] == "ResponseComplete"]
    result.calls = [call for entry in mine if (call := normalised.api_call(entry)) is not None]
    return result


@pytest.mark.integration
@pytest.mark.parametrize("mode", ["", "check and diff"])
async def test_kubernetes_modules_come_to_the_same(rig: WarmRig, control_plane: "ControlPlane", mode: str) -> None:
    rig.may_be_plain = True
    rig.execution(collections=UTIL)
    namespaces(rig, control_plane)
    options = {"check": True} if mode else {}
    plain = await run_with_server(rig, control_plane, "plain", "kubernetes.yml", **options)
    rig.seen.tasks.clear()
    warm = await run_with_server(rig, control_plane, "warm", "kubernetes.yml", **options)
    assert_equal(plain, warm)
    assert len(plain.calls) > (5 if mode else 30)
    wanted = {"k8s", "k8s_info", "k8s_json_patch", "k8s_scale"}
    modules = rig.seen.reasons("module")
    tasks = rig.seen.reasons("task")
    for name in wanted - {"k8s"}:
        assert modules[f"kubernetes.core.{name}"] == tasks[f"kubernetes.core.{name}"] == WARM
    assert tasks["kubernetes.core.k8s"] == {"", "throttle", "async"}
    assert modules["kubernetes.core.k8s"] == WARM
    for name in ("k8s_status", "requeue_after"):
        assert modules[f"operator_sdk.util.{name}"] == tasks[f"operator_sdk.util.{name}"] == WARM
    assert {"ansible.builtin.debug", "ansible.builtin.assert"} <= {name for name, why in tasks.items() if why == WARM}


@pytest.mark.integration
@pytest.mark.parametrize(("version", "warm"), [("6.6.99", True), ("6.2.0", False)])
async def test_a_projects_own_collection_comes_to_the_same(
    rig: WarmRig, control_plane: "ControlPlane", version: str, warm: bool
) -> None:
    """The warm parent loads the project's; a version that it was not tested with gets processes of its own."""
    rig.may_be_plain = True
    home = rig.project / "mine" / "ansible_collections" / "kubernetes" / "core"
    shutil.copytree(Path(ansible_collections.kubernetes.core.__path__[0]), home)
    manifest = json.loads((home / "MANIFEST.json").read_text())
    manifest["collection_info"]["version"] = version
    (home / "MANIFEST.json").write_text(json.dumps(manifest))
    source = home / "plugins" / "modules" / "k8s_info.py"
    source.write_text(source.read_text().replace("module.exit_json(", "module.exit_json(mine=True, "))
    rig.environ["ANSIBLE_COLLECTIONS_PATH"] = str(rig.project / "mine")
    namespaces(rig, control_plane)
    results = [await run_with_server(rig, control_plane, path, "short.yml") for path in ("plain", "warm")]
    assert_equal(*results)
    assert any(event["event_data"].get("res", {}).get("mine") for event in results[1].events)
    modules = rig.seen.reasons("module")
    assert modules["kubernetes.core.k8s"] == modules["kubernetes.core.k8s_info"] == (WARM if warm else {"not_listed"})


SEEDS = {
    "a task's environment is lost": """
        from runner.execution.warm import modules
        plain = modules._surroundings
        modules._surroundings = lambda environment, directory: plain({}, directory)
    """,
    "an event says something else": """
        from runner.execution.warm import child
        plain = child._write
        child._write = lambda fd, data: plain(fd, data.replace(b'"changed": true', b'"changed":false'))
    """,
    "a write is sent twice": """
        from runner.execution.warm import kubernetes
        plain = kubernetes.install
        def install():
            plain()
            from ansible_collections.kubernetes.core.plugins.module_utils.k8s import client
            once = client.K8SClient.patch
            client.K8SClient.patch = lambda *args, **params: (once(*args, **params), once(*args, **params))[1]
        kubernetes.install = install
    """,
}


def plant(rig: WarmRig, code: str) -> None:
    """Have the warm parent's Python, and no other, begin with that."""
    body = textwrap.indent(textwrap.dedent(code), "    ")
    rig.file("site/sitecustomize.py", f"import sys\nif 'runner.execution.warm.forkserver' in sys.orig_argv:\n{body}\n")
    rig.environ["PYTHONPATH"] = str(rig.project / "site")


async def test_a_seeded_difference_in_a_lesson_is_caught(rig: WarmRig) -> None:
    """The same for what the parent has learned: a run that uses it shows the fault."""
    rig.may_be_plain = True
    plant(
        rig,
        """
        from runner.execution.warm import templates
        right = templates.learn
        def learn(kind, escape, source):
            right(kind, escape, "{{ 'planted' }}")
            templates._known[kind, escape, source] = templates._known.pop((kind, escape, "{{ 'planted' }}"))
        templates.learn = learn
        """,
    )
    plain = await run(rig, "plain", "basics.yml")
    assert_equal(plain, await run(rig, "warm", "basics.yml"))
    with pytest.raises(AssertionError):
        assert_equal(plain, await run_taught(rig, "basics.yml"))


@pytest.mark.integration
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_seeded_difference_is_caught(rig: WarmRig, control_plane: "ControlPlane", seed: str) -> None:
    """Each of three ways to be wrong, planted in the warm parent."""
    rig.may_be_plain = True
    plant(rig, SEEDS[seed])
    namespaces(rig, control_plane)
    results = [await run_with_server(rig, control_plane, path, "short.yml") for path in ("plain", "warm")]
    assert rig.seen.warm == 1
    with pytest.raises(AssertionError):
        assert_equal(*results)
