"""The command `ansible-operator`: `run`, `doctor`, `apply-crds`, `delete-crds` and `version`.

Exit codes: 0 stopped as asked, 1 leadership lost or an unexpected failure, 2 nothing was started because the
configuration is wrong.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from runner import __version__, crds, goflags, logs, settings, watches
from runner.clock import SystemClock
from runner.content import SearchPath
from runner.crds import CrdsError, NotEstablished
from runner.doctor import command as doctor
from runner.httpserver.server import AddressError
from runner.kube import config
from runner.kube.client import KubeClient
from runner.kube.config import ConfigError, Connection
from runner.kube.errors import KubeError
from runner.logs import fields
from runner.manager import ExitCode
from runner.objects import Raw
from runner.settings import Settings, SettingsError
from runner.watches import Loaded, WatchesError
from runner.wiring.errors import WiringError
from runner.wiring.operator import build

__all__ = ["main"]

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if parsed.command == "version":
        print(_versions())  # noqa: T201 - this is the command's output
        return ExitCode.OK
    if parsed.command == "run":
        return _run(parsed)
    if parsed.command == "doctor":
        return doctor.run(parsed)
    if parsed.command in {"apply-crds", "delete-crds"}:
        return _crds(parsed)
    parser.print_help()
    return ExitCode.BAD_CONFIGURATION


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ansible-operator",
        description="Run Ansible roles and playbooks as a Kubernetes operator, as watches.yaml says.",
        epilog="Exit codes: 0 stopped as asked, 1 failed or lost the lead, 2 wrong configuration, nothing started.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run the operator",
        description="Watch the kinds of watches.yaml and run their roles until stopped by SIGTERM. "
        "A flag beats its environment variable, which beats the default.",
    )
    settings.add_flags(run)
    goflags.add_flags(run)
    doctor.add_flags(commands.add_parser("doctor", help=doctor.HELP), operator=run)
    _add_crds(commands, "apply-crds", "bring custom resource definitions into the cluster and wait for their kinds")
    _add_crds(commands, "delete-crds", "delete custom resource definitions, and with them every object of their kinds")
    commands.add_parser("version", help="show the versions of the operator, Ansible and the Kubernetes client")
    return parser


def _add_crds(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str) -> None:
    parser = commands.add_parser(name, help=what, description=f"{what.capitalize()}.")
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="where they are, one or more in each *.yaml")
    parser.add_argument(
        "--kubeconfig", default="", metavar="FILE", help="empty: KUBECONFIG, the Pod's service account, ~/.kube/config"
    )


def _versions() -> str:
    packages = ("ansible-core", "ansible-runner", "kubernetes")
    known = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    return f"ansible-operator {__version__} ({known}, Python {sys.version.split()[0]})"


def _run(parsed: argparse.Namespace) -> int:
    environment = dict(os.environ)
    try:
        given = vars(parsed)
        resolved = settings.resolve(goflags.translate(given, environment), environment)
        logs.configure(
            level=resolved.log_level,
            json_lines=resolved.log_format == "json",
            time_encoding=resolved.log_time_encoding,
        )
        for remark in goflags.remarks(given):
            logger.warning("flag without effect", extra=fields(remark=remark))
        environment |= _search_paths(resolved)
        loaded = _load_watches(resolved, environment)
    except (SettingsError, WatchesError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - for whoever started us, in whatever log format
        return ExitCode.BAD_CONFIGURATION
    try:
        return asyncio.run(_serve(resolved, loaded, environment))
    except (AddressError, ConfigError, WiringError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return ExitCode.BAD_CONFIGURATION


async def _serve(resolved: Settings, loaded: Loaded, environment: Mapping[str, str]) -> int:
    manager = build(resolved, loaded.watches, environment)
    return await manager.run()


def _search_paths(resolved: Settings) -> dict[str, str]:
    """The flags that name search paths count for the runs too, so they go where Ansible looks."""
    paths = {
        "ANSIBLE_ROLES_PATH": resolved.ansible_roles_path,
        "ANSIBLE_COLLECTIONS_PATH": resolved.ansible_collections_path,
    }
    return {name: value for name, value in paths.items() if value}


def _load_watches(resolved: Settings, environment: Mapping[str, str]) -> Loaded:
    """Read watches.yaml; what is a warning stops the start under `--strict`."""
    search = SearchPath.of(Path.cwd(), environment)
    loaded = watches.load(
        resolved.watches_file, search=search, environment=environment, mark_unsafe=resolved.mark_unsafe
    )
    if loaded.warnings and resolved.strict:
        raise WatchesError([f"{warning} (refused under --strict)" for warning in loaded.warnings])
    for warning in loaded.warnings:
        logger.warning("watches file", extra=fields(warning=warning))
    return loaded


def _crds(parsed: argparse.Namespace) -> int:
    try:
        definitions = crds.read(parsed.directory)
        connection = config.load(kubeconfig=parsed.kubeconfig, clock=SystemClock())
    except (CrdsError, ConfigError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return ExitCode.BAD_CONFIGURATION
    try:
        asyncio.run(_bring_or_remove(parsed.command, connection, definitions))
    except (KubeError, NotEstablished) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return ExitCode.OK


async def _bring_or_remove(command: str, connection: Connection, definitions: Sequence[Raw]) -> None:
    async with KubeClient(connection, user_agent=f"ansible-operator/{__version__} {command}") as client:
        if command == "apply-crds":
            await crds.apply(client, definitions, clock=SystemClock(), say=print)
        else:
            await crds.delete(client, definitions, say=print)
