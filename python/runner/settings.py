"""Every setting of `ansible-operator run`, in one table.

A flag beats its environment variables, which beat the default. Names are Operator SDK's. The Go echoperator's generic
variable names (`ENV`, `NAMESPACE`, ...) count only under `--env-compat=echoperator`, because in other operators they
are the user's own. `--help` and docs/settings.md are made from this table.
"""

import argparse
import os
import re
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from runner.durations import parse_duration
from runner.logs import TIME_ENCODINGS

__all__ = [
    "TABLE",
    "Option",
    "Settings",
    "SettingsError",
    "add_flags",
    "boolean",
    "describe",
    "resolve",
    "verbosity_of",
    "workers_of",
]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One line of the table."""

    field: str
    flag: str
    default: str
    """As a user would write it; parsed like any other value."""
    parse: Callable[[str], Any]
    help: str
    env: tuple[str, ...] = ()
    """Always read, first one set wins."""
    compat: str = ""
    """The Go echoperator's variable, read under `--env-compat=echoperator` only."""
    compat_parse: Callable[[str], Any] | None = None
    """How that variable is read where its form differs; `None`: like the flag."""
    aliases: tuple[str, ...] = ()
    """Other flags that mean the same: deprecated ones, and the Go runtime's names for what is called otherwise here."""


def boolean(text: str) -> bool:
    """Read a switch as Go does.

    Raises:
        ValueError: neither on nor off.
    """
    lowered = text.lower()
    if lowered in {"1", "t", "true"}:
        return True
    if lowered in {"0", "f", "false"}:
        return False
    raise ValueError("must be true or false")


def _whole(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise ValueError("must be a whole number from 0")
    return int(text)


def _positive(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise ValueError("must be a whole number from 1")
    return number


def _rate(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError("must be a number from 0")
    return float(text)


_UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,12})(Ki|Mi|Gi|)", text)
    if not found:
        raise ValueError("must be a number of bytes, as 512Mi or 2Gi")
    return int(found[1]) * _UNITS[found[2]]


def _duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < 0:
        raise ValueError("must not be negative")
    return seconds


def _positive_duration(text: str) -> float:
    seconds = _duration(text)
    if not seconds:
        raise ValueError("must be longer than 0s")
    return seconds


def _seconds(text: str) -> float:
    return float(_positive(text))


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _unquoted(text: str) -> str:
    """Drop quotes round the whole, which a Deployment's list of arguments keeps and no shell takes away."""
    return text[1:-1] if len(text) > 1 and text.startswith("'") and text.endswith("'") else text


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choice or 'empty' for choice in choices)}")
        return text.lower()

    return parse


_LOGRUS = {"trace": "debug", "debug": "debug", "info": "info", "warn": "warning", "warning": "warning"}
_LOGRUS |= {"error": "error", "fatal": "critical", "panic": "critical"}


def _log_level(text: str) -> str:
    # The Go runtime takes numbers too, for depths of debugging; here there is one.
    level = "debug" if re.fullmatch(r"0*[1-9][0-9]*", text) else _LOGRUS.get(text.lower())
    if level is None:
        raise ValueError("must be one of debug, info, warn, error")
    return level


TABLE: tuple[Option, ...] = (
    Option(field="watches_file", flag="--watches-file", default="./watches.yaml", parse=Path,
           help="file that maps kinds to roles and playbooks"),
    Option(field="kubeconfig", flag="--kubeconfig", default="", parse=str, env=("KUBECONFIG",),
           help="cluster to work on; empty: the Pod's service account, or ~/.kube/config"),
    Option(field="kube_api_qps", flag="--kube-api-qps", default="0", parse=_rate,
           help="requests a second to the API server, the operator's and its roles' together; 0: no limit of ours"),
    Option(field="kube_api_burst", flag="--kube-api-burst", default="0", parse=_whole,
           help="requests at once after a quiet while, with --kube-api-qps; 0: as many as that says"),
    Option(field="strict", flag="--strict", default="false", parse=boolean,
           help="refuse to start on what is otherwise a warning about watches.yaml"),
    Option(field="env_compat", flag="--env-compat", default="", parse=_one_of("", "echoperator"),
           help="also read the environment variables of the Go echoperator"),
    Option(field="watch_namespaces", flag="--watch-namespace", default="", parse=_list, env=("WATCH_NAMESPACE",),
           help="comma list of namespaces to watch; empty: all"),
    Option(field="inject_owner_ref", flag="--inject-owner-ref", default="true", parse=boolean,
           help="make what a role creates belong to the custom resource"),
    Option(field="mark_unsafe", flag="--mark-unsafe", default="true", parse=boolean,
           help="pass strings of the cluster on as plain text, in watches without markUnsafe; false renders templates "
           "in them with all the operator's rights, as Operator SDK's Go runtime does"),
    Option(field="ansible_verbosity", flag="--ansible-verbosity", default="2", parse=_whole,
           help="how many v to give to Ansible, 0 to 7"),
    Option(field="ansible_roles_path", flag="--ansible-roles-path", default="", parse=str, env=("ANSIBLE_ROLES_PATH",),
           help="where roles named in the watches file are looked up, before ./roles"),
    Option(field="ansible_collections_path", flag="--ansible-collections-path", default="", parse=str,
           env=("ANSIBLE_COLLECTIONS_PATH",), help="where collections are looked up"),
    Option(field="ansible_args", flag="--ansible-args", default="", parse=_unquoted,
           help="further arguments for ansible-playbook, verbatim but for single quotes round them all"),
    Option(field="ansible_log_events", flag="--ansible-log-events", default="tasks",
           parse=_one_of("nothing", "tasks", "everything"), help="which events of a run to log"),
    Option(field="reconcile_period_s", flag="--reconcile-period", default="10h", parse=_duration,
           help="how often an unchanged resource is reconciled; 0s: never"),
    Option(field="max_concurrent_reconciles", flag="--max-concurrent-reconciles", default=str(os.cpu_count() or 1),
           parse=_positive, compat="NUM_WORKERS", help="runs at the same time, per kind"),
    Option(field="max_concurrent_runs", flag="--max-concurrent-runs", default="0", parse=_whole,
           env=("MAX_CONCURRENT_RUNS",),
           help="runs at the same time, of all kinds together; 0: two for each CPU that the container may use, "
           "at least 2, and no fewer than were asked for for any one kind"),
    Option(field="retry_min_delay_s", flag="--retry-min-delay", default="5ms", parse=_positive_duration,
           help="pause before a failed reconcile is tried again; doubles with each further failure"),
    Option(field="retry_max_delay_s", flag="--retry-max-delay", default="1000s", parse=_positive_duration,
           help="the longest of those pauses"),
    Option(field="run_timeout_warning_s", flag="--run-warning-after", default="1h", parse=_positive_duration,
           help="a run without a timeout that takes longer gets a Warning Event"),
    Option(field="artifacts_limit_bytes", flag="--artifacts-limit", default="512Mi", parse=_size,
           help="what all kept runs together may take on disk, the oldest go first; as 512Mi, 2Gi or bytes"),
    Option(field="no_warm", flag="--no-warm", default="false", parse=boolean,
           help="start a new Ansible for each run instead of a fork of one that is loaded"),
    Option(field="metrics_bind_address", flag="--metrics-bind-address", default=":8443", parse=str,
           aliases=("--metrics-addr",), help="where /metrics is served; 0: nowhere"),
    Option(field="metrics_path", flag="--metrics-path", default="/metrics", parse=str, compat="METRICS_PATH",
           help="path of the metrics"),
    Option(field="metrics_secure", flag="--metrics-secure", default="false", parse=boolean,
           help="serve the metrics over TLS"),
    Option(field="metrics_require_rbac", flag="--metrics-require-rbac", default="false", parse=boolean,
           help="show the metrics only to who may get their path; needs --metrics-secure"),
    Option(field="metrics_cert_path", flag="--metrics-cert-path", default="", parse=str,
           help="directory of the metrics' certificate, read again when it changes; empty: one of our own making"),
    Option(field="metrics_cert_name", flag="--metrics-cert-name", default="tls.crt", parse=str,
           help="file of the certificate in there"),
    Option(field="metrics_cert_key", flag="--metrics-cert-key", default="tls.key", parse=str,
           help="file of its key in there"),
    Option(field="user_metrics_bind_address", flag="--user-metrics-bind-address", default="", parse=str,
           help="where roles' metrics are taken without a token, for copies of operator_sdk.util that have none; "
           "empty: 127.0.0.1:5050 with --prefer-project-util, else nowhere; 0: nowhere"),
    Option(field="prefer_project_util", flag="--prefer-project-util", default="false", parse=boolean,
           help="use the operator_sdk.util that the project has installed instead of the operator's own"),
    Option(field="health_probe_bind_address", flag="--health-probe-bind-address", default=":6789", parse=str,
           help="where /healthz and /readyz are served; 0: nowhere"),
    Option(field="proxy_port", flag="--proxy-port", default="0", parse=_whole,
           help="port of the gateway on 127.0.0.1; 0: any free one"),
    Option(field="leader_elect", flag="--leader-elect", default="false", parse=boolean, compat="HA_ENABLED",
           aliases=("--enable-leader-election",), help="work only while holding the Lease"),
    Option(field="leader_election_id", flag="--leader-election-id", default="", parse=str, env=("OPERATOR_NAME",),
           compat="HA_LEASE_LOCK_NAME", help="name of the Lease"),
    Option(field="leader_election_namespace", flag="--leader-election-namespace", default="", parse=str,
           compat="NAMESPACE", help="namespace of the Lease; empty: the Pod's own"),
    Option(field="leader_identity", flag="--leader-election-identity", default="", parse=str, compat="HA_NODE_ID",
           help="who holds the Lease; empty: host name and a random part"),
    Option(field="lease_duration_s", flag="--leader-elect-lease-duration", default="15s", parse=_positive_duration,
           compat="HA_LEASE_DURATION_SECONDS", compat_parse=_seconds,
           help="how long others wait after the last renewal before they take over"),
    Option(field="renew_deadline_s", flag="--leader-elect-renew-deadline", default="10s", parse=_positive_duration,
           compat="HA_RENEW_DEADLINE_SECONDS", compat_parse=_seconds,
           help="without a renewal for so long, stop working"),
    Option(field="retry_period_s", flag="--leader-elect-retry-period", default="2s", parse=_positive_duration,
           compat="HA_RETRY_PERIOD_SECONDS", compat_parse=_seconds, help="pause between two tries at the Lease"),
    Option(field="graceful_shutdown_timeout_s", flag="--graceful-shutdown-timeout", default="30s", parse=_duration,
           help="how long runs in flight may go on after SIGTERM"),
    Option(field="log_level", flag="--log-level", default="info", parse=_log_level, compat="LOG_LEVEL",
           aliases=("--zap-log-level",), help="debug, info, warn or error"),
    Option(field="log_format", flag="--log-format", default="json", parse=_one_of("json", "console"), compat="ENV",
           compat_parse=lambda text: "console" if text == "local" else "json", aliases=("--zap-encoder",),
           help="json or console"),
    Option(field="log_time_encoding", flag="--log-time-encoding", default="iso8601", parse=_one_of(*TIME_ENCODINGS),
           aliases=("--zap-time-encoding",), help=f"how a line tells its time: {', '.join(TIME_ENCODINGS)}"),
)  # fmt: skip


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


def workers_of(kind: str, group: str, *, default: int, environment: Mapping[str, str]) -> int:
    """Runs at the same time for one kind: `MAX_CONCURRENT_RECONCILES_<KIND>_<GROUP>`, or `WORKER_...` of old."""
    names = ("MAX_CONCURRENT_RECONCILES", "WORKER")
    return next((number for number in _of_kind(names, kind, group, environment) if number > 0), default)


def verbosity_of(kind: str, group: str, *, default: int, environment: Mapping[str, str]) -> int:
    """How many v for runs of one kind: `ANSIBLE_VERBOSITY_<KIND>_<GROUP>`, 0 to 7."""
    return next(
        (number for number in _of_kind(("ANSIBLE_VERBOSITY",), kind, group, environment) if number <= 7), default
    )


def _of_kind(names: Iterable[str], kind: str, group: str, environment: Mapping[str, str]) -> Iterator[int]:
    suffix = f"{kind}_{group.replace('.', '_')}".upper()
    for name in names:
        text = environment.get(f"{name}_{suffix}", "")
        if re.fullmatch(r"[0-9]+", text):
            yield int(text)


def describe(options: Iterable[Option] = TABLE) -> Sequence[tuple[str, str, str, str]]:
    """Rows of the documentation table: flag, variables, default, meaning."""
    rows = []
    for option in options:
        variables = [*option.env, *([f"{option.compat} (echoperator)"] if option.compat else [])]
        default = "number of CPUs" if option.field == "max_concurrent_reconciles" else option.default
        rows.append((option.flag, ", ".join(variables), default, option.help))
    return rows
