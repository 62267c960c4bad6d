"""A control plane of its own for each measurement, one operator after another on it, and a client with all rights."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

from bench.checks import until
from bench.costs import Snapshot
from bench.exposition import total
from bench.measurement import Measurement, Variant
from bench.operators import ROOT, Launch, Operator
from cluster.controlplane import ControlPlane, ControlPlaneOptions
from runner.kube.errors import ApiError
from tests.harness import ECHO, Api

__all__ = ["NAMESPACE", "PROJECTS", "Case", "Rig"]

NAMESPACE = "default"
PROJECTS = Path(__file__).resolve().parent / "projects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One measurement to make."""

    scenario: str
    variant: Variant
    count: int
    directory: Path
    """Empty, and removed afterwards."""
    workers: int | None = None
    """`None`: the operator's own default."""
    peer: Path | None = None
    """Another `ansible-operator`, for the path `peer`."""
    python: tuple[str, ...] = ()
    """Python's arguments in front of our operator's module, for a profiler."""
    arguments: tuple[str, ...] = ()
    """Further flags for our operator."""

    @property
    def command(self) -> tuple[str, ...]:
        """The operator of this path: the program, `run`, and what makes it take the path."""
        if self.variant == "peer":
            if self.peer is None:
                raise ValueError("no peer was named")
            return (str(self.peer), "run")
        own = (sys.executable, *self.python, "-m", "runner", "run", "--strict", *self.arguments)
        return (*own, "--no-warm") if self.variant == "plain" else own

    def measurement(
        self, *, workers: int, figures: Mapping[str, float], samples: Mapping[str, Sequence[float]] | None = None
    ) -> Measurement:
        """What came of this case; see `Measurement`."""
        return Measurement(
            scenario=self.scenario,
            variant=self.variant,
            count=self.count,
            workers=workers,
            figures=figures,
            samples=samples or {},
        )


class Rig:
    """What a measurement works with."""

    def __init__(self, case: Case, plane: ControlPlane, api: Api) -> None:
        self.case = case
        self.plane = plane
        self.api = api
        self._operators = 0
        self._pids = {status.name: status.pid for status in plane.status() if status.pid is not None}

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, case: Case, *, audit: bool = False, node: bool = False) -> AsyncIterator["Rig"]:
        """Start a control plane with our CRDs.

        Args:
            audit: with an audit log, which costs the API server some CPU.
            node: ready to have a node.
        """
        options = ControlPlaneOptions(
            directory=case.directory / "plane",
            controller_manager=True,
            scheduler=node,
            reachable_from_pods=node,
            audit=audit,
            tied_to_caller=True,
        )
        with ControlPlane.start(options) as plane:
            async with Api(plane.kubeconfig) as api:
                await api.install_crds(ROOT / "config" / "crd" / "bases")
                await until(partial(_cached, api), within_s=30, what="the API server serves Echoes from memory")
                yield cls(case, plane, api)

    @contextlib.asynccontextmanager
    async def operator(
        self,
        project: Path,
        *,
        watches: str = "watches.yaml",
        workers: int | None = None,
        user: str = "bench-operator",
        environment: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Operator]:
        """Start an operator; it need not be ready when this returns.

        Args:
            project: where its watches file and roles are.
            watches: the watches file.
            workers: where the scenario has to say; `None`: as the case says.
            user: who it is for the API server, with all rights.
            environment: on top of ours.
        """
        self._operators += 1
        launch = Launch(
            command=self.case.command,
            project=project,
            watches=watches,
            workers=workers or self.case.workers,
            environment=environment or {},
        )
        kubeconfig = await asyncio.to_thread(self.plane.user_kubeconfig, user, ("system:masters",))
        operator = Operator(
            launch, kubeconfig=kubeconfig, directory=self.case.directory / f"operator-{self._operators}"
        )
        try:
            yield operator
        finally:
            await operator.stop()

    async def warmed_up(self, operator: Operator) -> None:
        """Wait until the operator is ready, and its warm parent too where the case has one."""
        await operator.ready()
        if self.case.variant == "warm":
            await operator.warm()

    def snapshot(self, operator: Operator) -> Snapshot:
        return Snapshot.take(operator=operator.pid, control_plane=self._pids)

    async def status_writes(self) -> int:
        """How many writes to Echoes' status the API server has answered, by its own metrics."""
        async with self.api.client.open("GET", "/metrics") as response:
            text = (await response.read()).decode()
        labels = {"group": "mmontes.io", "resource": "echos", "subresource": "status"}
        return round(sum(total(text, "apiserver_request_total", verb=verb, **labels) for verb in ("PATCH", "PUT")))


async def _cached(api: Api) -> bool:
    """Whether the API server has loaded a new kind into its memory: until then it refuses watches, with a 429."""
    path = (await api.resource(ECHO)).path(namespace=NAMESPACE)
    try:
        await api.client.request("GET", path, params={"resourceVersion": "0", "limit": "1"})
    except ApiError as error:
        if error.status != HTTPStatus.TOO_MANY_REQUESTS:
            raise
        return False
    return True
