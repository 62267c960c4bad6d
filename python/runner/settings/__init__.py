"""Every setting of `ansible-operator run`, resolved from what `settings.table` has.

A flag beats its environment variables, which beat the default. Names are Operator SDK's. The Go echoperator's generic
variable names (`ENV`, `NAMESPACE`, ...) count only under `--env-compat=echoperator`, because in other operators they
are the user's own.
"""

import argparse
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from runner.settings.readers import boolean
from runner.settings.table import TABLE, Option

__all__ = ["Settings", "SettingsError", "add_flags", "resolve"]


class SettingsError(Exception):
    """A setting has no usable value; the message names the flag or variable, the value and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Resolved settings. Durations are float seconds."""

    watches_file: Path
    kubeconfig: str
    kube_api_qps: float
    """Requests a second; 0: no limit."""
    kube_api_burst: int
    """0: as many as `kube_api_qps`."""
    strict: bool
    env_compat: str
    watch_namespaces: tuple[str, ...]
    """Empty: all namespaces."""
    inject_owner_ref: bool
    mark_unsafe: bool
    """For watches that do not say."""
    ansible_verbosity: int
    ansible_roles_path: str
    ansible_collections_path: str
    ansible_args: str
    ansible_log_events: str
    """`nothing`, `tasks` or `everything`."""
    reconcile_period_s: float
    max_concurrent_reconciles: int
    max_concurrent_runs: int
    """0: as many as the CPUs suggest."""
    retry_min_delay_s: float
    retry_max_delay_s: float
    run_timeout_warning_s: float
    artifacts_limit_bytes: int
    no_warm: bool
    metrics_bind_address: str
    metrics_path: str
    metrics_secure: bool
    metrics_require_rbac: bool
    metrics_cert_path: str
    """Empty: a certificate of our own making."""
    metrics_cert_name: str
    metrics_cert_key: str
    user_metrics_bind_address: str
    """Empty: 127.0.0.1:5050 with `prefer_project_util`, else nowhere."""
    prefer_project_util: bool
    health_probe_bind_address: str
    proxy_port: int
    """0: any free port."""
    leader_elect: bool
    leader_election_id: str
    leader_election_namespace: str
    leader_identity: str
    lease_duration_s: float
    renew_deadline_s: float
    retry_period_s: float
    graceful_shutdown_timeout_s: float
    log_level: str
    log_format: str
    """`json` or `console`."""
    log_time_encoding: str
    """One of `logs.TIME_ENCODINGS`."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add every flag of the table; values stay text until `resolve`, which knows what to say about a bad one."""
    for option in TABLE:
        text = option.help.replace("%", "%%")
        env = f"; env {', '.join(option.env)}" if option.env else ""
        flags = [option.flag, *option.aliases]
        common: dict[str, Any] = {"dest": option.field, "default": None, "help": f"{text} ({_shown(option)}{env})"}
        if option.parse is boolean:
            parser.add_argument(*flags, nargs="?", const="true", metavar="true|false", **common)
        else:
            parser.add_argument(*flags, metavar=option.flag.rsplit("-", 1)[-1].upper(), **common)


def _shown(option: Option) -> str:
    return f"default {option.default}" if option.default else "default empty"


def resolve(arguments: argparse.Namespace | Mapping[str, str | None], environment: Mapping[str, str]) -> Settings:
    """Combine flags, environment and defaults.

    Raises:
        SettingsError: with every bad value, one a line.
    """
    given = arguments if isinstance(arguments, Mapping) else vars(arguments)
    compat = (given.get("env_compat") or "") == "echoperator"
    values: dict[str, Any] = {}
    problems: list[str] = []
    for option in TABLE:
        source, text, parse = _choose(option, given, environment, compat=compat)
        try:
            values[option.field] = parse(text)
        except ValueError as error:
            problems.append(f"{source}={text!r}: {error}")
    shortest, longest = values.get("retry_min_delay_s"), values.get("retry_max_delay_s")
    if shortest and longest and shortest > longest:
        problems.append(f"--retry-min-delay: {shortest:g} s is longer than --retry-max-delay, {longest:g} s")
    if problems:
        raise SettingsError("\n".join(problems))
    if compat:
        values |= _echoperator(given, environment)
    if not values["leader_identity"]:
        values["leader_identity"] = f"{socket.gethostname()}_{uuid.uuid4()}"
    return Settings(**{field.name: values[field.name] for field in fields(Settings)})


def _choose(
    option: Option, given: Mapping[str, Any], environment: Mapping[str, str], *, compat: bool
) -> tuple[str, str, Callable[[str], Any]]:
    flag = given.get(option.field)
    if flag is not None:
        return option.flag, str(flag), option.parse
    if compat and environment.get(option.compat):
        return option.compat, environment[option.compat], option.compat_parse or option.parse
    for name in option.env:
        if environment.get(name):
            return name, environment[name], option.parse
    return option.flag, option.default, option.parse


def _echoperator(given: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """What the Go echoperator does where no single variable of ours corresponds: its defaults, its metrics port."""
    values: dict[str, Any] = {}
    if given.get("metrics_bind_address") is None:
        enabled = environment.get("METRICS_ENABLED", "true").lower() not in {"0", "f", "false"}
        values["metrics_bind_address"] = f":{environment.get('METRICS_PORT') or '2112'}" if enabled else "0"
    if given.get("leader_election_id") is None:
        values["leader_election_id"] = environment.get("HA_LEASE_LOCK_NAME") or "echoperator"
    if given.get("leader_election_namespace") is None:
        values["leader_election_namespace"] = environment.get("NAMESPACE") or "default"
    if given.get("leader_identity") is None and not environment.get("HA_NODE_ID"):
        values["leader_identity"] = socket.gethostname()
    return values
