"""A context for a cluster in the user's own kubeconfig, as kind and minikube make one: a bare kubectl then works on it.

kubectl edits the file, so what else is in it stays. Entries of ours name the cluster's certificate by its path, which
tells them from somebody else's of the same name; those are left alone. What was current before is noted in the
cluster's directory first, and is current again when the context goes, also after a kill in between.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cluster import components, signals
from cluster.components import Layout, Settings
from cluster.errors import ContextRefusedError

__all__ = ["add", "offer", "remove"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    """What is needed to take a context out again."""

    file: str
    kubectl: str
    context: str
    before: str
    """The context that was current; empty: none."""
    made: bool
    """The file was not there."""


def offer(cluster: str, settings: Settings) -> str:
    """Have a bare kubectl work on a cluster, unless KUBECONFIG is set: then somebody has said what it works on.

    Returns:
        What came of it, for a person.
    """
    if os.environ.get("KUBECONFIG"):
        return "none made: KUBECONFIG is set, and says what a bare kubectl works on"
    context = "echoperator" if cluster == "default" else f"echoperator-{cluster}"
    file = Path.home() / ".kube" / "config"
    try:
        add(settings, context, file)
    except ContextRefusedError as error:
        return f"none made: {error}"
    how = "a bare kubectl works here" if shutil.which("kubectl") else "but there is no kubectl on PATH"
    return f"{context} of {file} is current until down; {how}"


def add(settings: Settings, context: str, file: Path) -> None:
    """Make a context, and make it current; a second call renews what it says.

    Args:
        settings: The cluster's.
        context: The context's name, and that of its cluster and its user.
        file: The kubeconfig.

    Raises:
        errors.ContextRefusedError: The name is taken, or the file can't be changed; it is as it was.
    """
    layout = settings.layout
    kubectl = str(settings.binaries["kubectl"])
    config = _config(kubectl, file)
    if _named(config, context) and not _ours(config, context, layout, file):
        raise ContextRefusedError(f'{file} has a context, cluster or user "{context}" of somebody else\'s')
    admin = components.Pki.at(layout.pki).admin
    authority = components.Pki.at(layout.pki).authority.certificate
    current = config.get("current-context") or ""
    known = _read(layout)
    before = current if current != context else known.before if known is not None else ""
    made = known.made if known is not None else not file.exists()
    note = _Note(file=str(file), kubectl=kubectl, context=context, before=before, made=made)
    with signals.held():
        _path(layout).write_text(json.dumps(asdict(note)))
        # The cluster first, and last when they go: it says whose the others are.
        _edit(note, "set-cluster", context, f"--server={settings.server}", f"--certificate-authority={authority}")
        _edit(
            note, "set-credentials", context, f"--client-certificate={admin.certificate}", f"--client-key={admin.key}"
        )
        _edit(note, "set-context", context, f"--cluster={context}", f"--user={context}")
        _edit(note, "use-context", context)


def remove(directory: Path) -> None:
    """Take out the context of the cluster in a directory, if it has one.

    Raises:
        errors.ContextRefusedError: The file can't be changed.
    """
    layout = Layout(directory)
    note = _read(layout)
    if note is None:
        return
    file = Path(note.file)
    with signals.held():
        config = _config(note.kubectl, file)
        if _ours(config, note.context, layout, file):
            _take_out(note, config)
            if note.made and not any(_config(note.kubectl, file).get(kind) for kind in _KINDS):
                file.unlink()
        _path(layout).unlink()


def _take_out(note: _Note, config: Mapping[str, Any]) -> None:
    if config.get("current-context") == note.context:
        if note.before and any(entry["name"] == note.before for entry in config.get("contexts") or ()):
            _edit(note, "use-context", note.before)
        else:
            _edit(note, "unset", "current-context")
    for kind, command in _KINDS.items():
        if any(entry["name"] == note.context for entry in config.get(kind) or ()):
            _edit(note, command, note.context)


_KINDS = {"contexts": "delete-context", "users": "delete-user", "clusters": "delete-cluster"}


def _named(config: Mapping[str, Any], name: str) -> bool:
    return any(entry["name"] == name for kind in _KINDS for entry in config.get(kind) or ())


def _ours(config: Mapping[str, Any], name: str, layout: Layout, file: Path) -> bool:
    """Say whether the entries of that name are of the cluster in this directory, or of one whose files have gone."""
    for entry in config.get("clusters") or ():
        if entry["name"] == name and "certificate-authority" in entry["cluster"]:
            authority = file.parent / entry["cluster"]["certificate-authority"]
            return authority == components.Pki.at(layout.pki).authority.certificate or not authority.exists()
    return False


def _path(layout: Layout) -> Path:
    return layout.directory / "context.json"


def _read(layout: Layout) -> _Note | None:
    try:
        return _Note(**json.loads(_path(layout).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _config(kubectl: str, file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    found: dict[str, Any] = json.loads(_run(kubectl, str(file), "view", "--raw", "--output=json"))
    return found


def _edit(note: _Note, *arguments: str) -> None:
    _run(note.kubectl, note.file, *arguments)


def _run(kubectl: str, file: str, *arguments: str) -> str:
    """Have kubectl do something with a kubeconfig; in a session of its own, out of a terminal's Ctrl-C."""
    command = [kubectl, "config", f"--kubeconfig={file}", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
    except OSError as error:
        raise ContextRefusedError(f"{file} is not changed: {error}") from error
    if done.returncode != 0:
        raise ContextRefusedError(f"{file} is not changed: {done.stderr.strip()}")
    return done.stdout
