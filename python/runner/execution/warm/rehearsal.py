"""A small play in the warm parent itself, before it forks: what Ansible loads on first use is then loaded for all.

It touches nothing but its own directory. What it leaves in Ansible's singletons is put back by `singletons.reset`.
"""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from runner.execution import supervisor
from runner.execution.directory import RunDirectory, remove_tree
from runner.execution.job import Job
from runner.execution.outbox import Outbox
from runner.execution.stream import last_lines
from runner.execution.warm import child, singletons
from runner.execution.warm.versions import CannotPreload

__all__ = ["Rehearsal"]

_SAID = 2000

_PLAY = """
- hosts: localhost
  gather_facts: false
  vars: {list: [1, 2], text: "{{ list | length }}"}
  tasks:
    - include_role: {name: rehearsal}
      vars: {inner: "{{ list | map('string') | join(',') }}"}
"""
_TASKS = """
- name: facts, "{{ inner }}"
  set_fact: {fact: "{{ {'a': inner} | combine({'b': lookup('env', 'HOME') | default('x', true)}) }}"}
- debug: {msg: "{{ fact | to_json | from_json }} {{ item }}"}
  loop: "{{ list }}"
  when: item is defined and fact.a is string
- assert: {that: ["fact.a != ''"], quiet: true}
- ping:
  register: pong
  until: pong is success
  changed_when: false
- block: [{fail: {msg: "as planned"}}]
  rescue: [{include_tasks: more.yml}]
"""


class Rehearsal:
    """One play in a directory of its own."""

    def __init__(self, job: Job) -> None:
        """`job` is any run's, with a directory that may be made and removed; what it runs is put in there."""
        self._place = Path(job.directory)
        self._directory = RunDirectory(self._place / "run")
        self._content = self._place / "content"
        self._job = job
        self._play: Any = None
        self.environment: dict[str, str] = {}
        """What ansible-runner would give `ansible-playbook`."""

    def prepare(self) -> None:
        """Let ansible-runner prepare the run."""
        role = self._content / "roles" / "rehearsal" / "tasks"
        role.mkdir(parents=True, mode=0o700)
        (self._content / "play.yml").write_text(_PLAY, encoding="utf-8")
        (role / "main.yml").write_text(_TASKS, encoding="utf-8")
        (role / "more.yml").write_text("- debug:\n", encoding="utf-8")
        outbox = Outbox(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))
        self._play = supervisor.Play(self._job_of(self._content / "play.yml"), self._directory, outbox)
        self._play._prepare()
        self.environment = dict(self._play._runner.config.env)

    def _job_of(self, playbook: Path) -> Job:
        return dataclasses.replace(
            self._job, playbook=str(playbook), role="", extra_vars='{"given": 1}', keep_in="", inventory=""
        )

    def run(self) -> None:
        """Play it.

        Raises:
            CannotPreload: it failed, so plays would.
        """
        config = self._play._runner.config
        arguments = sys.argv
        streams = os.dup(1), os.dup(2)
        silence = os.memfd_create("rehearsal")
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        directory = Path.cwd()
        singletons.become_run(config.env, arguments=config.command[1:], directory=config.cwd)
        try:
            code = child.play(config.command[1:])
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(streams[0], 1)
            os.dup2(streams[1], 2)
            said = os.pread(silence, os.fstat(silence).st_size, 0)
            for descriptor in (*streams, silence):
                os.close(descriptor)
            os.chdir(directory)
            sys.argv = arguments
        if code:
            raise CannotPreload(f"a rehearsal ended with code {code}: {last_lines(said, _SAID)}")

    def remove(self) -> None:
        """Leave nothing on disk. Where it comes to an end before this, the operator removes the place."""
        remove_tree(self._place)
