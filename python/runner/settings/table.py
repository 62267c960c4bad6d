"""The table of settings: flag, variables, default, meaning. `--help` and docs/settings.md are made from it."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.logs import TIME_ENCODINGS
from runner.settings.readers import (
    boolean,
    duration,
    log_level,
    names,
    one_of,
    positive,
    positive_duration,
    rate,
    seconds,
    size,
    unquoted,
    whole,
)

__all__ = ["TABLE", "Option", "describe"]


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


TABLE: tuple[Option, ...] = (
    Option(field="watches_file", flag="--watches-file", default="./watches.yaml", parse=Path,
           help="file that maps kinds to roles and playbooks"),
    Option(field="kubeconfig", flag="--kubeconfig", default="", parse=str, env=("KUBECONFIG",),
           help="cluster to work on; empty: the Pod's service account, or ~/.kube/config"),
    Option(field="kube_api_qps", flag="--kube-api-qps", default="0", parse=rate,
           help="requests a second to the API server, the operator's and its roles' together; 0: no limit of ours"),
    Option(field="kube_api_burst", flag="--kube-api-burst", default="0", parse=whole,
           help="requests at once after a quiet while, with --kube-api-qps; 0: as many as that says"),
    Option(field="strict", flag="--strict", default="false", parse=boolean,
           help="refuse to start on what is otherwise a warning about watches.yaml"),
    Option(field="env_compat", flag="--env-compat", default="", parse=one_of("", "echoperator"),
           help="also read the environment variables of the Go echoperator"),
    Option(field="watch_namespaces", flag="--watch-namespace", default="", parse=names, env=("WATCH_NAMESPACE",),
           help="comma list of namespaces to watch; empty: all"),
    Option(field="inject_owner_ref", flag="--inject-owner-ref", default="true", parse=boolean,
           help="make what a role creates belong to the custom resource"),
    Option(field="mark_unsafe", flag="--mark-unsafe", default="true", parse=boolean,
           help="pass strings of the cluster on as plain text, in watches without markUnsafe; false renders templates "
           "in them with all the operator's rights, as Operator SDK's Go runtime does"),
    Option(field="ansible_verbosity", flag="--ansible-verbosity", default="2", parse=whole,
           help="how many v to give to Ansible, 0 to 7"),
    Option(field="ansible_roles_path", flag="--ansible-roles-path", default="", parse=str, env=("ANSIBLE_ROLES_PATH",),
           help="where roles named in the watches file are looked up, before ./roles"),
    Option(field="ansible_collections_path", flag="--ansible-collections-path", default="", parse=str,
           env=("ANSIBLE_COLLECTIONS_PATH",), help="where collections are looked up"),
    Option(field="ansible_args", flag="--ansible-args", default="", parse=unquoted,
           help="further arguments for ansible-playbook, verbatim but for single quotes round them all"),
    Option(field="ansible_log_events", flag="--ansible-log-events", default="tasks",
           parse=one_of("nothing", "tasks", "everything"), help="which events of a run to log"),
    Option(field="reconcile_period_s", flag="--reconcile-period", default="10h", parse=duration,
           help="how often an unchanged resource is reconciled; 0s: never"),
    Option(field="max_concurrent_reconciles", flag="--max-concurrent-reconciles", default=str(os.cpu_count() or 1),
           parse=positive, compat="NUM_WORKERS", help="runs at the same time, per kind"),
    Option(field="max_concurrent_runs", flag="--max-concurrent-runs", default="0", parse=whole,
           env=("MAX_CONCURRENT_RUNS",),
           help="runs at the same time, of all kinds together; 0: two for each CPU that the container may use, "
           "at least 2, and no fewer than were asked for for any one kind"),
    Option(field="retry_min_delay_s", flag="--retry-min-delay", default="5ms", parse=positive_duration,
           help="pause before a failed reconcile is tried again; doubles with each further failure"),
    Option(field="retry_max_delay_s", flag="--retry-max-delay", default="1000s", parse=positive_duration,
           help="the longest of those pauses"),
    Option(field="run_timeout_warning_s", flag="--run-warning-after", default="1h", parse=positive_duration,
           help="a run without a timeout that takes longer gets a Warning Event"),
    Option(field="artifacts_limit_bytes", flag="--artifacts-limit", default="512Mi", parse=size,
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
    Option(field="proxy_port", flag="--proxy-port", default="0", parse=whole,
           help="port of the gateway on 127.0.0.1; 0: any free one"),
    Option(field="leader_elect", flag="--leader-elect", default="false", parse=boolean, compat="HA_ENABLED",
           aliases=("--enable-leader-election",), help="work only while holding the Lease"),
    Option(field="leader_election_id", flag="--leader-election-id", default="", parse=str, env=("OPERATOR_NAME",),
           compat="HA_LEASE_LOCK_NAME", help="name of the Lease"),
    Option(field="leader_election_namespace", flag="--leader-election-namespace", default="", parse=str,
           compat="NAMESPACE", help="namespace of the Lease; empty: the Pod's own"),
    Option(field="leader_identity", flag="--leader-election-identity", default="", parse=str, compat="HA_NODE_ID",
           help="who holds the Lease; empty: host name and a random part"),
    Option(field="lease_duration_s", flag="--leader-elect-lease-duration", default="15s", parse=positive_duration,
           compat="HA_LEASE_DURATION_SECONDS", compat_parse=seconds,
           help="how long others wait after the last renewal before they take over"),
    Option(field="renew_deadline_s", flag="--leader-elect-renew-deadline", default="10s", parse=positive_duration,
           compat="HA_RENEW_DEADLINE_SECONDS", compat_parse=seconds,
           help="without a renewal for so long, stop working"),
    Option(field="retry_period_s", flag="--leader-elect-retry-period", default="2s", parse=positive_duration,
           compat="HA_RETRY_PERIOD_SECONDS", compat_parse=seconds, help="pause between two tries at the Lease"),
    Option(field="graceful_shutdown_timeout_s", flag="--graceful-shutdown-timeout", default="30s", parse=duration,
           help="how long runs in flight may go on after SIGTERM"),
    Option(field="log_level", flag="--log-level", default="info", parse=log_level, compat="LOG_LEVEL",
           aliases=("--zap-log-level",), help="debug, info, warn or error"),
    Option(field="log_format", flag="--log-format", default="json", parse=one_of("json", "console"), compat="ENV",
           compat_parse=lambda text: "console" if text == "local" else "json", aliases=("--zap-encoder",),
           help="json or console"),
    Option(field="log_time_encoding", flag="--log-time-encoding", default="iso8601", parse=one_of(*TIME_ENCODINGS),
           aliases=("--zap-time-encoding",), help=f"how a line tells its time: {', '.join(TIME_ENCODINGS)}"),
)  # fmt: skip


def describe(options: Iterable[Option] = TABLE) -> Sequence[tuple[str, str, str, str]]:
    """Rows of the documentation table: flag, variables, default, meaning."""
    rows = []
    for option in options:
        variables = [*option.env, *([f"{option.compat} (echoperator)"] if option.compat else [])]
        default = "number of CPUs" if option.field == "max_concurrent_reconciles" else option.default
        rows.append((option.flag, ", ".join(variables), default, option.help))
    return rows
