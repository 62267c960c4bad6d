"""The echo role row by row: what it does to the Job and what it says in the status."""

import re
import subprocess
from pathlib import Path

import pytest

import hostile
from harness import ECHO, JOB, condition_of, echo
from runner.objects import GroupVersionKind

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parent.parent.parent
ROLE = ROOT / "roles" / "echo"
LOOKED = ["kubernetes.core.k8s_info"]
HOSTILE = hostile.TEXTS | {
    "backslashes": r"a\nb\\c\x41\c",
    "canary": "{{ lookup('pipe', 'touch CANARY') }}",
    "statement": "{% for x in ().__class__.__mro__ %}{{ x }}{% endfor %}{# #}",
    "flags": "-ne",
    "command": "$(id); rm -rf / && echo ${HOME} | cat <<< $$",
    "dollars": "$ $$ $$$ $(HOME) $$(HOME) $",
    "endings": "first\nsecond\r\nthird\n",
    "returns": "first\r\nsecond\r",
    "spaces": "  leading and trailing \t ",
    "control": "bell \x07 escape \x1b[31m delete \x7f",
    "number": "007",
    "boolean": "yes",
    "vault": '{"__ansible_vault": "x", "__ansible_unsafe": "y"}',
    "omit": "__omit_place_holder__",
}


def expanded(argument: str) -> str:
    """What the kubelet makes of a command's element when no variable is known: `$$` is `$`, the rest stays."""
    result, position = "", 0
    while position < len(argument):
        pair = argument[position : position + 2]
        assert pair != "$(", f"a reference is left in {argument!r}"
        result += "$" if pair == "$$" else argument[position]
        position += 2 if pair == "$$" else 1
    return result


def printed(command: list[str]) -> str:
    """What the container would print."""
    return subprocess.run([expanded(part) for part in command], stdout=subprocess.PIPE, check=True).stdout.decode()


async def test_first_run_creates_and_the_next_one_rests(api, namespace, children, run_role, writes):
    """The way the operator calls it. The resting run must read once and write nothing at all, not even in vain.

    The namespace enforces restricted Pod Security: a Job whose Pod did not get in would never become active.
    """
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await api.patch(GroupVersionKind("", "v1", "Namespace"), "", namespace, label)
    await api.create(echo("hello", namespace, "Hola, 世界!"))

    first = await run_role("echo", await api.until(ECHO, namespace, "hello"))
    job = await api.until(JOB, namespace, "hello", lambda job: job.get("status", {}).get("active") == 1, within=20)
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert (first.failure, first.again) == ("", "")
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    assert (container["image"], container["imagePullPolicy"]) == ("busybox:1.33.1", "IfNotPresent")
    assert pod["securityContext"]["runAsUser"] == 65534
    assert "ownerReferences" not in job["metadata"], "owner references are the gateway's work"
    assert writes() == ["create jobs hello", "patch echos/status hello"]

    owner = await api.until(ECHO, namespace, "hello")
    assert owner["status"]["job"] == {
        "name": "hello",
        "uid": job["metadata"]["uid"],
        "ownerUID": owner["metadata"]["uid"],
        "generation": 1,
        "state": "Active",
    }
    await children.adopt(JOB, owner, "hello")
    before = await api.until(JOB, namespace, "hello")

    second = await run_role("echo", owner)
    assert (second.modules, second.changed, second.failure) == (LOOKED, 0, "")
    assert writes() == ["create jobs hello", "patch echos/status hello"]
    assert await api.until(JOB, namespace, "hello") == before
    assert await api.until(ECHO, namespace, "hello") == owner


async def test_every_message_reaches_the_program_byte_for_byte(play, variables_of, tmp_path):
    """What the container would print, for texts that look like something else to one of the layers in between."""
    hosts = {key: variables_of(_unsent(f"e-{key}", message)) for key, message in HOSTILE.items()}

    reports = await play(
        hosts,
        tasks=[{"ansible.builtin.debug": {"var": "echo_job_definition"}}],
        vars_files=[ROLE / "defaults" / "main.yml", ROLE / "vars" / "main.yml"],
    )

    definitions = {key: report.facts["echo_job_definition"] for key, report in reports.items()}
    commands = {key: job["spec"]["template"]["spec"]["containers"][0]["command"] for key, job in definitions.items()}
    assert {key: printed(command) for key, command in commands.items()} == {
        key: f"{message}\n" for key, message in HOSTILE.items()
    }
    assert not list(tmp_path.rglob("CANARY"))


async def test_hostile_text_survives_the_api_server(api, namespace, play, variables_of, tmp_path):
    """All of it in one message, the whole way: nothing may be executed, refused or rewritten."""
    message = "\n".join(HOSTILE.values())
    hosts = {
        "hostile": variables_of(await api.create(echo("hostile", namespace, message))),
        "nospec": variables_of(await api.create(echo("nospec", namespace, None))),
    }

    reports = await play(hosts, role="echo")

    assert {key: report.failure for key, report in reports.items()} == {"hostile": "", "nospec": ""}
    for key, text in {"hostile": message, "nospec": ""}.items():
        job = await api.until(JOB, namespace, key)
        assert printed(job["spec"]["template"]["spec"]["containers"][0]["command"]) == f"{text}\n"
    assert not list(tmp_path.rglob("CANARY"))


async def test_each_row_of_the_table(api, namespace, children, play, variables_of, writes, audit):
    """One object for each row of tasks/decide.yml, all in one play. `expected` is the table of promises."""
    hosts, jobs = {}, {}

    async def case(key, *, message="hello", generation=1, record=None, conditions=None, born=None, **settings):
        """An Echo as the operator would hand it over, with what an earlier run wrote into its status."""
        owner = await api.create(echo(key, namespace, message))
        if born:
            owner["metadata"]["creationTimestamp"] = born
        if record:
            status = {"name": key, "uid": "gone", "ownerUID": owner["metadata"]["uid"], "generation": generation}
            owner["status"] = {"job": status | record}
        if conditions:
            owner.setdefault("status", {})["conditions"] = conditions
        if "status" in owner:
            await api.patch(ECHO, namespace, key, {"status": owner["status"]}, subresource="status")
        hosts[key] = variables_of(owner, **settings)
        return owner

    def earlier(name):
        """An Echo of the same name with another uid: deleted since."""
        metadata = {"name": name, "uid": "00000000-0000-4000-8000-000000000000"}
        return {"apiVersion": ECHO.api_version, "kind": "Echo", "metadata": metadata}

    await case("absent")
    await case("gone-finished", record={"state": "Complete"})
    await case("gone-unfinished", record={"state": "Active"})
    await case("gone-other-owner", record={"state": "Complete", "ownerUID": "of-an-earlier-echo"})
    await case("gone-older-message", record={"state": "Complete", "generation": 0})
    await case("gone-ignored", record={"state": "Failed", "generation": 0}, echo_on_change="ignore")
    owner = await case("complete")
    jobs["complete"] = await children.job(owner, "complete", command=["printf", "%s\\n", "hello"], ends="Complete")
    owner = await case("failed")
    jobs["failed"] = await children.job(owner, "failed", command=["printf", "%s\\n", "hello"], ends="Failed")
    owner = await case("echoperators")
    jobs["echoperators"] = await children.job(owner, "echoperators", command=["echo", "hello"])
    owner = await case("ignored", echo_on_change="ignore")
    jobs["ignored"] = await children.job(owner, "ignored", command=["echo", "something else"])
    owner = await case("changed")
    changed = await children.job(owner, "changed", command=["echo", "something else"], held=True)
    owner = await case("leaving")
    await children.job(owner, "leaving", command=["echo", "something else"], held=True)
    owner = await case("leaving-finished")
    await children.job(owner, "leaving-finished", command=["echo", "hello"], ends="Complete", held=True)
    await case("stale")
    await children.job(earlier("stale"), "stale", command=["echo", "hello"], held=True)
    await case("stale-long", born="2026-01-01T00:00:00Z")
    await children.job(earlier("stale-long"), "stale-long", command=["echo", "hello"], held=True)
    await case("foreign")
    jobs["foreign"] = await children.job(None, "foreign", command=["echo", "hello"])
    conflict = [{"type": "NameConflict", "status": "True", "reason": "NameTaken", "message": "was in the way"}]
    owner = await case("resolved", conditions=conflict)
    jobs["resolved"] = await children.job(owner, "resolved", command=["echo", "hello"])
    for name in ("leaving", "leaving-finished"):
        await api.delete(JOB, namespace, name)
    assert writes() == []

    reports = await play(hosts, role="echo")

    made, said, deleted = "create jobs {}", "patch echos/status {}", "delete jobs {}"
    expected = {
        "absent": ([made, said], "", "JobRunning", "Active"),
        "gone-finished": ([said], "", "JobComplete", "Complete"),
        "gone-unfinished": ([made, said], "", "JobRunning", "Active"),
        "gone-other-owner": ([made, said], "", "JobRunning", "Active"),
        "gone-older-message": ([made, said], "", "JobRunning", "Active"),
        "gone-ignored": ([said], "", "JobFailed", "Failed"),
        "complete": ([said], "", "JobComplete", "Complete"),
        "failed": ([said], "", "JobFailed", "Failed"),
        "echoperators": ([said], "", "JobRunning", "Active"),
        "ignored": ([said], "", "JobRunning", "Active"),
        "changed": ([deleted, said], "5s", "JobReplacing", "Active"),
        "leaving": ([], "5s", None, None),
        "leaving-finished": ([said], "", "JobComplete", "Complete"),
        "stale": ([said], "2s", "JobPending", None),
        "stale-long": ([said], "30s", "WaitingForRemoval", None),
        "foreign": ([said], "30s", "NameConflict", None),
        "resolved": ([said], "", "JobRunning", "Active"),
    }
    log = writes()
    actual = {}
    for key, report in reports.items():
        after = await api.until(ECHO, namespace, key)
        own = [line.replace(key, "{}") for line in log if line.split()[-1] == key]
        state = after.get("status", {}).get("job", {}).get("state")
        actual[key] = (own, report.again, condition_of(after, "Ready").get("reason"), state)
        assert report.failure == "", key
    assert actual == expected

    for key, before in jobs.items():
        assert await api.until(JOB, namespace, key) == before, f"{key}: the Job was touched"
    (delete,) = [event["requestObject"] for event in audit() if event["verb"] == "delete"]
    # The default for Jobs leaves their Pods behind; and a Job made since must not be hit.
    assert (delete["propagationPolicy"], delete["preconditions"]) == ("Foreground", {"uid": changed["metadata"]["uid"]})
    conflicts = {key: condition_of(await api.until(ECHO, namespace, key), "NameConflict") for key in hosts}
    assert {key: entry["status"] for key, entry in conflicts.items() if entry} == {
        "foreign": "True",
        "resolved": "False",
    }


async def test_names_too_long_for_a_job_are_shortened(play, variables_of):
    """Deterministic, valid as Job, label and container, and different for names that differ only at the end."""
    names = ["plain", "1-digit", "a" * 63, "a" * 64, "a" * 253, "with.dots", "with-dots", "a" * 252 + "b"]
    hosts = {f"n{index}": variables_of(_unsent(name, "hello")) for index, name in enumerate(names)}

    reports = await play(
        hosts,
        tasks=[{"ansible.builtin.debug": {"var": "echo_job_name"}}],
        vars_files=[ROLE / "defaults" / "main.yml", ROLE / "vars" / "main.yml"],
    )

    children = {name: reports[f"n{index}"].facts["echo_job_name"] for index, name in enumerate(names)}
    kept = {name: child for name, child in children.items() if name == child}
    assert sorted(kept) == sorted(["plain", "1-digit", "a" * 63, "with-dots"])
    assert children["a" * 64] == "a" * 52 + "-ffe054fe7a"
    assert len(set(children.values())) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", child) for child in children.values())


async def test_losing_the_race_changes_nothing_and_looks_again(api, namespace, children, play, variables_of):
    """Somebody makes a Job of our name between our look and our create: that is theirs, and no failure."""
    owner = await api.create(echo("race", namespace))
    before = await children.job(None, "race", command=["echo", "theirs"])
    create = {"ansible.builtin.include_role": {"name": "echo", "tasks_from": "create.yml"}}
    looked = variables_of(owner, echo_found={"resources": []}, echo_sees={"absent": True})

    reports = await play({"race": looked}, tasks=[create, {"ansible.builtin.debug": {"var": "echo_decision"}}])

    assert reports["race"].failure == ""
    decision = reports["race"].facts["echo_decision"]
    assert (decision["again"], decision["ready"]["reason"]) == ("2s", "JobPending")
    assert await api.until(JOB, namespace, "race") == before


async def test_settings_are_checked_and_used(api, namespace, play, variables_of, writes):
    """A time to live under ten minutes is refused in words; null leaves a field out; the Job is what was asked for."""
    short = variables_of(await api.create(echo("short", namespace)), echo_ttl_seconds_after_finished=599)
    own = variables_of(
        await api.create(echo("own", namespace)),
        echo_ttl_seconds_after_finished=600,
        echo_run_as_user=None,
        echo_image="registry.example/busybox:2",
        echo_resources={},
    )
    wrong = variables_of(await api.create(echo("wrong", namespace)), echo_on_change="sometimes")

    reports = await play({"short": short, "own": own, "wrong": wrong}, role="echo")

    assert "599" in reports["short"].failure
    assert "at least 600" in reports["short"].failure
    assert "echo_on_change" in str(reports["wrong"].failure)
    job = await api.until(JOB, namespace, "own")
    pod = job["spec"]["template"]["spec"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 600
    assert "runAsUser" not in pod["securityContext"]
    assert pod["containers"][0]["image"] == "registry.example/busybox:2"
    assert pod["containers"][0]["resources"] == {}
    assert [line for line in writes() if line.startswith("create")] == ["create jobs own"]


def _unsent(name, message):
    """An Echo as the API server would return it, without one."""
    metadata = {"name": name, "namespace": "default", "uid": "u", "generation": 1}
    return {"apiVersion": ECHO.api_version, "kind": "Echo", "metadata": metadata, "spec": {"message": message}}
