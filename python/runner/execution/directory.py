"""Where runs live on disk.

`RunArea` is the operator's: `live/<instance>/<number>` for what runs now, locked as long as the operator or one of its
supervisors lives, and `runner/<group>/<version>/<Kind>/<namespace>/<name>/artifacts/<run>` for what is kept.
`RunDirectory` is one run, made and removed by its supervisor. All directories are 0700 and all files 0600; the
environment is never written. A full disk is an `OSError` here; those who call turn it into a failed run.
"""

import contextlib
import fcntl
import itertools
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from runner.objects import GroupVersionKind, ObjectRef

__all__ = ["RunArea", "RunDirectory", "default_base", "remove_tree"]

_LOCK = "lock"
_PROBE_BYTES = 64 * 1024


def default_base() -> Path:
    """`$TMPDIR/ansible-operator`, where Operator SDK's runtime keeps its own."""
    return Path(tempfile.gettempdir()) / "ansible-operator"


class RunArea:
    """One operator process's part of the base directory. Not thread-safe; open and close it once."""

    def __init__(self, base: Path, live: Path, lock: int) -> None:
        self._base = base
        self._live = live
        self._numbers = itertools.count(1)
        self.lock_fd = lock
        """Held by us; a supervisor inherits it, so that what it still cleans up is nobody's leftover."""

    @classmethod
    def open(cls, base: Path) -> Self:
        """Remove what operators that are gone left behind, then claim a place of our own.

        Raises:
            OSError: the base cannot be made or belongs to somebody else.
        """
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        _must_be_ours(base)
        place = base / "live"
        place.mkdir(exist_ok=True, mode=0o700)
        # One at a time: between mkdir and lock, a directory looks like a leftover.
        gate = _open_lock(base / _LOCK)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            _sweep(place)
            live = Path(tempfile.mkdtemp(dir=place, prefix=""))
            lock = _open_lock(live / _LOCK)
            fcntl.flock(lock, fcntl.LOCK_EX)
        finally:
            os.close(gate)
        return cls(base, live, lock)

    def place(self) -> Path:
        """Where the next run's directory is to be made. Short, because sockets are made below it."""
        return self._live / str(next(self._numbers))

    def kept(self, gvk: GroupVersionKind, ref: ObjectRef) -> Path:
        """Where finished runs of that object are kept, each in a directory named after it."""
        parts = (gvk.group, gvk.version, gvk.kind, ref.namespace, ref.name)
        return self._base.joinpath("runner", *(_segment(part) for part in parts if part), "artifacts")

    def all_kept(self) -> Iterator[Path]:
        """Every run that is kept, of whatever object."""
        return (path for path in self._base.glob("runner/**/artifacts/*") if path.is_dir())

    def forget(self, gvk: GroupVersionKind, ref: ObjectRef) -> None:
        """Remove what was kept of an object that is gone."""
        remove_tree(self.kept(gvk, ref).parent)

    def close(self) -> None:
        remove_tree(self._live)
        os.close(self.lock_fd)


class RunDirectory:
    """One run's private directory, in ansible-runner's layout, with `tmp` for everything temporary."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inventory = path / "inventory"
        self.tmp = path / "tmp"
        self.kubeconfig = path / "kubeconfig"
        self.artifacts = path / "artifacts"

    def create(
        self, *, extra_vars: str, kubeconfig: str, cmdline: str, interpreter: str, inventory: Path | None
    ) -> None:
        """Write everything that Ansible reads.

        Args:
            extra_vars: JSON text. In a file and never on a command line, which all can read and which has a limit.
            kubeconfig: text of the file.
            cmdline: further arguments for `ansible-playbook`; empty: none.
            interpreter: the Python that modules on localhost run in.
            inventory: a file or directory to copy; `None`: localhost alone.

        Raises:
            OSError: no space, no right, or the directory is there already.
        """
        self.path.mkdir(mode=0o700)
        for name in ("env", "project", "artifacts", "tmp"):
            (self.path / name).mkdir(mode=0o700)
        write_private(self.path / "env" / "extravars", extra_vars.encode())
        write_private(self.kubeconfig, kubeconfig.encode())
        if cmdline:
            write_private(self.path / "env" / "cmdline", cmdline.encode())
        if inventory is not None and inventory.is_dir():
            _copy_tree(inventory, self.inventory)
            return
        self.inventory.mkdir(mode=0o700)
        if inventory is not None:
            _copy_file(inventory, self.inventory / "hosts")
        else:
            hosts = f'localhost ansible_connection=local ansible_python_interpreter="{interpreter}"\n'
            write_private(self.inventory / "hosts", hosts.encode())

    def check_space(self) -> None:
        """Raise `OSError` if nothing more can be written: then Ansible may have lost events without a word."""
        probe = self.path / "probe"
        write_private(probe, b"\0" * _PROBE_BYTES)
        probe.unlink()

    def keep(self, run_id: str, folder: Path, *, count: int, output: bytes) -> None:
        """Move this run's artifacts to `folder`, with the end of its output, and keep the newest `count` there."""
        source = self.artifacts / run_id
        write_private(source / "stdout", output)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        source.rename(folder / run_id)
        for old in sorted(folder.iterdir(), key=lambda entry: entry.lstat().st_mtime)[:-count]:
            remove_tree(old)

    def remove(self) -> None:
        remove_tree(self.path)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only we can read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(data)


def remove_tree(path: Path) -> None:
    """Remove a directory whatever modes a role set inside; what cannot be removed is left for the next sweep."""

    def retry(remove: Callable[..., Any], name: str, _error: BaseException) -> None:
        with contextlib.suppress(OSError):
            os.chmod(Path(name).parent, 0o700)  # noqa: PTH101 - beside shutil's own calls
            os.chmod(name, 0o700, follow_symlinks=False)  # noqa: PTH101 - as above
        with contextlib.suppress(OSError):
            if remove in {os.open, os.scandir, os.lstat, os.rmdir}:
                shutil.rmtree(name, ignore_errors=True)
            else:
                remove(name)

    shutil.rmtree(path, onexc=retry)


def _must_be_ours(base: Path) -> None:
    """Refuse a directory that another user of a shared /tmp prepared for us."""
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{base} is not a directory of our own; remove it or set TMPDIR")
    base.chmod(0o700)


def _sweep(place: Path) -> None:
    for leftover in place.iterdir():
        try:
            lock = _open_lock(leftover / _LOCK)
        except NotADirectoryError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            remove_tree(leftover)
        finally:
            os.close(lock)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _segment(name: str) -> str:
    """One path component; names of some kinds may hold what a path gives a meaning to."""
    safe = name.replace("/", "_")
    return f"_{safe}" if safe in {".", ".."} else safe


def _copy_tree(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    for entry in source.iterdir():
        if entry.is_dir():
            _copy_tree(entry, target / entry.name)
        elif entry.is_file():
            _copy_file(entry, target / entry.name)


def _copy_file(source: Path, target: Path) -> None:
    """Copy; an inventory that is a program stays one."""
    write_private(target, source.read_bytes())
    if os.access(source, os.X_OK):
        target.chmod(0o700)
