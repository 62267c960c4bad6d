"""`make bench`: N Echoes on a real API server with controller manager, from creation to Job; then a resync of all.

Nothing is printed before the objects were checked: each Job exists once, belongs to its Echo and carries its message.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bench.audit import writes_of
from bench.processes import Usage, cpu_seconds, peak_rss_mb
from bench.report import Bar, Phase, Report
from cluster.controlplane import ControlPlane, ControlPlaneOptions
from tests.harness import ECHO, JOB, Api, Operator, echo, eventually, succeeded

_NAMESPACE = "default"
_USER = "bench-operator"
_RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """Counters at one instant, to subtract later ones from."""

    at: float
    operator: Usage
    api_server: Usage
    audit: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="how many Echoes (default 100)")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="runs at the same time (default: CPUs)"
    )
    parser.add_argument("--out", type=Path, default=_RESULTS, help="where the JSON file goes (default bench/results)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        report = asyncio.run(_bench(Path(directory), options.count, options.workers))
    path = report.write(options.out)
    print(report.table())
    print(f"\n{path}")
    return 0


async def _bench(directory: Path, count: int, workers: int) -> Report:
    plane_options = ControlPlaneOptions(
        directory=directory / "plane", controller_manager=True, audit=True, tied_to_caller=True
    )
    sys.stderr.write("starting a control plane\n")
    with ControlPlane.start(plane_options) as plane:
        async with Api(plane.kubeconfig) as api:
            await api.install_crds(Path("config/crd/bases"))
            rig = _Rig(plane=plane, api=api, directory=directory, count=count, workers=workers)
            phases = [await rig.create(), await rig.resync()]
    settings = {"count": count, "workers": workers, "execution": "plain"}
    return Report(scenario=f"create-{count}-shipped", phases=phases, settings=settings)


class _Rig:
    """One control plane, one operator after another on it."""

    def __init__(self, *, plane: ControlPlane, api: Api, directory: Path, count: int, workers: int) -> None:
        self._plane = plane
        self._api = api
        self._directory = directory
        self._count = count
        self._workers = workers
        self._kubeconfig = plane.user_kubeconfig(_USER, ("system:masters",))
        self._operators = 0

    async def create(self) -> Phase:
        """From nothing to N Jobs and N statuses."""
        async with self._operator() as operator:
            job_seen: dict[str, float] = {}
            watching = asyncio.create_task(self._watch_jobs(job_seen))
            mark = self._mark(operator)
            created: dict[str, float] = {}
            for index in range(self._count):
                name = f"echo-{index:05d}"
                created[name] = time.monotonic()
                await self._api.create(echo(name, _NAMESPACE, f"message {index}"))
            await self._until_succeeded("reconciled")
            watching.cancel()
            phase = self._phase("create", operator, mark)
        await self._check()
        seen = sorted(job_seen.values())
        return Phase(
            **{name: getattr(phase, name) for name in Phase.__dataclass_fields__}
            | {
                "first_child_s": seen[0] - mark.at,
                "last_child_s": seen[-1] - mark.at,
                "latencies_s": [job_seen[name] - created[name] for name in created],
            }
        )

    async def resync(self) -> Phase:
        """A new operator looks at every object and finds nothing to do."""
        before = {job["metadata"]["name"]: job["metadata"]["resourceVersion"] for job in await self._api.list(JOB)}
        async with self._operator() as operator:
            mark = self._mark(operator)
            await self._until_runs_counted(operator, self._count, "looked at")
            phase = self._phase("no-op resync", operator, mark)
        after = {job["metadata"]["name"]: job["metadata"]["resourceVersion"] for job in await self._api.list(JOB)}
        if before != after:
            raise SystemExit("the resync changed Jobs: no figures are printed for a wrong result")
        return phase

    @contextlib.asynccontextmanager
    async def _operator(self) -> AsyncIterator[Operator]:
        self._operators += 1
        operator = Operator(
            kubeconfig=self._kubeconfig,
            directory=self._directory / f"operator-{self._operators}",
            arguments=(f"--max-concurrent-reconciles={self._workers}", "--strict", "--ansible-log-events=nothing"),
        )
        try:
            yield await operator.ready()
        finally:
            operator.dispose()

    def _mark(self, operator: Operator) -> _Mark:
        return _Mark(
            at=time.monotonic(),
            operator=cpu_seconds(operator.process.pid),
            api_server=cpu_seconds(_pid_of(self._plane, "kube-apiserver")),
            audit=self._plane.audit_log.stat().st_size,
        )

    def _phase(self, name: str, operator: Operator, mark: _Mark) -> Phase:
        now = self._mark(operator)
        writes, _ = writes_of(self._plane.audit_log, _USER, start=mark.audit)
        return Phase(
            name=name,
            objects=self._count,
            reconciles=operator.runs_finished(),
            seconds=now.at - mark.at,
            operator_cpu_s=now.operator.own_s - mark.operator.own_s,
            runs_cpu_s=now.operator.children_s - mark.operator.children_s,
            api_server_cpu_s=now.api_server.own_s - mark.api_server.own_s,
            peak_rss_mb=peak_rss_mb(operator.process.pid),
            writes=dict(writes),
        )

    async def _watch_jobs(self, seen: dict[str, float]) -> None:
        resource = await self._api.resource(JOB)
        events = self._api.client.watch(
            resource, resource_version="0", namespace=_NAMESPACE, timeout_s=3600, read_timeout_s=3600
        )
        async for kind, job in events:
            if kind == "ADDED":
                seen.setdefault(job["metadata"]["name"], time.monotonic())

    async def _until_succeeded(self, label: str) -> None:
        bar = Bar(label, self._count)

        async def look() -> bool:
            done = sum(succeeded(obj) for obj in await self._api.list(ECHO, _NAMESPACE))
            bar.show(done)
            return done == self._count

        await eventually(look, within=60 + 20 * self._count, every=0.5, what="all Echoes reconciled")

    async def _until_runs_counted(self, operator: Operator, wanted: int, label: str) -> None:
        bar = Bar(label, wanted)

        async def look() -> bool:
            done = await asyncio.to_thread(operator.runs_finished)
            bar.show(min(done, wanted))
            return done >= wanted

        await eventually(look, within=60 + 20 * wanted, every=0.2, what="all Echoes looked at")

    async def _check(self) -> None:
        echoes = {obj["metadata"]["name"]: obj for obj in await self._api.list(ECHO, _NAMESPACE)}
        jobs = {obj["metadata"]["name"]: obj for obj in await self._api.list(JOB, _NAMESPACE)}
        problems = [f"{len(jobs)} Jobs for {len(echoes)} Echoes"] if set(jobs) != set(echoes) else []
        for name in set(jobs) & set(echoes):
            owners = [owner["uid"] for owner in jobs[name]["metadata"].get("ownerReferences", [])]
            command = jobs[name]["spec"]["template"]["spec"]["containers"][0]["command"]
            if owners != [echoes[name]["metadata"]["uid"]]:
                problems.append(f"Job {name} belongs to {owners}")
            if command != ["printf", "%s\\n", echoes[name]["spec"]["message"]]:
                problems.append(f"Job {name} runs {command}")
        if problems:
            raise SystemExit("wrong result, so no figures:\n" + "\n".join(problems[:20]))


def _pid_of(plane: ControlPlane, component: str) -> int:
    return next(status.pid for status in plane.status() if status.name == component and status.pid)


if __name__ == "__main__":
    raise SystemExit(main())
