"""Runs one Ansible module in this process as AnsiballZ would run it in a new one.

The module's code is executed as `__main__` with fresh globals, its parameters in the place where AnsiballZ puts them,
its own environment, working directory, arguments and standard streams. Promises: whatever the module does to those, to
exit handlers or to Ansible's notion of being a module is undone afterwards. What it did to imported libraries stays,
and so does what it did to this process if it dies: the run's supervisor sees to that.
"""

import atexit
import contextlib
import io
import json
import os
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.execution.warm import interpreter
from runner.execution.warm.module import Module

__all__ = ["Output", "run"]

_ANSIBLES = ("ansible.", "ansible_collections.")
_Handler = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a process would have left."""

    code: int
    stdout: bytes
    stderr: bytes


def run(module: Module, *, parameters: bytes, environment: Mapping[str, str], directory: str) -> Output:
    """Execute a module.

    Args:
        module: one that was preloaded.
        parameters: `ANSIBLE_MODULE_ARGS`, encoded for the module's profile.
        environment: the task's own, on top of the run's.
        directory: where a module on localhost runs.
    """
    with (
        _surroundings(environment, directory),
        _module_globals(parameters, module.profile),
        _exit_handlers(),
        _streams() as streams,
    ):
        code = _execute(module)
    return Output(code=code, stdout=streams.stdout, stderr=streams.stderr)


def _execute(module: Module) -> int:
    """The exit code that the interpreter would have ended with."""
    from ansible.module_utils._internal._ansiballz import _loader

    main = types.ModuleType("__main__")
    main.__dict__.update(
        __file__=module.path,
        __package__=module.package.rpartition(".")[0],
        __spec__=None,
        _module_fqn=module.package,
        _modlib_path="",
    )
    previous = sys.modules["__main__"]
    sys.modules["__main__"] = main
    try:
        try:
            exec(module.code, main.__dict__)  # noqa: S102 - the module is what is to be run
            raise RuntimeError("New-style module did not handle its own exit.")  # noqa: TRY301 - as AnsiballZ does
        except Exception as error:  # noqa: BLE001 - it becomes the module's result
            _loader._handle_exception(error, module.profile)
    except SystemExit as end:
        return interpreter.exit_code(end.code)
    finally:
        sys.modules["__main__"] = previous
    return 1


@contextlib.contextmanager
def _surroundings(environment: Mapping[str, str], directory: str) -> Iterator[None]:
    arguments, path = sys.argv, list(sys.path)
    temporary = tempfile.tempdir
    with interpreter.put_back():
        try:
            os.chdir(directory)
            os.environ.update(environment)
            tempfile.tempdir = None
            sys.argv = [""]
            yield
        finally:
            tempfile.tempdir = temporary
            sys.argv = arguments
            sys.path[:] = path


@contextlib.contextmanager
def _module_globals(parameters: bytes, profile: str) -> Iterator[None]:
    """Ansible's libraries behave as in a module, not as in the controller."""
    from ansible.module_utils import _internal, basic
    from ansible.module_utils._internal import _traceback
    from ansible.module_utils.common import warnings

    enabled = _traceback._is_traceback_enabled
    basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE, basic._PARSED_MODULE_ARGS = parameters, profile, None
    _traceback._is_traceback_enabled = _traceback._is_module_traceback_enabled
    _traceback._module_tracebacks_enabled_events = None
    _internal.is_controller = False
    _forget_warnings(warnings)
    try:
        yield
    finally:
        _internal.is_controller = True
        _traceback._is_traceback_enabled = enabled
        basic._ANSIBLE_ARGS = basic._ANSIBLE_PROFILE = basic._PARSED_MODULE_ARGS = None
        _forget_warnings(warnings)


def _forget_warnings(warnings: Any) -> None:
    warnings._global_warnings.clear()
    warnings._global_deprecations.clear()


@contextlib.contextmanager
def _exit_handlers() -> Iterator[None]:
    """What a module or Ansible's libraries register to be done at exit is done at the module's exit.

    What other libraries register stays for the end of this process, as their state does: the Kubernetes client keeps
    certificates in files, and removes them at exit.
    """
    registered: list[_Handler] = []
    register, unregister = atexit.register, atexit.unregister

    def remember(function: Callable[..., object], *args: Any, **kwargs: Any) -> Callable[..., object]:
        caller = str(sys._getframe(1).f_globals.get("__name__"))
        if caller != "__main__" and not caller.startswith(_ANSIBLES):
            return register(function, *args, **kwargs)
        registered.append((function, args, kwargs))
        return function

    def forget(function: Callable[..., object]) -> None:
        registered[:] = [entry for entry in registered if entry[0] != function]
        unregister(function)

    atexit.register, atexit.unregister = remember, forget  # type: ignore[assignment]
    try:
        yield
    finally:
        atexit.register, atexit.unregister = register, unregister
        for function, args, kwargs in reversed(registered):
            with contextlib.suppress(Exception):
                function(*args, **kwargs)


class _Captured:
    stdout = b""
    stderr = b""


@contextlib.contextmanager
def _streams() -> Iterator[_Captured]:
    """Files in memory for the standard streams, for Python and for what the module starts."""
    captured = _Captured()
    files = [os.memfd_create(name) for name in ("stdout", "stderr")]
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    texts = sys.stdin, sys.stdout, sys.stderr
    os.dup2(files[0], 1)
    os.dup2(files[1], 2)
    sys.stdin = io.StringIO()
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding="utf-8", write_through=False)
    sys.stderr = io.TextIOWrapper(
        os.fdopen(2, "wb", closefd=False), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    try:
        yield captured
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdin, sys.stdout, sys.stderr = texts
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        captured.stdout, captured.stderr = (_content(file) for file in files)
        for descriptor in (*kept, *files):
            os.close(descriptor)


def _content(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0)


def encode(module_args: Mapping[str, Any], profile: str) -> bytes:
    """The parameters as AnsiballZ embeds them.

    Raises:
        Exception: what the controller's encoder raises on values that no module can be given.
    """
    from ansible.module_utils.common.json import Direction, get_module_encoder

    encoder = get_module_encoder(profile, Direction.CONTROLLER_TO_MODULE)
    return json.dumps({"ANSIBLE_MODULE_ARGS": module_args}, cls=encoder).encode()
