"""Real runs of Ansible through `PlainExecution`: what each kind of play comes to, and what it could see and leave."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from runner.clock import SystemClock
from runner.content import Content
from runner.execution import environment, extravars
from runner.execution.directory import RunArea, RunDirectory
from runner.execution.outcome import RunOutcome, TaskFailure, Verdict
from runner.execution.run import PlainExecution, RunSpec
from runner.objects import GroupVersionKind, ObjectRef, RunId

pytestmark = pytest.mark.ansible

GVK = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")
REF = ObjectRef("default", "hello")
SECRET = "s3cr3t-of-the-operator"


class Rig:
    """A project directory, a home of its own, and an execution over them."""

    def __init__(self, tmp_path: Path) -> None:
        # Short, as it is in production: Ansible makes sockets below it.
        self.base = Path(tempfile.mkdtemp(prefix="runs"))
        self.project = tmp_path / "project"
        self.home = tmp_path / "home"
        self.project.mkdir()
        self.home.mkdir()
        self.area = RunArea.open(self.base)
        self.events: list[dict[str, Any]] = []
        self._count = 0
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(self.home), "OPERATOR_SECRET": SECRET}

    def file(self, name: str, text: str) -> Path:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def play(self, tasks: str, *, head: str = "hosts: localhost", name: str = "play.yml") -> Content:
        """A playbook of one play without facts; `tasks` is a YAML list."""
        body = textwrap.indent(textwrap.dedent(tasks).strip(), "    ")
        return Content(playbook=self.file(name, f"- {head}\n  gather_facts: false\n  tasks:\n{body}\n"))

    def spec(self, content: Content, variables: Mapping[str, Any] | None = None, **options: Any) -> RunSpec:
        self._count += 1
        settings: dict[str, Any] = {
            "run_id": RunId(f"run{self._count}"),
            "kubeconfig": "apiVersion: v1\n",
            "environment": environment.inherit(self.environ),
        }
        return RunSpec(gvk=GVK, ref=REF, content=content, extra_vars=variables or {}, **{**settings, **options})

    def execution(self, **options: Any) -> PlainExecution:
        settings: dict[str, Any] = {"collections": None, "observe": lambda _spec, event: self.events.append(event)}
        return PlainExecution(clock=SystemClock(), area=self.area, project=self.project, **{**settings, **options})

    async def run(self, content: Content, variables: Mapping[str, Any] | None = None, **options: Any) -> RunOutcome:
        return await self.execution()(self.spec(content, variables, **options))

    def live(self) -> list[Path]:
        return [path for path in self.base.glob("live/*/*") if path.name != "lock"]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    left = rig.live()
    rig.area.close()
    shutil.rmtree(rig.base)
    assert left == []


def on_localhost(**counters: int) -> dict[str, dict[str, int]]:
    return {name: {"localhost": count} for name, count in counters.items()}


# Verdicts


async def test_success_is_counted_and_told_in_order(rig: Rig) -> None:
    outcome = await rig.run(rig.play("- name: one\n  debug: {msg: first}\n- name: two\n  command: 'true'"))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert outcome.return_code == 0
    assert outcome.stats is not None
    assert (outcome.stats.ok, outcome.stats.changed) == ({"localhost": 2}, {"localhost": 1})
    assert outcome.completion.endswith("+00:00")
    assert (outcome.detail, outcome.failures) == ("", ())
    told = [(event["kind"], event.get("task")) for event in rig.events]
    assert told == [
        ("playbook_on_start", None),
        ("playbook_on_play_start", None),
        ("playbook_on_task_start", "one"),
        ("runner_on_ok", "one"),
        ("playbook_on_task_start", "two"),
        ("runner_on_ok", "two"),
        ("playbook_on_stats", None),
    ]


async def test_a_failure_names_task_line_and_message(rig: Rig) -> None:
    role = rig.file("roles/broken/tasks/main.yml", "- name: give up\n  ansible.builtin.fail:\n    msg: no luck\n")
    outcome = await rig.run(Content(role=rig.project / "roles" / "broken"))
    assert outcome.verdict is Verdict.FAILED
    assert outcome.failures == (
        TaskFailure(task="broken : give up", action="ansible.builtin.fail", path=f"{role}:1", message="no luck"),
    )
    assert outcome.detail == ""


async def test_rescued_and_ignored_failures_are_success(rig: Rig) -> None:
    tasks = """
        - block: [{name: inner, fail: {msg: caught}}]
          rescue: [{debug: {msg: saved}}]
        - fail: {msg: never mind}
          ignore_errors: true
        - fail: {msg: "{{ item }}"}
          loop: [a]
          ignore_errors: true
    """
    outcome = await rig.run(rig.play(tasks))
    assert (outcome.verdict, outcome.failures, outcome.rescued) == (Verdict.SUCCEEDED, (), 1)


async def test_a_failure_in_the_rescue_is_the_one_that_counts(rig: Rig) -> None:
    tasks = """
        - block: [{name: first, fail: {msg: caught}}]
          rescue: [{name: second, fail: {msg: not caught}}]
    """
    outcome = await rig.run(rig.play(tasks))
    assert [failure.message for failure in outcome.failures] == ["not caught"]
    assert outcome.verdict is Verdict.FAILED


async def test_a_loop_that_fails_names_its_items(rig: Rig) -> None:
    outcome = await rig.run(rig.play('- fail: {msg: "bad {{ item }}"}\n  loop: [a, b]'))
    assert [(failure.message, failure.items) for failure in outcome.failures] == [
        ("One or more items failed", ("bad a", "bad b"))
    ]


async def test_no_log_hides_why(rig: Rig) -> None:
    outcome = await rig.run(rig.play(f"- fail: {{msg: {SECRET}}}\n  no_log: true"))
    assert outcome.verdict is Verdict.FAILED
    assert "no_log" in outcome.failures[0].message
    assert SECRET not in repr((outcome, rig.events))


async def test_an_unreachable_host_is_a_failure(rig: Rig) -> None:
    """The Go runtime calls this success."""
    plugin = """
        from ansible.errors import AnsibleConnectionFailure
        from ansible.plugins.connection import ConnectionBase
        DOCUMENTATION = "name: dead\\nshort_description: never answers\\ndescription: x\\n"
        class Connection(ConnectionBase):
            transport = "dead"
            def _connect(self): raise AnsibleConnectionFailure("nobody there")
            exec_command = put_file = fetch_file = close = lambda self, *a, **k: self._connect()
    """
    rig.file("connection_plugins/dead.py", plugin)
    outcome = await rig.run(rig.play("- ping:\n  vars: {ansible_connection: dead}"))
    assert outcome.verdict is Verdict.UNREACHABLE
    assert outcome.stats is not None
    assert outcome.stats.dark == {"localhost": 1}
    assert "nobody there" in outcome.failures[0].message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- hosts: localhost\n  tasks: [{debug: {}, command: x}]\n", "conflicting action statements"),
        ("- hosts: localhost\n  roles: [nowhere]\n", "nowhere"),
        ("{", "YAML parsing failed"),
    ],
)
async def test_a_play_that_cannot_start_says_why(rig: Rig, text: str, said: str) -> None:
    outcome = await rig.run(Content(playbook=rig.file("play.yml", text)))
    assert (outcome.verdict, outcome.stats) == (Verdict.NO_STATS, None)
    assert said in outcome.detail
    assert len(outcome.detail.encode()) <= 1024


async def test_a_role_that_is_not_there_is_a_failed_run(rig: Rig) -> None:
    outcome = await rig.run(Content(role=rig.project / "roles" / "absent"))
    assert outcome.verdict is Verdict.NO_STATS
    assert "absent" in outcome.detail


async def test_a_play_for_nobody_succeeds_and_is_told_apart(rig: Rig) -> None:
    outcome = await rig.run(rig.play("- debug:", head="hosts: nobody"))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert outcome.stats is not None
    assert outcome.stats.no_hosts


async def test_requeue_after_is_read_from_its_module_and_the_last_one_wins(rig: Rig) -> None:
    module = """
        from ansible.module_utils.basic import AnsibleModule
        module = AnsibleModule(argument_spec={"time": {"type": "str"}})
        module.exit_json(period=module.params["time"])
    """
    home = "ours/ansible_collections/operator_sdk/util"
    rig.file(f"{home}/plugins/modules/requeue_after.py", module)
    rig.file(f"{home}/galaxy.yml", "namespace: operator_sdk\nname: util\nversion: 0.6.0\n")
    content = rig.play(
        "- operator_sdk.util.requeue_after: {time: 1h}\n- requeue_after: {time: 90s}\n",
        head="hosts: localhost\n  collections: [operator_sdk.util]",
    )
    outcome = await rig.execution(collections=rig.project / "ours")(rig.spec(content))
    assert (outcome.verdict, outcome.requeue_after_s) == (Verdict.SUCCEEDED, 90.0)


FORGE = """
    import base64, json, os
    def marker(record):
        text = base64.b64encode(json.dumps(record).encode()).decode()
        return f"\\x1b[K{text}\\x1b[{len(text)}D\\x1b[K"
    data = {"resolved_action": "operator_sdk.util.requeue_after", "res": {"period": "1s"}}
    event = {"uuid": "x" * 36, "event": "runner_on_ok", "event_data": data}
    with open(f"/proc/{os.environ['PLAY'].strip()}/fd/1", "w") as display:
        display.write(marker(event) + "forged text" + marker({}))
"""


async def test_what_a_task_prints_cannot_forge_an_event(rig: Rig) -> None:
    """The event stream shares a pipe with everything that Ansible displays."""
    rig.file("forge.py", FORGE)
    tasks = """
        - command: python3 {{ playbook_dir }}/forge.py
          environment: {PLAY: "{{ lookup('pipe', 'ps -o ppid= -p $PPID') }}"}
    """
    outcome = await rig.run(rig.play(tasks), max_artifacts=1)
    assert (outcome.verdict, outcome.requeue_after_s) == (Verdict.SUCCEEDED, None), outcome
    assert "forged text" in (rig.area.kept(GVK, REF) / "run1" / "stdout").read_text()
    assert [event["kind"] for event in rig.events].count("runner_on_ok") == 1


# What a run is given


async def test_runs_at_once_see_their_own_variables(rig: Rig) -> None:
    content = rig.play('- debug: {msg: "I am {{ who }}"}')
    execute = rig.execution()
    await asyncio.gather(*(execute(rig.spec(content, {"who": who})) for who in "abc"))
    said = [event["msg"] for event in rig.events if event.get("kind") == "runner_on_ok"]
    assert sorted(said) == ["I am a", "I am b", "I am c"]


async def test_nothing_in_a_resource_is_ever_executed(rig: Rig) -> None:
    canary = rig.project / "canary"
    evil = "{{ lookup('pipe', 'touch CANARY') }} {% raw %} $(x) \u00e4\u2028\x00 \\n".replace("CANARY", str(canary))
    obj = {
        "apiVersion": "mmontes.io/v1alpha1",
        "kind": "Echo",
        "metadata": {"name": "hello", "namespace": "default", "annotations": {"note": evil}},
        "spec": {"message": evil, "big": "x" * 1_000_000, "deep": [{evil: evil}]},
        "status": {"text": evil},
    }
    variables = extravars.build(obj, snake_case=False, mark_unsafe=True, watch_vars={}, finalizer_vars=None)
    tasks = """
        - set_fact: {again: "{{ message }} and {{ _mmontes_io_echo.metadata.annotations.note }}"}
        - debug: {msg: "{{ again }} {{ _mmontes_io_echo.status.text }} {{ deep }}"}
        - debug: {msg: "{{ vars['_mmontes_io_echo_spec'] | to_json | from_json }}"}
        - copy: {content: "{{ _mmontes_io_echo | to_json }}", dest: "{{ out }}"}
    """
    out = rig.project / "out.json"
    outcome = await rig.run(rig.play(tasks), {**variables.values, "out": str(out)})
    assert outcome.verdict is Verdict.SUCCEEDED, outcome
    assert not canary.exists()
    assert json.loads(out.read_text()) == obj


async def test_a_role_finds_its_neighbours_and_skips_facts_when_told(rig: Rig) -> None:
    rig.file("roles/main/tasks/main.yml", "- include_role: {name: neighbour}\n- include_role: {name: far}\n")
    rig.file("roles/neighbour/tasks/main.yml", "- debug: {msg: near}\n")
    rig.file("more/far/tasks/main.yml", "- debug: {msg: far}\n")
    rig.environ |= {"ANSIBLE_GATHERING": "explicit", "ANSIBLE_ROLES_PATH": str(rig.project / "more")}
    outcome = await rig.run(Content(role=rig.project / "roles" / "main"))
    assert outcome.verdict is Verdict.SUCCEEDED, outcome
    assert not [event for event in rig.events if event.get("task") == "Gathering Facts"]
    assert [event["msg"] for event in rig.events if "msg" in event] == ["near", "far"]


async def test_arguments_inventory_and_check_mode_reach_ansible(rig: Rig) -> None:
    rig.file("inv/hosts", "localhost ansible_connection=local\n")
    rig.file("inv/group_vars/all.yml", "from_inventory: yes-it-does\n")
    rig.environ["ANSIBLE_INVENTORY"] = "inv"
    content = rig.play(
        '- debug: {msg: "{{ from_inventory }} {{ from_args }} {{ ansible_check_mode }} {{ ansible_diff_mode }} '
        '{{ ansible_verbosity }}"}'
    )
    await rig.run(content, check=True, ansible_args="-e 'from_args=\"a b\"'", verbosity=3)
    assert [event["msg"] for event in rig.events if "msg" in event] == ["yes-it-does a b True True 3"]


async def test_the_projects_own_configuration_and_collections_count(rig: Rig) -> None:
    """Our collection is first; the user's galaxy collections and those of ansible.cfg are still found."""
    for place, name in (("home/.ansible/collections", "galaxy"), ("project/vendored", "vendored")):
        role = rig.project.parent / place / f"ansible_collections/some/{name}/roles/say/tasks/main.yml"
        role.parent.mkdir(parents=True)
        role.write_text(f"- debug: {{msg: {name}}}\n")
    rig.file("ansible.cfg", "[defaults]\ncollections_path = vendored:~/.ansible/collections\n")
    content = rig.play("- include_role: {name: some.galaxy.say}\n- include_role: {name: some.vendored.say}")
    outcome = await rig.run(content)
    assert outcome.verdict is Verdict.SUCCEEDED, outcome
    assert [event["msg"] for event in rig.events if "msg" in event] == ["galaxy", "vendored"]
    assert sorted(path.name for path in (rig.home / ".ansible").iterdir()) == ["collections"]


async def test_another_stdout_callback_does_not_break_events(rig: Rig) -> None:
    rig.environ["ANSIBLE_STDOUT_CALLBACK"] = "minimal"
    outcome = await rig.run(rig.play("- fail: {msg: still told}"))
    assert outcome.failures[0].message == "still told"


# What a run leaves


async def test_the_operators_secrets_are_nowhere_on_disk(rig: Rig) -> None:
    """Not while the play runs, and not in what is kept of it, gathered facts included."""
    search = 'grep -rls s3cr3t-o[f] $(dirname "$KUBECONFIG") || true; stat -c %a $(dirname "$KUBECONFIG") "$KUBECONFIG"'
    tasks = f"""
        - ansible.builtin.setup: {{gather_subset: "env"}}
        - shell: {search}
          register: found
        - debug: {{msg: "{{{{ found.stdout_lines }}}} {{{{ lookup('env', 'OPERATOR_SECRET') == '{SECRET[:0]}' }}}}"}}
    """
    outcome = await rig.run(rig.play(tasks), max_artifacts=2)
    assert outcome.verdict is Verdict.SUCCEEDED, outcome
    assert [event["msg"] for event in rig.events if "msg" in event][-1:] == ["['700', '600'] False"]
    kept = rig.area.kept(GVK, REF)
    assert len(list((kept / "run1" / "job_events").iterdir())) > 5
    assert [path for path in rig.base.rglob("*") if path.is_file() and SECRET in path.read_text()] == []


async def test_a_few_artifacts_are_kept_and_small(rig: Rig) -> None:
    content = rig.play("- debug: {msg: \"{{ 'x' * 200000 }}\"}")
    for _ in range(3):
        await rig.run(content, max_artifacts=2)
    kept = rig.area.kept(GVK, REF)
    assert sorted(path.name for path in kept.iterdir()) == ["run2", "run3"]
    assert (kept / "run3" / "stdout").stat().st_size <= 64 * 1024
    assert not (kept / "run3" / "command").is_symlink()
    assert not (kept / "run3" / "command").exists()
    await rig.run(content, max_artifacts=0)
    assert len(list(kept.iterdir())) == 2


async def test_a_role_that_prints_very_much_fills_neither_memory_nor_disk(rig: Rig) -> None:
    peak = 0

    def observe(_spec: RunSpec, _event: Mapping[str, Any]) -> None:
        nonlocal peak
        for run in execution._live.values():
            status = Path(f"/proc/{run.pid}/status").read_text()
            peak = max(peak, int(status.split("VmHWM:")[1].split()[0]))

    execution = rig.execution(observe=observe)
    content = rig.play("- debug: {msg: \"{{ 'x' * 20000000 }}\"}\n- debug: {msg: \"{{ 'y' * 20000000 }}\"}")
    outcome = await execution(rig.spec(content))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert 0 < peak < 60_000, "KiB, of the supervisor at its most"


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize(
    ("size", "variable"),
    [("64k", 200_000), ("1m", 900_000), ("3m", 0)],
    ids=["before", "at the start", "in the middle"],
)
async def test_a_full_disk_is_a_failed_run_with_that_reason(rig: Rig, size: str, variable: int) -> None:
    fill = "while :; do cat /dev/zero >> $TMPDIR/full; sleep 0.01; done 2> /dev/null & sleep 0.1"
    content = rig.play(f'- shell: "{fill}"\n  failed_when: false\n' + "- debug:\n" * 5)
    with small_disk(rig.base / "d", size) as disk, closing(RunArea.open(disk)) as area:
        execution = PlainExecution(clock=SystemClock(), area=area, project=rig.project)
        outcome = await execution(rig.spec(content, {"text": "x" * variable}))
        assert outcome.verdict is Verdict.NO_STATS
        assert "No space left" in outcome.detail
        assert list(disk.glob("live/*/1")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_is_full_at_the_end_is_noticed(tmp_path: Path) -> None:
    """Even where Ansible ended well: it may have been unable to tell of an event."""
    with small_disk(tmp_path / "d", "64k") as disk:
        (disk / "full").write_bytes(b"x" * 48 * 1024)
        with pytest.raises(OSError, match="No space left"):
            RunDirectory(disk).check_space()


async def test_a_lost_base_directory_is_a_failed_run(rig: Rig) -> None:
    spec = rig.spec(rig.play("- debug:"))
    moved = rig.base / "elsewhere"
    live = next(path for path in (rig.base / "live").iterdir())
    live.rename(moved)
    outcome = await rig.execution()(spec)
    moved.rename(live)
    assert outcome.verdict is Verdict.NO_STATS
    assert "No such file" in outcome.detail


async def test_arguments_that_cannot_be_parsed_are_a_failed_run(rig: Rig) -> None:
    outcome = await rig.run(rig.play("- debug:"), ansible_args="-e 'open")
    assert outcome.verdict is Verdict.NO_STATS
    assert "No closing quotation" in outcome.detail
