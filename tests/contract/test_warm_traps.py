"""Each trap that a forked Ansible can fall into, sprung on purpose. Every one of these has failed without its fix."""

import asyncio
import os
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ansible._internal._datatag._tags import Origin, SourceWasEncrypted
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret

from runner.content import Content
from runner.execution.outcome import Verdict
from runner.execution.warm import texts
from tests.contract.warm_rig import WarmRig, warm_rig

pytestmark = pytest.mark.ansible


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[WarmRig]:
    async with warm_rig(tmp_path) as rig:
        yield rig


def said(rig: WarmRig) -> list[str]:
    """What the tasks said since the last call."""
    messages = [event["msg"] for event in rig.events if event["kind"].startswith("runner_") and "msg" in event]
    rig.events.clear()
    return messages


# 1, 5: what Ansible keeps of a command line


async def test_a_run_sees_its_own_variables_and_no_others(rig: WarmRig) -> None:
    """Ansible keeps extra variables on a function object: a fork with another's reports success for it."""
    content = rig.play("- debug: {msg: \"{{ who | default('nobody') }} {{ given | default('nothing') }}\"}")
    for who in ("anna", "bert"):
        await rig.run(content, {"who": who})
    await rig.run(content)
    assert said(rig) == ["anna nothing", "bert nothing", "nobody nothing"]


async def test_a_run_has_its_own_arguments_and_vault_secrets(rig: WarmRig) -> None:
    for word in ("first", "second"):
        rig.file(f"{word}.txt", f"{word}\n")
        secret = VaultLib([("default", VaultSecret(word.encode()))]).encrypt(f"the {word} secret").decode()
        rig.file(f"{word}.yml", "secret: !vault |\n" + textwrap.indent(secret, "  "))
    content = rig.play(
        '- include_vars: "{{ word }}.yml"\n'
        '- debug: {msg: "{{ secret }} {{ ansible_check_mode }} {{ ansible_run_tags | sort }} {{ ansible_verbosity }}"}'
    )
    more = {"first": "--tags all,x", "second": ""}
    for word, verbosity in (("first", 3), ("second", 1)):
        arguments = f"{more[word]} --vault-password-file {rig.project}/{word}.txt"
        await rig.run(content, {"word": word}, check=word == "first", verbosity=verbosity, ansible_args=arguments)
    assert said(rig) == ["the first secret True ['all', 'x'] 3", "the second secret False ['all'] 1"]
    assert rig.seen.warm == 2


async def test_a_module_does_not_see_the_plays_arguments(rig: WarmRig) -> None:
    """A module that finds arguments takes them for a debugging session's."""
    outcome = await rig.run(rig.play("- ping: {data: hello}\n  register: pong\n- debug: {msg: '{{ pong.ping }}'}"))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert said(rig) == ["hello"]
    assert rig.seen.reasons("module") == {"ping": {""}}


# 2: the thread that workers add hosts through


async def test_hosts_and_groups_can_be_added(rig: WarmRig) -> None:
    tasks = """
        - add_host: {name: other, groups: [new], ansible_connection: local}
        - group_by: {key: "seen_{{ inventory_hostname }}"}
        - debug: {msg: "{{ groups.new }} {{ groups.seen_localhost }}"}
    """
    for _ in range(2):
        outcome = await rig.run(rig.play(tasks))
        assert outcome.verdict is Verdict.SUCCEEDED, outcome
    assert said(rig) == ["['other'] ['localhost']"] * 2
    assert rig.seen.reasons("task")["ansible.builtin.add_host"] == {"action"}


# 3, 6, 13: what a fork would inherit


async def test_the_parent_has_one_thread_no_connection_and_no_handler(rig: WarmRig) -> None:
    await rig.run(rig.play("- ping:"))
    process = Path(f"/proc/{rig.parent().pid}")
    assert len(list((process / "task").iterdir())) == 1
    opened = [str(entry.readlink()) for entry in (process / "fd").iterdir()]
    sockets = [target for target in opened if "socket:" in target]
    assert len(sockets) == 3, "the one to the operator, and both ends of that for lessons"
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
    caught = int(status["SigCgt"], 16)
    assert not caught & (1 << 14 | 1 << 1), "SIGTERM and SIGINT"


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        ("import sys; sys.setprofile(lambda *_: None)", "a profiler or tracer is active"),
        ("import ansible.release; ansible.release.__version__ = '2.22.0'", "ansible-core 2.22.0 is not one"),
    ],
    ids=["profiler", "another ansible-core"],
)
async def test_what_the_parent_is_not_made_for_is_refused_once_and_runs_are_plain(
    rig: WarmRig, caplog: pytest.LogCaptureFixture, site: str, reason: str
) -> None:
    rig.may_be_plain = True
    rig.file("site/sitecustomize.py", site)
    rig.environ["PYTHONPATH"] = str(rig.project / "site")
    content = rig.play("- debug: {msg: fine}")
    for _ in range(2):
        assert (await rig.run(content)).verdict is Verdict.SUCCEEDED
    assert rig.seen.plain == ["refused", "refused"]
    told = [record for record in caplog.records if reason in str(getattr(record, "fields", {}))]
    assert len(told) == 1


@pytest.mark.parametrize("setting", ["log_path = {0}/log", "strategy_plugins = {0}/strategies"])
async def test_settings_that_a_fork_cannot_host_make_runs_plain(rig: WarmRig, setting: str) -> None:
    rig.may_be_plain = True
    rig.file("ansible.cfg", f"[defaults]\n{setting.format(rig.project)}\n")
    assert (await rig.run(rig.play("- debug:"))).verdict is Verdict.SUCCEEDED
    assert rig.seen.plain == ["refused"]


# 4: collections before the plugin loader


async def test_collection_code_is_loaded_after_the_plugin_loader(rig: WarmRig) -> None:
    """Else Ansible warns that the collection's metadata was not loaded, and its redirects are lost."""
    await rig.run(rig.play("- kubernetes.core.k8s_info: {kind: Pod}\n  ignore_errors: true"))
    assert [event for event in rig.events if event["kind"] == "warning"] == []
    assert rig.seen.reasons("module") == {"kubernetes.core.k8s_info": {""}}


# 7: temporary directories


async def test_each_run_has_its_own_temporary_directories(rig: WarmRig) -> None:
    content = rig.play(
        "- debug: {msg: \"{{ lookup('config', 'DEFAULT_LOCAL_TMP') }} {{ lookup('env', 'TMPDIR') }}\"}\n"
        "- command: sh -c 'echo $TMPDIR; ls -d $TMPDIR/remote/*'\n  register: shown\n"
        '- debug: {msg: "{{ shown.stdout }}"}\n'
    )
    execute = rig.execution()
    await asyncio.gather(*(execute(rig.spec(content)) for _ in range(3)))
    live = next(path for path in (rig.base / "live").iterdir() if path.is_dir())
    places = [message.split()[0] for message in said(rig)]
    assert len(set(places)) == len(places) == 6
    assert all(place.startswith(f"{live}/") for place in places)


# 9, 11, and other reasons for a process of its own


async def test_an_interpreter_of_its_own_gets_a_process_of_its_own(rig: WarmRig) -> None:
    python = rig.file("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    tasks = f"- ping:\n- ping:\n  vars: {{ansible_python_interpreter: {python}}}"
    assert (await rig.run(rig.play(tasks))).verdict is Verdict.SUCCEEDED
    assert rig.seen.reasons("module") == {"ping": {"", "interpreter"}}


async def test_what_has_to_be_a_process_is_one(rig: WarmRig) -> None:
    tasks = """
        - ping:
          async: 30
          poll: 1
        - pause: {seconds: 1}
        - debug:
          throttle: 1
        - wait_for: {timeout: 0}
    """
    assert (await rig.run(rig.play(tasks))).verdict is Verdict.SUCCEEDED
    assert rig.seen.reasons("task") == {
        "ansible.builtin.ping": {"async"},
        "ansible.builtin.pause": {"action"},
        "ansible.builtin.debug": {"throttle"},
        "ansible.builtin.wait_for": {"action"},
    }
    assert rig.seen.reasons("module")["ping"] == {"async"}


async def test_a_crash_in_the_plays_process_is_a_killed_run_and_harms_no_other(rig: WarmRig) -> None:
    rig.file(
        "lookup_plugins/crash.py",
        """
        import os, signal
        from ansible.plugins.lookup import LookupBase
        class LookupModule(LookupBase):
            def run(self, terms, variables=None, **kwargs): os.kill(os.getpid(), signal.SIGSEGV)
        """,
    )
    crash = rig.play("- debug: {msg: \"{{ lookup('crash') }}\"}", name="crash.yml")
    outcome = await rig.run(crash)
    assert (outcome.verdict, outcome.return_code) == (Verdict.KILLED, -11)
    assert (await rig.run(rig.play("- debug:"))).verdict is Verdict.SUCCEEDED


async def test_a_hang_in_the_plays_process_ends_with_the_timeout(rig: WarmRig) -> None:
    rig.file(
        "lookup_plugins/hang.py",
        """
        import signal, time
        from ansible.plugins.lookup import LookupBase
        class LookupModule(LookupBase):
            def run(self, terms, variables=None, **kwargs):
                signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
                time.sleep(600)
        """,
    )
    outcome = await rig.run(rig.play("- debug: {msg: \"{{ lookup('hang') }}\"}"), timeout_s=3)
    assert outcome.verdict is Verdict.TIMED_OUT
    assert outcome.seconds < 6


async def test_what_a_task_does_to_its_process_ends_with_it(rig: WarmRig) -> None:
    """In a worker it would; so it does where there is none."""
    rig.file(
        "lookup_plugins/spoil.py",
        """
        import os, tempfile
        from ansible.plugins.lookup import LookupBase
        class LookupModule(LookupBase):
            def run(self, terms, variables=None, **kwargs):
                seen = f"{os.environ.get('SPOILT')} {os.path.basename(os.getcwd())} {os.umask(0o777):o}"
                os.environ["SPOILT"] = "yes"
                os.chdir("/")
                print("stray words")
                return [seen]
        """,
    )
    await rig.run(rig.play("- debug: {msg: \"{{ lookup('spoil') }}\"}\n" * 2))
    assert said(rig) == ["None project 22"] * 2
    assert rig.seen.reasons("task") == {"ansible.builtin.debug": {""}}


async def test_a_tasks_environment_is_the_modules_alone(rig: WarmRig) -> None:
    tasks = """
        - ping: {data: "{{ lookup('env', 'MINE') }}"}
          environment: {MINE: yes-mine}
        - stat: {path: $MINE}
          environment: {MINE: "{{ playbook_dir }}"}
          register: found
        - stat: {path: $MINE}
          register: lost
        - debug: {msg: "{{ found.stat.exists }} {{ lost.stat.exists }}"}
    """
    await rig.run(rig.play(tasks))
    assert said(rig)[-1] == "True False"
    assert rig.seen.reasons("module")["stat"] == {""}


# Shadows


async def test_a_projects_module_wins_over_the_one_that_is_loaded(rig: WarmRig) -> None:
    rig.file(
        "library/ping.py",
        """\
        #!/usr/bin/python
        from ansible.module_utils.basic import AnsibleModule
        AnsibleModule(argument_spec={}).exit_json(msg="my own ping")
        """,
    )
    await rig.run(rig.play("- ping:"))
    assert said(rig) == ["my own ping"]
    assert rig.seen.reasons("module") == {"ping": {"other_module"}}


LOOKUP_WITH_OPTIONS = """
DOCUMENTATION = 'options: {own: {default: mine}}'
class LookupModule(LookupBase):
    def run(self, *a, **k):
        self.set_options()
        return [self.get_option('own')]
"""


@pytest.mark.parametrize(
    ("folder", "name", "code", "task"),
    [
        ("lookup_plugins", "env", "class LookupModule(LookupBase):\n    def run(self, *a, **k): return ['mine']",
         "- debug: {msg: \"{{ lookup('env', 'HOME') }}\"}"),
        ("lookup_plugins", "env", LOOKUP_WITH_OPTIONS, "- debug: {msg: \"{{ lookup('env', 'HOME') }}\"}"),
        ("action_plugins", "debug", "class ActionModule(ActionBase):\n    def run(self, *a, **k): return {'msg': 'mine'}",
         "- debug: {msg: theirs}"),
        ("filter_plugins", "to_json", "class FilterModule:\n    def filters(self): return {'to_json': lambda _: 'mine'}",
         "- debug: {msg: '{{ 1 | to_json }}'}"),
    ],
)  # fmt: skip
async def test_a_projects_plugin_wins_over_the_one_that_is_loaded(
    rig: WarmRig, folder: str, name: str, code: str, task: str
) -> None:
    """Ansible loads a name once a process; the parent must not have been first."""
    head = "from ansible.plugins.lookup import LookupBase\nfrom ansible.plugins.action import ActionBase\n"
    rig.file(f"{folder}/{name}.py", head + code + "\n")
    await rig.run(rig.play(task))
    assert said(rig) == ["mine"]


async def test_a_projects_module_library_wins_over_the_one_that_is_loaded(rig: WarmRig) -> None:
    rig.file("module_utils/basic.py", "raise SystemExit('my own library')\n")
    await rig.run(rig.play("- ping:\n  ignore_errors: true"))
    assert rig.seen.reasons("module") == {"ping": {"module_utils"}}


# 14: content that changes


async def test_a_changed_collection_makes_a_new_parent(rig: WarmRig) -> None:
    module = """
        from ansible.module_utils.basic import AnsibleModule
        from ansible_collections.operator_sdk.util.plugins.module_utils.words import WORD
        def main(): AnsibleModule(argument_spec={{}}).exit_json(msg=WORD + "{word}")
        if __name__ == "__main__": main()
    """
    home = "ours/ansible_collections/operator_sdk/util"
    rig.file(f"{home}/galaxy.yml", "namespace: operator_sdk\nname: util\nversion: 0.6.0\n")
    execution = None
    for number, word in enumerate(("one", "two", "three")):
        if number != 2:
            rig.file(f"{home}/plugins/modules/say.py", module.format(word=word))
        rig.file(f"{home}/plugins/module_utils/words.py", f"WORD = '{word}'\n")
        execution = execution or rig.execution(collections=rig.project / "ours")
        outcome = await execution(rig.spec(rig.play("- operator_sdk.util.say:")))
        assert outcome.verdict is Verdict.SUCCEEDED, outcome
    assert said(rig) == ["oneone", "twotwo", "threetwo"]
    assert rig.seen.reasons("module") == {"operator_sdk.util.say": {""}}
    assert rig.seen.restarts == ["content", "content"]


async def test_a_collection_that_appears_in_front_makes_a_new_parent(rig: WarmRig) -> None:
    """And one of a version that was not tested runs its modules in processes of their own."""
    rig.environ["ANSIBLE_COLLECTIONS_PATH"] = f"{rig.project}/first:{os.environ.get('ANSIBLE_COLLECTIONS_PATH', '')}"
    content = rig.play("- kubernetes.core.k8s_info: {kind: Pod}\n  ignore_errors: true")
    await rig.run(content)
    home = "first/ansible_collections/kubernetes/core"
    rig.file(f"{home}/galaxy.yml", "namespace: kubernetes\nname: core\nversion: 3.0.0\n")
    rig.file(
        f"{home}/plugins/modules/k8s_info.py",
        """
        from ansible.module_utils.basic import AnsibleModule
        AnsibleModule(argument_spec=dict(kind={})).exit_json(msg="an older one")
        """,
    )
    said(rig)
    await rig.run(content)
    assert said(rig) == ["an older one"]
    assert rig.seen.tasks[-1] == ("module", "kubernetes.core.k8s_info", "not_listed")
    assert rig.seen.restarts == ["content"]


async def test_roles_and_variables_are_read_anew_by_each_run(rig: WarmRig) -> None:
    """Without a new parent."""
    content = rig.play("- include_role: {name: say}\n- debug: {msg: \"{{ lookup('template', 't.j2') }}\"}")
    for word in ("one", "two"):
        rig.file("roles/say/tasks/main.yml", f"- debug: {{msg: '{word} {{{{ fixed }}}}'}}\n")
        rig.file("roles/say/defaults/main.yml", f"fixed: {word}\n")
        rig.file("t.j2", word)
        await rig.run(content)
    assert said(rig) == ["one one", "one", "two two", "two"]
    assert rig.seen.starts == 1


async def test_runs_with_other_settings_are_plain(rig: WarmRig) -> None:
    rig.may_be_plain = True
    await rig.run(rig.play("- debug:"))
    rig.environ["ANSIBLE_JINJA2_NATIVE_WARNING"] = "false"
    await rig.run(rig.play("- debug:"))
    assert (rig.seen.warm, rig.seen.plain) == (1, ["settings"])


# What the parent has learned from runs (`lessons`)


def role(rig: WarmRig, name: str, tasks: str) -> Content:
    rig.file(f"roles/{name}/tasks/main.yml", tasks)
    return Content(role=rig.project / "roles" / name)


async def taught(rig: WarmRig, content: Content, **options: Any) -> int:
    """Run it until the parent has learned from it; how much."""
    for _ in range(2):
        await rig.run(content, **options)
    learned = await rig.parent().ping(10)
    assert learned > 0
    rig.events.clear()
    return int(learned)


async def test_a_file_that_was_learned_is_read_anew_when_it_changes(rig: WarmRig) -> None:
    content = rig.play("- include_vars: words.yml\n- debug: {msg: '{{ word }}'}")
    words = rig.file("words.yml", "word: first\n")
    await taught(rig, content)
    words.write_text("word: other\n")
    await rig.run(content)
    assert said(rig) == ["other"]


def test_a_file_that_is_loaded_twice_is_two_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one task does to the one must not show in the other, even where Ansible makes no copy."""
    file = tmp_path / "words.yml"
    file.write_text("words: [a]\n")
    monkeypatch.setattr(DataLoader, "load", DataLoader.load)
    monkeypatch.setattr(texts, "_known", {})
    texts.install()
    texts.learn(str(file), False, file.read_text())
    one, two = (DataLoader().load_from_file(str(file), cache="none", unsafe=True) for _ in range(2))
    assert one == two == {"words": ["a"]}
    assert one["words"] is not two["words"]
    assert not texts._known, "so it was the learned one"


async def test_a_warning_about_a_file_is_heard_by_every_run(rig: WarmRig) -> None:
    rig.file("words.yml", "word: first\nword: second\n")
    content = rig.play("- include_vars: words.yml\n- debug: {msg: '{{ word }}'}")
    await taught(rig, content, max_artifacts=1)
    spec = rig.spec(content, max_artifacts=1)
    await rig.execution()(spec)
    assert "duplicate" in (rig.area.kept(spec.gvk, spec.ref) / spec.run_id / "stdout").read_text().lower()


async def test_a_learned_template_calls_a_filter_as_that_filter_wants(rig: WarmRig) -> None:
    """Two roles, two filters of one name: what Jinja compiles depends on what a filter wants to be passed."""
    task = "- debug: {msg: \"{{ 'x' | to_json }}\"}"
    await taught(rig, role(rig, "plain", task))
    own = role(rig, "own", task)
    rig.file(
        "roles/own/filter_plugins/own.py",
        "from jinja2 import pass_environment\n"
        "@pass_environment\n"
        "def mine(environment, value): return f'{type(environment).__name__} {value}'\n"
        "class FilterModule:\n    def filters(self): return {'to_json': mine}\n",
    )
    await rig.run(own)
    assert said(rig) == ["AnsibleEnvironment x"]


async def test_what_was_encrypted_is_told_to_nobody() -> None:
    text = Origin(path="/secrets.yml").tag("word: x")
    assert texts._key(text, "/secrets.yml") is not None
    assert texts._key(SourceWasEncrypted().tag(text), "/secrets.yml") is None


async def test_a_filter_that_a_role_brings_along_is_found_though_there_was_none_before(rig: WarmRig) -> None:
    """Jinja has one of the name; that Ansible has none is remembered only until a role adds its plugins."""
    role(rig, "own", "- debug: {msg: '{{ [1, 2] | first }}'}")
    rig.file(
        "roles/own/filter_plugins/own.py",
        "class FilterModule:\n    def filters(self): return {'first': lambda _: 'mine'}\n",
    )
    content = rig.play("- debug: {msg: '{{ [1, 2] | first }}'}\n- include_role: {name: own}")
    await rig.run(content)
    assert said(rig) == ["1", "mine"]


async def test_collections_beside_a_playbook_make_its_runs_plain(rig: WarmRig) -> None:
    """Ansible takes them before any other; the parent has loaded the others."""
    rig.may_be_plain = True
    rig.file("collections/ansible_collections/mine/own/plugins/modules/word.py", WORD)
    await rig.run(rig.play("- mine.own.word:"))
    assert said(rig) == ["beside"]
    assert rig.seen.plain == ["collections_beside"]


WORD = """
from ansible.module_utils.basic import AnsibleModule
AnsibleModule(argument_spec={}).exit_json(msg="beside")
"""
