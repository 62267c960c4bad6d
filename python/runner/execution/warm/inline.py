"""Runs a task in the play's own process instead of a forked worker, where nobody can tell the difference.

`install` replaces the class that Ansible's strategies start workers with. The replacement lets a task see the world
as a worker does (messages and results go through a queue, values are pickled on the way, the play's objects are
copies) and puts environment, directory and streams back. What has to be a process stays one: see `needs_worker`.
"""

import contextlib
import contextvars
import io
import multiprocessing.process
import pickle
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from runner.execution.warm import interpreter, report, singletons

__all__ = ["install"]

_ACTIONS = frozenset({
    "assert", "debug", "fail", "include_role", "include_tasks", "include_vars", "import_role", "set_fact", "set_stats",
    "validate_argument_spec",
})  # fmt: skip
"""Actions of ansible.builtin that neither wait nor start anything."""
_STRATEGIES = frozenset({"linear", "free", "host_pinned"})
_BUILTIN = ("ansible.builtin.", "ansible.legacy.")


def install(modules: frozenset[str]) -> None:
    """Replace the workers of all strategies. Once, before forking.

    Args:
        modules: names of modules whose tasks may run in the play's process.
    """
    from ansible._internal import _rpc_host
    from ansible.executor.process.worker import WorkerProcess
    from ansible.plugins import strategy

    shared_instance = _rpc_host.LocalManager.__dict__["shared_instance"]

    def worker(**options: Any) -> Any:
        reason = needs_worker(options["task"], options["task_vars"], modules)
        report.task(action=str(options["task"].resolved_action), reason=reason)
        if not reason:
            return InlineWorker(**options)
        # The thread that workers add hosts through is started with the first of them.
        shared_instance.__get__(None, _rpc_host.LocalManager)()
        return WorkerProcess(**options)

    strategy.WorkerProcess = worker
    _rpc_host.LocalManager.shared_instance = classmethod(lambda cls: cls._shared_instance)


def needs_worker(task: Any, task_vars: Any, modules: frozenset[str]) -> str:
    """Why a task needs a process of its own; empty: it does not."""
    if len(task_vars.get("ansible_play_batch") or ()) != 1:
        return "hosts"
    if task.async_val or not isinstance(task.async_val, int):
        return "async"
    if task.throttle:
        return "throttle"
    if task.become:
        return "become"
    strategy = _unqualified(str(task.get_play().strategy))
    if strategy not in _STRATEGIES:
        return "strategy"
    action = str(task.resolved_action or task.action)
    if _unqualified(action) in _ACTIONS or action in modules:
        return ""
    return "action"


def _unqualified(name: str) -> str:
    for prefix in _BUILTIN:
        name = name.removeprefix(prefix)
    return name


class InlineWorker:
    """Stands in for a `WorkerProcess` whose life ends before `start` returns."""

    exitcode = None
    pid = None

    def __init__(
        self,
        *,
        final_q: Any,
        task_vars: Any,
        host: Any,
        task: Any,
        play_context: Any,
        loader: Any,
        variable_manager: Any,
        shared_loader_obj: Any,
        worker_id: int,
        cliargs: Any,
    ) -> None:
        del final_q, cliargs
        self._task_vars = task_vars
        self._host = host
        self._task = task
        self._play_context = play_context
        self._loader = loader
        self._variable_manager = variable_manager
        self._shared_loader_obj = shared_loader_obj
        self.worker_id = worker_id
        loader._tempfiles = set()

    def is_alive(self) -> bool:
        return False

    def close(self) -> None:
        """As a process has it."""

    terminate = close

    def start(self) -> None:
        from ansible._internal._task import TaskContext

        task = self._task.copy(exclude_parent=True)
        task._parent = self._task._parent
        task_vars = dict(self._task_vars)
        with as_worker() as queue, TaskContext.create(task=task, task_vars=task_vars, host_name=self._host.name):
            self._execute(task, queue)

    def _execute(self, task: Any, queue: "DirectQueue") -> None:
        from ansible.executor.task_executor import TaskExecutor

        task.squash()
        executor = TaskExecutor(
            self._host, self._play_context, self._loader, self._shared_loader_obj, queue, self._variable_manager
        )
        result = executor.run()
        result.finalize_registered_values()
        self._complain_about_output(task, queue)
        task.ignore_errors = result.ignore_errors
        task.ignore_unreachable = result.ignore_unreachable
        self._send(task, result, queue)

    def _complain_about_output(self, task: Any, queue: "DirectQueue") -> None:
        """In Ansible's words, since what is displayed must be equal."""
        from ansible.utils.display import Display

        for name, data in queue.printed().items():
            if data:
                Display().warning(
                    f"WorkerProcess for [{self._host}/{task}] errantly sent data directly to {name} instead of using"
                    f" Display:\n{textwrap.indent(data[:256], '    ')}\n",
                    formatted=True,
                )

    def _send(self, task: Any, result: Any, queue: Any) -> None:
        from ansible._internal._task import UnifiedTaskResult
        from ansible.errors import AnsibleError
        from ansible.inventory.host import Host
        from ansible.playbook.task import Task

        try:
            queue.send_task_result(self._host, task, result)
        except Exception as error:  # noqa: BLE001 - as Ansible's worker does
            wrapped = AnsibleError("Task result omitted due to queue send failure.")
            wrapped.__cause__ = error
            substitute = Task()
            substitute._uuid = task._uuid
            failure = UnifiedTaskResult.create_from_action_exception(wrapped)
            failure.finalize_registered_values()
            queue.send_task_result(Host(name=self._host.name), substitute, failure)


@contextlib.contextmanager
def as_worker() -> Iterator["DirectQueue"]:
    """Look like a worker: to Ansible's display, to ansible-runner's callback, and to whoever prints."""
    alarm = signal.getsignal(signal.SIGALRM)
    queue = DirectQueue()
    with interpreter.put_back():
        queue.hide()
        try:
            yield queue
        finally:
            queue.show()
            signal.signal(signal.SIGALRM, alarm)


class DirectQueue:
    """Does at once what the strategy's thread does with what comes through Ansible's queue.

    Between `hide` and `show` the process passes for a worker; what comes through the queue is done outside of that.
    """

    def __init__(self) -> None:
        from ansible._internal._plugins._strategy import StrategyContext
        from ansible.utils.display import Display

        self._strategy = StrategyContext._current.strategy
        self._display = Display()
        self._play_streams = (sys.stdout, sys.stderr)
        self._worker_streams = (io.StringIO(), io.StringIO())

    def hide(self) -> None:
        sys.stdout, sys.stderr = self._worker_streams
        multiprocessing.process._parent_process = _PARENT  # type: ignore[attr-defined]
        self._display._final_q = self

    def show(self) -> None:
        sys.stdout, sys.stderr = self._play_streams
        multiprocessing.process._parent_process = None  # type: ignore[attr-defined]
        self._display._final_q = None

    def printed(self) -> dict[str, str]:
        """What was written to the standard streams since the beginning, by stream."""
        return {
            name: stream.getvalue() for name, stream in zip(("stdout", "stderr"), self._worker_streams, strict=True)
        }

    def send_callback(self, method_name: str, host: Any, task: Any, utr: Any) -> None:
        wire = _wire(host, task, utr)
        self._outside(lambda: self._strategy._tqm.send_callback(method_name, self._host_result(wire)))

    def send_task_result(self, host: Any, task: Any, utr: Any) -> None:
        wire = _wire(host, task, utr)

        def take_in() -> None:
            result = self._host_result(wire)
            with self._strategy._results_lock:
                self._strategy._results.append(result)

        self._outside(take_in)

    def send_display(self, method: str, *args: Any, **kwargs: Any) -> None:
        args, kwargs = pickle.loads(pickle.dumps((args, kwargs)))  # noqa: S301 - our own, a moment ago
        self._outside(lambda: getattr(self._display, method)(*args, **kwargs))

    def send_prompt(self, **_: Any) -> None:
        raise EOFError("nobody to ask")

    def _host_result(self, wire: Any) -> Any:
        return self._strategy._convert_wire_task_result_to_host_task_result(wire)

    def _outside(self, do: Callable[[], None]) -> None:
        """Act as the strategy's thread: with the play's streams, and with no task's context around."""
        self.show()
        try:
            with singletons.callback_context_aside():
                contextvars.Context().run(do)
        finally:
            self.hide()


class _Parent:
    """What a worker finds when it asks for its parent."""

    name = "MainProcess"
    ident = pid = 0

    def is_alive(self) -> bool:
        return True


_PARENT = _Parent()


def _wire(host: Any, task: Any, utr: Any) -> Any:
    """What comes out at the other end of Ansible's queue: copies."""
    from ansible._internal._task import WireTaskResult

    wire = WireTaskResult.create(host=host, task=task, utr=utr)
    return pickle.loads(pickle.dumps(wire))  # noqa: S301 - our own, a moment ago
