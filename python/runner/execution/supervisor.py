"""The process above one run: `python -m runner.execution.supervisor <channel> <parent pid>`.

ansible-runner takes over whatever process it runs in: signal handlers, environment, working directory. So it gets one
of its own, which adopts all that descends from the play and kills it to the last process: at the end, on SIGTERM, and
when the operator dies. Reads one `Job` from the channel, writes events and one final record to it.
Promises: no process and no directory of the run outlives this program, unless it is itself killed with SIGKILL (then
the operator does both). Decides nothing: the verdict is the operator's.
"""

# Nothing heavy up here: until ansible-runner is loaded, each import is a delay of every run.
import os
import select
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from runner.execution import eventfiles, events, processes
from runner.execution.directory import RunDirectory
from runner.execution.job import Job
from runner.execution.outbox import Outbox
from runner.execution.stream import EventStream, last_lines

__all__ = ["Play", "Supervisor", "main", "supervise"]

_TAIL_BYTES = 64 * 1024
_DETAIL_BYTES = 1024
_MAX_KEPT_EVENTS = 16 << 20
_PUMP_END_S = 30.0
_CHUNK = 64 * 1024
_ESSENTIAL = frozenset({"runner_on_failed", "runner_on_unreachable", "playbook_on_stats"})
_OWN_OUTPUT = "verbose"


class Supervisor:
    """One run, from its job to its last process."""

    def __init__(self, channel: int, play: "type[Play]") -> None:
        self._channel = channel
        self._play = play
        self._outbox: Outbox | None = None
        self._directory: RunDirectory | None = None

    def terminate(self, *_: object) -> NoReturn:
        """SIGTERM: cancelled, timed out, or the operator died. Leave nothing and no word."""
        processes.kill_tree(os.getpid(), root=False)
        processes.reap_children()
        if self._directory is not None:
            self._directory.remove()
        os._exit(128 + signal.SIGTERM)

    def run(self) -> None:
        job = Job.decode(self._receive())
        self._outbox = Outbox(self._channel)
        self._directory = RunDirectory(Path(job.directory))
        play = self._play(job, self._directory, self._outbox)
        record = play.run()
        if job.keep_in and "error" not in record:
            play.keep()
        self._directory.remove()
        self._outbox.put(events.encode(record), essential=True)
        self._outbox.drain()

    def _receive(self) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n"):
            data = os.read(self._channel, _CHUNK)
            if not data:
                os._exit(1)  # the operator changed its mind
            line += data
        return bytes(line)


class Play:
    """ansible-runner at work, and what comes out of it."""

    def __init__(self, job: Job, directory: RunDirectory, outbox: Outbox) -> None:
        self._job = job
        self._directory = directory
        self._outbox = outbox
        self._runner: Any = None
        self._kept_bytes = 0
        self._counter = 0
        self._stream = EventStream(self._on_marker, keep=_TAIL_BYTES)

    def run(self) -> dict[str, Any]:
        """Run to the end and return the final record."""
        error = ""
        try:
            self._prepare()
            self._execute()
            self._directory.check_space()
        except Exception as failure:  # noqa: BLE001 - the top of this program: whatever it was, the operator must hear
            error = f"{type(failure).__name__}: {failure}"
        self._stream.close()
        runner = self._runner
        record = {
            "kind": "end",
            "rc": runner.rc if runner is not None else None,
            "tail": last_lines(self._stream.tail, _DETAIL_BYTES),
            "dropped": self._outbox.dropped,
        }
        return {**record, "error": events.shorten(error)} if error else record

    def _prepare(self) -> None:
        job = self._job
        self._directory.create(
            extra_vars=job.extra_vars,
            kubeconfig=job.kubeconfig,
            cmdline=job.cmdline,
            interpreter=sys.executable,
            inventory=Path(job.inventory) if job.inventory else None,
        )
        # ansible-runner starts from this process's environment; our own was only for finding this program.
        os.environ.clear()
        os.environ.update(job.environment)
        import ansible_runner.runner as doorway  # noqa: PLC0415 - see the top
        from ansible_runner.interface import init_runner  # noqa: PLC0415

        eventfiles.write_at_once(doorway)
        self._runner = init_runner(
            private_data_dir=str(self._directory.path),
            ident=job.run_id,
            quiet=True,
            verbosity=min(job.verbosity, 7),
            fact_cache_type="memory",
            event_handler=self._on_event,
            status_handler=self._on_status,
            # Given only so that ansible-runner leaves the signal handlers alone.
            cancel_callback=lambda: False,
            **self._content(),
        )
        self._runner.config.suppress_output_file = True
        self._runner.config.command[:1] = _ansible_playbook()
        self._divert_command_file()

    def _content(self) -> dict[str, Any]:
        job = self._job
        if job.playbook:
            return {"playbook": job.playbook}
        role = Path(job.role)
        others = job.environment.get("ANSIBLE_ROLES_PATH", "")
        return {
            "role": role.name,
            "roles_path": f"{role.parent}:{others}" if others else str(role.parent),
            "hosts": "localhost",
            "role_skip_facts": not job.gather_facts,
        }

    def _divert_command_file(self) -> None:
        """Let the file in which ansible-runner dumps the whole environment lie in memory instead."""
        memory = os.memfd_create("command")
        (self._directory.artifacts / self._job.run_id / "command").symlink_to(f"/proc/{os.getpid()}/fd/{memory}")

    def _execute(self) -> None:
        """Run with a plain pipe for output.

        ansible-runner's pexpect mode gives live events but needs a pty, waits 5 s where something keeps that open, and
        is slow; its subprocess mode gives all output at the end. With a descriptor of ours it does neither.
        """
        reading, writing = os.pipe()
        self._runner.runner_mode = "subprocess"
        self._runner.config.output_fd = self._runner.config.error_fd = writing
        pump = threading.Thread(target=self._pump, args=(reading,), name="output", daemon=True)
        pump.start()
        try:
            self._runner.run()
        finally:
            # What the play left behind holds the pipe open, and must be gone before anybody hears of an end.
            processes.kill_tree(os.getpid(), root=False)
            processes.reap_children()
            os.close(writing)
            pump.join(_PUMP_END_S)

    def _pump(self, reading: int) -> None:
        poller = select.poll()
        poller.register(reading, select.POLLIN)
        while True:
            poller.poll(100 if self._outbox.waiting else None)
            self._outbox.flush()
            data = os.read(reading, _CHUNK) if poller.poll(0) else None
            if data:
                self._stream.feed(data)
            elif data is not None:
                return

    def _on_marker(self, event_id: str, text: str) -> None:
        """Hand an event to ansible-runner, if the callback has made one by that name."""
        known = self._known_of(event_id)
        if known is None:
            return
        self._counter += 1
        event = {"uuid": event_id, "counter": self._counter, "stdout": text, "start_line": 0, "end_line": 0}
        self._runner.event_callback({**event, **known})

    def _known_of(self, event_id: str) -> Mapping[str, Any] | None:
        """What of an event ansible-runner will not find in the callback's file, which it merges; `None`: no event."""
        partial = self._directory.artifacts / self._job.run_id / "job_events" / f"{event_id}-partial.json"
        return {} if partial.exists() else None

    def _on_event(self, event: dict[str, Any]) -> bool:
        """Pass a merged event on; the return value says whether ansible-runner is to keep it as a file."""
        if "event_data" not in event:
            if event.get("event") == _OWN_OUTPUT:
                self._stream.note(str(event.get("stdout") or ""))
            return False
        record = events.project(event)
        if record is not None:
            essential = record["kind"] in _ESSENTIAL or "requeue_after" in record
            self._outbox.put(events.encode(record), essential=essential)
        return self._worth_keeping(event)

    def _worth_keeping(self, event: dict[str, Any]) -> bool:
        if not self._job.keep_in or event.get("event") in {"verbose", "debug"}:
            return False
        result = (event.get("event_data") or {}).get("res") or {}
        facts = result.get("ansible_facts")
        if isinstance(facts, dict):
            for name in ("ansible_env", "env"):  # the environment, which stays off the disk
                facts.pop(name, None)
        self._kept_bytes += len(str(event))
        return self._kept_bytes <= _MAX_KEPT_EVENTS

    def _on_status(self, status: dict[str, Any], **_: object) -> None:
        if status["status"] == "running":
            (self._directory.artifacts / self._job.run_id / "command").unlink(missing_ok=True)

    def keep(self) -> None:
        job = self._job
        try:
            self._directory.keep(job.run_id, Path(job.keep_in), count=job.keep_count, output=self._stream.tail)
        except OSError as error:
            print(f"artifacts of run {job.run_id} not kept: {error}", file=sys.stderr)  # noqa: T201 - our log


def _ansible_playbook() -> list[str]:
    """The Ansible of this very interpreter, whatever PATH says."""
    beside = Path(sys.executable).with_name("ansible-playbook")
    return [sys.executable, str(beside)] if beside.exists() else [sys.executable, "-P", "-m", "ansible.cli.playbook"]


def supervise(channel: int, *, parent: int, play: type[Play]) -> NoReturn:
    """Run one job. Ends with `os._exit`: a normal exit of the interpreter takes longer and does nothing for us."""
    processes.become_subreaper()
    if not processes.die_with_parent(parent):
        os._exit(1)
    supervisor = Supervisor(channel, play)
    signal.signal(signal.SIGTERM, supervisor.terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor.run()
    os._exit(0)


def main(arguments: list[str]) -> NoReturn:
    channel, parent = (int(argument) for argument in arguments)
    supervise(channel, parent=parent, play=Play)


if __name__ == "__main__":
    main(sys.argv[1:])
