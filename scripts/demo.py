"""The main job, shown: an Echo becomes a Job whose Pod prints its message, a ScheduledEcho becomes a CronJob.

With --cluster embedded a cluster is built and started if none is up, and stopped again at the end if this started it.
With --cluster kind it is a kind cluster, of this machine's docker or of an engine that runs for it alone.
With --cluster current the current kubeconfig context is used, after it was named; the CRDs and samples stay there.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_MESSAGE = "Hola, 世界!"
_BOLD, _DIM, _GREEN, _OFF = ("\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[0m") if sys.stdout.isatty() else ("",) * 4


class DemoError(Exception):
    """The demo cannot go on; the message says why and what helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The cluster that the demo works on."""

    kubeconfig: str
    kubectl: str
    image: str | None
    """The image that its node has; `None`: the role's default."""
    node: bool
    no_node_because: str = ""

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run kubectl and return what it prints."""
        command = [self.kubectl, f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT)
        if check and done.returncode:
            raise DemoError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """One object, or an empty mapping."""
        text = self.run("get", *arguments, "-o", "json", "--ignore-not-found")
        found: dict[str, Any] = json.loads(text) if text.strip() else {}
        return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--cluster", choices=("embedded", "kind", "current"), default="embedded")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with _target(options.cluster) as target:
            _show(target)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started is stopped", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def _target(kind: str) -> Iterator[Target]:
    if kind == "current":
        yield _current()
        return
    _say("a kind cluster on this machine" if kind == "kind" else "a real Kubernetes on this machine")
    command = [sys.executable, "-m", "cluster.kind" if kind == "kind" else "cluster"]
    started = subprocess.run([*command, "up", "--json"], stdout=subprocess.PIPE, text=True, check=False, cwd=_ROOT)
    if started.returncode:
        raise DemoError(f"the {kind} cluster did not start; see above")
    facts = json.loads(started.stdout)
    try:
        yield Target(
            kubeconfig=facts["kubeconfig"],
            kubectl=facts["kubectl"],
            image=facts["testImage"],
            node=facts.get("node", True),  # a kind cluster always has one
            no_node_because=facts.get("noNodeBecause") or "",
        )
    finally:
        if not facts["alreadyUp"]:
            subprocess.run([*command, "down"], check=False, cwd=_ROOT)


def _current() -> Target:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise DemoError("CLUSTER=current needs kubectl on PATH")
    kubeconfig = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    target = Target(kubeconfig=kubeconfig, kubectl=kubectl, image=os.environ.get("RELATED_IMAGE_ECHO"), node=True)
    context = target.run("config", "current-context").strip()
    _say(f"your current context {context!r}: CRDs and samples will be applied there, in namespace default")
    if sys.stdin.isatty() and input("go on? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise DemoError("nothing was changed")
    return target


def _show(target: Target) -> None:
    _say("custom resource definitions")
    print(target.run("apply", "--server-side", "-k", "config/crd"), end="")
    for crd in ("echos", "scheduledechos"):
        target.run("wait", "--for=condition=Established", f"crd/{crd}.mmontes.io", "--timeout=60s")
    with _operator(target) as log:
        _say("two resources")
        print(target.run("apply", "-k", "config/samples"), end="")
        _wait("the Job of Echo hello-world", lambda: bool(target.get("job", "hello-world")), log)
        _wait(
            "the CronJob of ScheduledEcho hello-world-scheduled",
            lambda: bool(target.get("cronjob", "hello-world-scheduled")),
            log,
        )
        if target.node:
            _show_output(target, log)
        _show_objects(target)
    if not target.node:
        print(f"\nNo Pod ran, because there is no node here: {target.no_node_because}")


def _show_output(target: Target, log: Path) -> None:
    _wait("the Pod, and the status that tells of it", lambda: _state(target) in {"Complete", "Failed"}, log)
    output = target.run("logs", "job/hello-world")
    _say("what the Pod printed")
    print(f"{_GREEN}{output}{_OFF}", end="")
    if output != f"{_MESSAGE}\n":
        raise DemoError(f"expected {_MESSAGE!r}, byte for byte")


def _state(target: Target) -> str:
    return str(((target.get("echo", "hello-world").get("status") or {}).get("job") or {}).get("state") or "")


def _show_objects(target: Target) -> None:
    _say("status")
    print(target.run("get", "echos,scheduledechos"), end="")
    status = target.get("echo", "hello-world").get("status") or {}
    for entry in status.get("conditions") or []:
        print(f"  {entry['type']:<12} {entry['status']:<8} {entry.get('reason', ''):<16} {entry.get('message', '')}")
    _say("owners")
    children = json.loads(target.run("get", "jobs,cronjobs,pods", "-o", "json"))["items"]
    for kind, name in (("Echo", "hello-world"), ("ScheduledEcho", "hello-world-scheduled")):
        print(f"{kind}/{name}")
        _tree(target.get(kind.lower(), name)["metadata"]["uid"], children, "  ")


def _tree(uid: str, objects: list[dict[str, Any]], indent: str) -> None:
    for child in objects:
        if any(owner["uid"] == uid for owner in child["metadata"].get("ownerReferences") or ()):
            print(f"{indent}└─ {child['kind']}/{child['metadata']['name']}")
            _tree(child["metadata"]["uid"], objects, indent + "   ")


@contextlib.contextmanager
def _operator(target: Target) -> Iterator[Path]:
    """Run the operator beside us as it runs in its image."""
    _say("the operator")
    with tempfile.TemporaryDirectory(prefix="demo-") as directory:
        log = Path(directory) / "operator.log"
        environment = {**os.environ, "ANSIBLE_GATHERING": "explicit", "TMPDIR": directory}
        if target.image:
            environment["RELATED_IMAGE_ECHO"] = target.image
        command = [
            sys.executable,
            "-m",
            "runner",
            "run",
            "--strict",
            "--env-compat=echoperator",
            f"--kubeconfig={target.kubeconfig}",
            "--metrics-bind-address=0",
            "--health-probe-bind-address=0",
            "--log-format=console",
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=_ROOT, stdout=output, stderr=output, env=environment)
        try:
            print(f"{_DIM}{' '.join(command[1:])}{_OFF}")
            yield log
            if process.poll() is not None:
                raise DemoError(f"the operator ended with {process.returncode}:\n{_tail(log)}")
        finally:
            process.terminate()
            process.wait()


def _wait(what: str, check: Callable[[], bool], log: Path, *, within_s: float = 120.0) -> None:
    started = time.monotonic()
    while not check():
        waited = time.monotonic() - started
        if waited > within_s:
            raise DemoError(f"{what} did not come within {within_s:g} s; the operator's log ends with:\n{_tail(log)}")
        if sys.stdout.isatty():
            print(f"\r{what} … {waited:.0f} s", end="", flush=True)
        time.sleep(0.3)
    start = "\r" if sys.stdout.isatty() else ""
    print(f"{start}{what}: after {time.monotonic() - started:.1f} s")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


def _say(text: str) -> None:
    print(f"\n{_BOLD}==> {text}{_OFF}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
