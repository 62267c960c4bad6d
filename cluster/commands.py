"""What the command line does: up, down, status, env, load, build, which.

Prints results to standard output, progress elsewhere.
"""

import json
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cluster import build, images, machine, nodecheck, processes, usage, usercontext, versions
from cluster.components import Layout
from cluster.controlplane import ControlPlane, ControlPlaneOptions
from cluster.errors import ClusterError, ContextRefusedError, DeclinedError, NotOursError, UnreadableStateError
from cluster.node import Node
from cluster.progress import Progress
from cluster.summary import Summary
from cluster.supervision import ComponentStatus

NOT_UP = 3
"""The exit code of `status` for a cluster that is not up and healthy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A named cluster of this project."""

    root: Path
    name: str

    @property
    def directory(self) -> Path:
        return (self.root / self.name).resolve()


def up(place: Place, *, control_plane_only: bool, context: bool, as_json: bool, progress: Progress) -> int:
    """Bring the cluster up, with a node where one is possible; leaves nothing behind when interrupted.

    Args:
        place: Which.
        control_plane_only: No node, even where one is possible.
        context: Make it the current context of the user's own kubeconfig.
        as_json: Print JSON.
        progress: Where to say what is done.
    """
    started = time.monotonic()
    _refuse_foreign(place.directory)
    summary = _running_already(place, control_plane_only=control_plane_only)
    if summary is None:
        try:
            summary = _bring_up(place, control_plane_only, progress, started)
            said = _offer_context(place) if context else ""
        except ClusterError:
            _stop(place.directory)  # the directory stays: its logs say why
            raise
        except BaseException:
            _stop(place.directory)
            _remove_context(place.directory, progress)
            _remove(place.directory)
            raise
    else:
        said = _offer_context(place) if context else ""
    summary = replace(summary, context=said)
    print(summary.as_json() if as_json else summary.as_text())
    return 0


def down(root: Path, name: str | None, progress: Progress) -> int:
    """Stop one cluster of `root`, or all of them, and remove what they kept.

    Args:
        root: The directory of the project's clusters.
        name: `None`: all of them.
        progress: Where to say what is done.
    """
    names = [name] if name is not None else known_names(root)
    stopped_any = False
    for each in names:
        directory = Place(root=root, name=each).directory
        with progress.step(f'stopping cluster "{each}"', announce=False):
            stopped = _stop(directory)
            _remove_context(directory, progress)
            existed = _remove(directory)
        if stopped:
            print(f'Stopped cluster "{each}": {", ".join(stopped)}.')
        elif existed:
            print(f'Cluster "{each}" was not running; removed what it had kept.')
        stopped_any |= bool(stopped) or existed
    if not stopped_any:
        print("No cluster was running." if name is None else f'No cluster "{name}" was running.')
    return 0


def status(place: Place, *, as_json: bool) -> int:
    """Show the components; `NOT_UP` when one of them does not work."""
    found = _components(place.directory)
    healthy = bool(found) and all(component.healthy for component in found)
    if as_json:
        print(json.dumps(_status_json(place, found, healthy=healthy), indent=2))
    elif found:
        print(f'Cluster "{place.name}": {"up and healthy" if healthy else "NOT healthy"}')
        print(table(found))
        print(f"kubeconfig  {Layout(place.directory).kubeconfig}")
    else:
        print(f'Cluster "{place.name}" is not up.')
    return 0 if healthy else NOT_UP


def env(place: Place) -> int:
    """Print what a shell evaluates to use the cluster; `NOT_UP`, and nothing to evaluate, when it is not up."""
    plane = ControlPlane.attach(place.directory)
    if plane is None:
        print(f'Cluster "{place.name}" is not up.', file=sys.stderr)
        return NOT_UP
    node = Node.attach(place.directory) is not None
    print("\n".join(usage.exports(usage.variables(kubeconfig=plane.kubeconfig, kubectl=plane.kubectl, node=node))))
    return 0


def load(place: Place, tars: Sequence[Path], progress: Progress) -> int:
    """Give the cluster's node the images in archives."""
    with progress.step(f'loading into cluster "{place.name}": {", ".join(map(str, tars))}'):
        usage.load(place.directory, tars)
    return 0


def provide(*, control_plane_only: bool, as_json: bool, progress: Progress) -> int:
    """Build what is missing and print where each program is."""
    programs = versions.control_plane_programs() if control_plane_only else versions.all_programs()
    paths = build.provide(programs, progress)
    if as_json:
        print(json.dumps({name: str(path) for name, path in paths.items()}, indent=2))
    else:
        for name, path in paths.items():
            print(f"{name:26} {path}")
    return 0


def which(name: str, progress: Progress) -> int:
    """Print where one program is; builds it if it is missing."""
    print(build.provide([program_names()[name]], progress)[name])
    return 0


def program_names() -> dict[str, versions.Program]:
    return {program.name: program for program in versions.all_programs()}


def known_names(root: Path) -> list[str]:
    """The clusters of `root` that left anything: a directory, or a node whose directory was removed by hand."""
    directories = list(root.iterdir()) if root.is_dir() else []
    names = {path.name for path in directories if valid_name(path.name) and Layout(path).lock.exists()}
    record = machine.read()
    if record is not None and record.directory.parent == root.resolve():
        names.add(record.directory.name)
    return sorted(names)


def valid_name(name: str) -> bool:
    return re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name) is not None


def table(found: list[ComponentStatus]) -> str:
    """The components as aligned columns."""
    rows = [("COMPONENT", "PID", "PORT", "SINCE", "HEALTHY"), *(_row(component) for component in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(component: ComponentStatus) -> tuple[str, ...]:
    health = "paused" if component.paused else "yes" if component.healthy else "NO"
    return (
        component.name,
        str(component.pid or "-"),
        str(component.port or "-"),
        component.since,
        health,
    )


def _bring_up(place: Place, control_plane_only: bool, progress: Progress, started: float) -> Summary:  # noqa: FBT001
    if stopped := _stop(place.directory):
        progress.say(f"Stopped what an earlier start had left: {', '.join(stopped)}.")
    reason = "it was not asked for (--control-plane-only)." if control_plane_only else Node.supported()
    if reason is None:
        try:
            Node.prepare(progress)
        except DeclinedError:
            reason = "you did not want this machine changed."
    programs = versions.control_plane_programs() + (versions.node_programs() if reason is None else ())
    build.provide(programs, progress)
    with progress.step("control plane", announce=False):
        plane = ControlPlane.start(
            ControlPlaneOptions(directory=place.directory, scheduler=True, reachable_from_pods=reason is None),
            progress,
        )
    if reason is None:
        image = images.build_busybox(plane.layout.directory / "busybox.tar", progress)
        with progress.step("node", announce=False):
            Node.start(plane, [image], progress, agreed=True)
    return _summary(place, plane, reason, already_up=False, took_s=time.monotonic() - started)


def _running_already(place: Place, *, control_plane_only: bool) -> Summary | None:
    """The cluster if it is up, healthy, and has a node or no use for one."""
    found = _components(place.directory)
    plane = ControlPlane.attach(place.directory) if found else None
    if plane is None or not all(component.healthy for component in found):
        return None
    reason = None
    if Node.attach(place.directory) is None:
        if not control_plane_only and plane.settings.reachable:
            return None  # its node has gone
        reason = "it was started without one; run down, then up, for another try."
    return _summary(place, plane, reason, already_up=True, took_s=0.0)


def _summary(place: Place, plane: ControlPlane, reason: str | None, *, already_up: bool, took_s: float) -> Summary:
    return Summary(
        name=place.name,
        kubernetes=f"v{plane.release.version}",
        directory=plane.directory,
        kubeconfig=plane.kubeconfig,
        kubectl=plane.kubectl,
        server=plane.server,
        node=reason is None,
        no_node_because=reason,
        already_up=already_up,
        took_s=took_s,
    )


def _offer_context(place: Place) -> str:
    return usercontext.offer(place.name, ControlPlane(place.directory).settings)


def _remove_context(directory: Path, progress: Progress) -> None:
    try:
        usercontext.remove(directory)
    except ContextRefusedError as error:
        progress.warn(f"a context stays: {error}")


def _stop(directory: Path) -> list[str]:
    """Stop whatever runs for the cluster in `directory`; returns the components' names."""
    names = [component.name for component in _components(directory) if component.running]
    node = Node.attach(directory)
    if node is not None:
        node.stop()
    strays = processes.marked(directory)
    ControlPlane(directory).stop()
    return names or (["left-over processes"] if strays else [])


def _refuse_foreign(directory: Path) -> None:
    """Keep out of a directory with somebody's files: `down` would remove them.

    Raises:
        NotOursError: It is one.
    """
    if directory.exists() and not Layout(directory).lock.exists() and any(directory.iterdir()):
        raise NotOursError(f"{directory} has files in it that are not a cluster's; choose another --name or directory")


def _remove(directory: Path) -> bool:
    """Remove a cluster's directory, and no other; say whether there was one."""
    ours = Layout(directory).lock.exists()
    if ours:
        shutil.rmtree(directory, ignore_errors=True)
    return ours


def _components(directory: Path) -> list[ComponentStatus]:
    try:
        plane = ControlPlane.attach(directory)
        found = plane.status() if plane is not None else []
    except UnreadableStateError:
        found = []
    node = Node.attach(directory)
    return found + (node.status() if node is not None else [])


def _status_json(place: Place, found: list[ComponentStatus], *, healthy: bool) -> dict[str, Any]:
    plane = ControlPlane.attach(place.directory) if found else None
    return {
        "name": place.name,
        "up": bool(found),
        "healthy": healthy,
        "directory": str(place.directory),
        "kubeconfig": str(plane.kubeconfig) if plane is not None else None,
        "server": plane.server if plane is not None else None,
        "kubectl": str(plane.kubectl) if plane is not None else None,
        "node": Node.attach(place.directory) is not None,
        "nodePossible": nodecheck.refusal() is None or Node.attach(place.directory) is not None,
        "components": [asdict(component) for component in found],
    }
