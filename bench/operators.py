"""An operator as a process: started in a project, asked for its metrics, stopped. Ours and others', alike.

Only flags and metrics that Operator SDK's `ansible-operator` has are relied upon, but where a docstring says so.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from bench.checks import WrongResult, until
from bench.exposition import samples, total
from cluster import network
from cluster.processes import tail

__all__ = ["ROOT", "Launch", "Operator"]

ROOT = Path(__file__).resolve().parent.parent
_START_S = 60.0
_RUN_FINISHED = b'"msg": "run finished"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to start, and where."""

    command: tuple[str, ...]
    """Program and arguments up to those that say where to listen and what to watch."""
    project: Path
    """The working directory, with watches.yaml and roles."""
    watches: str = "watches.yaml"
    workers: int | None = None
    """`None`: the operator's own default."""
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class Operator:
    """One operator process, from `start` to `stop`."""

    def __init__(self, launch: Launch, *, kubeconfig: Path, directory: Path) -> None:
        """Start it."""
        directory.mkdir(parents=True)
        temporary = directory / "tmp"
        temporary.mkdir()
        self.log_file = directory / "operator.log"
        self._health, self._metrics = network.free_ports(2)
        command = [
            *launch.command,
            f"--watches-file={launch.watches}",
            f"--health-probe-bind-address=127.0.0.1:{self._health}",
            f"--metrics-bind-address=127.0.0.1:{self._metrics}",
            *([f"--max-concurrent-reconciles={launch.workers}"] if launch.workers else []),
            *launch.arguments,
        ]
        environment = {
            **os.environ,
            # The peer looks for ansible-runner on the path.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(ROOT / "python"),
            "ANSIBLE_GATHERING": "explicit",
            "KUBECONFIG": str(kubeconfig),
            "TMPDIR": str(temporary),
            **launch.environment,
        }
        self.started_at = time.monotonic()
        """Like `time.monotonic`."""
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - what the caller asked for, no shell
                command,
                cwd=launch.project,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )
        self.pid = self._process.pid
        self._read_to = 0
        self._logged = 0

    async def ready(self) -> Self:
        """Wait until the readiness probe passes."""

        async def look() -> bool:
            self._demand_life()
            return (await self._fetch(self._health, "/readyz"))[0] == 200

        await until(look, within_s=_START_S, every_s=0.02, what="the operator is ready")
        return self

    async def warm(self) -> float:
        """Wait until a warm parent has loaded; return how many seconds it says that took. Ours only."""

        async def look() -> float:
            return total(await self.metrics(), "ansible_operator_warm_parent_start_seconds")

        return await until(look, within_s=_START_S, what="a warm parent is ready")

    async def idle(self, *, within_s: float = 60.0) -> None:
        """Wait until nothing is queued and nothing is being reconciled."""

        async def look() -> bool:
            text = await self.metrics()
            return total(text, "workqueue_depth") + total(text, "controller_runtime_active_workers") == 0

        await until(look, within_s=within_s, what="the operator has nothing left to do")

    async def metrics(self) -> str:
        """The page of metrics; empty while nothing answers.

        Raises:
            WrongResult: the operator has ended.
        """
        self._demand_life()
        return (await self._fetch(self._metrics, "/metrics"))[1]

    async def reconciles(self) -> int:
        """How many reconciles have ended, whatever came of them."""
        return round(total(await self.metrics(), "controller_runtime_reconcile_total"))

    async def runs(self) -> int:
        """How many runs of Ansible have ended. Ours only: the Go runtime counts the start of a run."""
        return round(total(await self.metrics(), "ansible_operator_runs_total"))

    async def workers(self) -> int:
        """Runs at the same time, of the kind that may have most."""
        found = [
            sample.value for sample in samples(await self.metrics(), "controller_runtime_max_concurrent_reconciles")
        ]
        return round(max(found, default=0))

    def runs_logged(self) -> int:
        """How many runs of Ansible have ended, by the log. Ours only.

        For asking often, as it costs the operator nothing. A run's status is not written yet.
        """
        with self.log_file.open("rb") as log:
            log.seek(self._read_to)
            whole = log.read().rpartition(b"\n")[0]
        self._logged += whole.count(_RUN_FINISHED)
        self._read_to += len(whole)
        return self._logged

    def finished_runs(self) -> list[dict[str, Any]]:
        """What the log says of each run: `ref`, `seconds` and more. Ours only."""
        return [json.loads(line) for line in self.log_file.read_bytes().splitlines() if _RUN_FINISHED in line]

    async def stop(self) -> None:
        """Ask it to stop; kill it where it does not."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, 45)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _demand_life(self) -> None:
        code = self._process.poll()
        if code is not None:
            raise WrongResult(f"the operator ended with {code}; its log ends with:\n{tail(self.log_file)}")

    @staticmethod
    async def _fetch(port: int, path: str) -> tuple[int, str]:
        """Status and text; 0 while nothing answers."""

        def fetch() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, ""
            except OSError:
                return 0, ""

        return await asyncio.to_thread(fetch)
