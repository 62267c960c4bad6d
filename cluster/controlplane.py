"""A Kubernetes control plane of plain processes in a directory of its own.

Several run side by side: each has its own ports, certificates and data. `start` returns when every component says
that it works, or leaves nothing behind; `stop` ends all it started, by whomever it is called. What the directory
holds stays: a later `start` there goes on with the same objects.
"""

import contextlib
import fcntl
import functools
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cluster import (
    build,
    components,
    health,
    network,
    processes,
    provision,
    state,
    supervision,
    versions,
)
from cluster.components import Component, Layout
from cluster.errors import (
    AlreadyRunningError,
    ComponentFailed,
    NoAddressError,
    NotRunningError,
    UnreadableStateError,
)
from cluster.processes import ProcessId
from cluster.progress import Progress
from cluster.supervision import ComponentStatus

__all__ = [
    "AlreadyRunningError",
    "ComponentFailed",
    "ComponentStatus",
    "ControlPlane",
    "ControlPlaneOptions",
    "NoAddressError",
    "NotRunningError",
]

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneOptions:
    """What to run and where."""

    directory: Path
    """Certificates, data, logs, kubeconfig and state.json go here."""
    controller_manager: bool = True
    scheduler: bool = False
    reachable_from_pods: bool = False
    """Listen on all addresses and advertise the machine's own; a node needs it."""
    durable: bool = False
    """Have etcd write through to the disk. Off is quicker, and safe against everything but a power cut."""
    audit: bool = False
    """Write `audit.log`, one JSON event a line."""
    tied_to_caller: bool = False
    """Have the kernel kill the components when the calling process dies; for tests."""
    kubernetes: versions.KubernetesRelease = field(default=versions.KUBERNETES)


class ControlPlane:
    """A control plane that was started; also a context manager that stops it."""

    def __init__(self, directory: Path, progress: Progress | None = None) -> None:
        """For `start` and `attach`; starts nothing."""
        self._layout = Layout(directory)
        self._progress = progress or Progress(quiet=True)

    @classmethod
    def start(cls, options: ControlPlaneOptions, progress: Progress | None = None) -> Self:
        """Start the components one after the other, each when the one before works.

        Builds missing binaries first. Leaves nothing running when it fails or is interrupted.

        Raises:
            AlreadyRunningError: One runs in this directory.
            ComponentFailed: A component did not start.
            NoAddressError: `reachable_from_pods` on a machine with loopback only.
            errors.BuildFailedError: A binary could not be built.
        """
        progress = progress or Progress()
        directory = options.directory.resolve()
        binaries = build.provide(versions.control_plane_programs(options.kubernetes), progress)
        address = network.machine_address() if options.reachable_from_pods else "127.0.0.1"
        if address is None:
            raise NoAddressError("this machine has no network address but loopback, so Pods can't reach it")
        directory.mkdir(parents=True, exist_ok=True)
        plane = cls(directory, progress)
        with plane._locked():
            plane._refuse_second()
            provision.issue_certificates(plane._layout, address)
            plane._start_with_free_ports(options, binaries, address)
        return plane

    @classmethod
    def attach(cls, directory: Path) -> Self | None:
        """The control plane that another process started in `directory`.

        Returns:
            `None`: none of its processes runs.

        Raises:
            errors.UnreadableStateError: state.json is not of this version's making.
        """
        directory = directory.resolve()
        known = state.read(directory)
        if known is None or not any(running.process.alive() for running in known.running.values()):
            return None
        return cls(directory)

    @property
    def directory(self) -> Path:
        return self._layout.directory

    @property
    def layout(self) -> Layout:
        return self._layout

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, certificates embedded."""
        return self._layout.kubeconfig

    @property
    def audit_log(self) -> Path:
        """Where the audit log is when `audit` was asked for."""
        return self._layout.audit_log

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._state().settings.server

    @property
    def settings(self) -> components.Settings:
        """Ports, address and binaries of the running control plane."""
        return self._state().settings

    @property
    def release(self) -> versions.KubernetesRelease:
        return versions.KUBERNETES_RELEASES[self._state().kubernetes]

    @property
    def tied_to_caller(self) -> bool:
        return self._state().tied_to_caller

    def read(self, path: str) -> dict[str, Any] | None:
        """The object at a path of the API, as the administrator sees it.

        Returns:
            `None`: there is none, or the API server does not answer.
        """
        return health.read(self._planned(components.API_SERVER).health, path)

    def delete(self, path: str) -> None:
        """Delete the object at a path of the API, if there is one, as the administrator."""
        health.read(self._planned(components.API_SERVER).health, path, "DELETE")

    @property
    def kubectl(self) -> Path:
        """A kubectl of the API server's own version."""
        return self._state().settings.binaries["kubectl"]

    def user_kubeconfig(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for a user with a client certificate of its own; RBAC says what it may do."""
        return provision.issue_user(self._layout, self.server, name, groups)

    def kill(self, component: str) -> None:
        """Kill a component as `kill -9` does, and wait until it has gone."""
        process = self._process(component)
        process.signal(signal.SIGKILL)
        process.wait_gone(5.0)

    def pause(self, component: str) -> None:
        """Freeze a component: it holds its connections and answers nothing."""
        self._process(component).signal(signal.SIGSTOP)

    def resume(self, component: str) -> None:
        """Let a paused component go on."""
        self._process(component).signal(signal.SIGCONT)

    def restart(self, component: str) -> None:
        """Stop a component if it runs, start it with the same port and data, and wait until it is ready.

        Raises:
            ComponentFailed: It did not come back.
        """
        planned = self._planned(component)
        processes.stop([self._process(component)], planned.stop_timeout_s)
        self._spawn(planned)
        self._await_ready(planned)

    def stop(self) -> None:
        """End every component, last started first, and wait until all have gone. A second call does nothing."""
        with contextlib.suppress(UnreadableStateError):
            known = state.read(self.directory)
            if known is not None:
                self._stop_recorded(known)
        # What was started but not yet recorded when its starter was killed.
        processes.stop(processes.marked(self.directory), timeout_s=5.0)
        self._layout.state.unlink(missing_ok=True)

    def status(self) -> list[ComponentStatus]:
        """How each component is now; asks each for its health."""
        known = self._state()
        return [
            ComponentStatus.of(
                planned.name,
                known.running.get(planned.name),
                planned.ports[0],
                functools.partial(health.healthy, planned.health),
            )
            for planned in components.plan(known.settings)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep two starters out of one directory."""
        with self._layout.lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunningError(f"{self.directory} is being started by another process") from None
            yield

    def _refuse_second(self) -> None:
        if self.attach(self.directory) is not None:
            raise AlreadyRunningError(f"a control plane runs in {self.directory}")
        if strays := processes.marked(self.directory):
            # An earlier starter was killed before it could clean up.
            processes.stop(strays, timeout_s=5.0)

    def _start_with_free_ports(self, options: ControlPlaneOptions, binaries: Mapping[str, Path], address: str) -> None:
        release = options.kubernetes.version
        for attempt in range(1, _ATTEMPTS + 1):
            settings = components.Settings(
                layout=self._layout,
                ports=provision.choose_ports(),
                binaries=binaries,
                address=address,
                durable=options.durable,
                audit=options.audit,
                controller_manager=options.controller_manager,
                scheduler=options.scheduler,
            )
            provision.write_configuration(settings)
            state.write(
                state.State(
                    kubernetes=f"{release.major}.{release.minor}",
                    settings=settings,
                    tied_to_caller=options.tied_to_caller,
                )
            )
            try:
                self._start_components(settings)
            except ComponentFailed as error:
                lost = self._planned(error.component).ports
                self.stop()
                # Somebody may have taken a port between our choice and the component's bind: choose others.
                if attempt == _ATTEMPTS or not network.taken(lost):
                    raise
                self._progress.warn(f"  {error.component} lost its port to another process; choosing another")
            except BaseException:
                self.stop()
                raise
            else:
                return

    def _start_components(self, settings: components.Settings) -> None:
        waiting: list[Component] = []
        for planned in components.plan(settings):
            self._spawn(planned)
            waiting.append(planned)
            # The two controllers need the API server but not each other: they come up together.
            if planned.name in (components.ETCD, components.API_SERVER):
                self._await_ready(planned)
        for planned in waiting[2:]:
            self._await_ready(planned)
        state.write(replace(self._state(), complete=True))

    def _spawn(self, planned: Component) -> None:
        known = self._state()
        process = processes.spawn(
            list(planned.arguments),
            log=self._layout.log(planned.name),
            env=_environment(self.directory),
            cwd=self.directory,
            tied=known.tied_to_caller,
        )
        state.write(known.with_running(planned.name, process))

    def _await_ready(self, planned: Component) -> None:
        supervision.await_ready(
            planned.name,
            self._process(planned.name),
            self._layout.log(planned.name),
            lambda: health.healthy(planned.health),
        )

    def _stop_recorded(self, known: state.State) -> None:
        for planned in reversed(components.plan(known.settings)):
            running = known.running.get(planned.name)
            if running is not None:
                processes.stop([running.process], planned.stop_timeout_s)

    def _state(self) -> state.State:
        known = state.read(self.directory)
        if known is None:
            raise NotRunningError(f"no control plane runs in {self.directory}")
        return known

    def _process(self, component: str) -> ProcessId:
        known = self._state()
        self._planned(component)
        return known.running[component].process

    def _planned(self, component: str) -> Component:
        plan = {planned.name: planned for planned in components.plan(self._state().settings)}
        if component not in plan:
            raise ValueError(f"no component {component!r} here (have: {', '.join(plan)})")
        return plan[component]


def _environment(directory: Path) -> dict[str, str]:
    """The components' whole environment: nothing of the caller's, no proxy settings above all."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(directory),
        processes.MARKER: str(directory),
    }
