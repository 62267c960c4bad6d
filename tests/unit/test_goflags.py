"""A manifest written for Operator SDK's Go runtime starts here, and says what it says without effect."""

import argparse

import pytest

from runner import goflags, settings
from runner.settings import Settings, SettingsError


def given(*flags: str) -> dict[str, str | None]:
    parser = argparse.ArgumentParser()
    settings.add_flags(parser)
    goflags.add_flags(parser)
    return vars(parser.parse_args(list(flags)))


def resolved(*flags: str, **environment: str) -> Settings:
    return settings.resolve(goflags.translate(given(*flags), environment), environment)


# All flags of `ansible-operator run` 1.42.3, each with a value as manifests have it.
PEER = [
    "--watches-file=./watches.yaml",
    "--inject-owner-ref=true",
    "--ansible-verbosity=2",
    "--ansible-roles-path=/opt/ansible/roles",
    "--ansible-collections-path=/opt/ansible/.ansible/collections",
    "--ansible-args='--vault-password-file /opt/ansible/pwd.yml'",
    "--ansible-log-events=Tasks",
    "--reconcile-period=10h",
    "--max-concurrent-reconciles=4",
    "--metrics-bind-address=:8443",
    "--metrics-addr=:8443",
    "--metrics-secure",
    "--metrics-require-rbac",
    "--health-probe-bind-address=:6789",
    "--leader-elect",
    "--enable-leader-election",
    "--leader-election-id=memcached-operator",
    "--leader-election-namespace=system",
    "--leader-elect-resource-lock=configmapsleases",
    "--leader-elect-lease-duration=15s",
    "--leader-elect-renew-deadline=10s",
    "--graceful-shutdown-timeout=30s",
    "--proxy-port=8888",
    "--enable-http2=false",
    "--kubeconfig=",
    "--zap-devel=false",
    "--zap-encoder=json",
    "--zap-log-level=info",
    "--zap-stacktrace-level=error",
    "--zap-time-encoding=rfc3339",
]


def test_every_flag_of_the_go_runtime_is_taken() -> None:
    found = resolved(*PEER)
    assert found.ansible_args == "--vault-password-file /opt/ansible/pwd.yml"
    assert (found.ansible_log_events, found.proxy_port) == ("tasks", 8888)
    assert (found.log_level, found.log_format, found.log_time_encoding) == ("info", "json", "rfc3339")


@pytest.mark.parametrize(
    ("flags", "level", "form"),
    [
        (["--zap-log-level=debug"], "debug", "json"),
        (["--zap-log-level=5"], "debug", "json"),
        (["--zap-log-level=error", "--zap-encoder=console"], "error", "console"),
        (["--zap-log-level=panic"], "critical", "json"),
        (["--zap-devel"], "debug", "console"),
        (["--zap-devel=true", "--zap-log-level=info"], "info", "console"),
        (["--zap-devel=false"], "info", "json"),
    ],
)
def test_zap_flags_set_our_logging(flags: list[str], level: str, form: str) -> None:
    found = resolved(*flags)
    assert (found.log_level, found.log_format) == (level, form)


@pytest.mark.parametrize(
    "flag", ["--zap-log-level=0", "--zap-log-level=loud", "--zap-encoder=xml", "--zap-devel=perhaps"]
)
def test_a_bad_value_is_refused_in_words(flag: str) -> None:
    with pytest.raises(SettingsError, match="must be"):
        resolved(flag)


def test_what_can_mean_nothing_is_one_line_each() -> None:
    assert goflags.remarks(given(*PEER)) == [
        "--enable-http2 has no effect: metrics are served over HTTP/1.1 only, and there is no webhook server",
        "--leader-elect-resource-lock has no effect: the lock is always a Lease",
        "--zap-stacktrace-level has no effect: a trace is logged with each unexpected failure, and with no other line",
    ]
    assert goflags.remarks(given()) == []


@pytest.mark.parametrize(
    ("flags", "debug_logs", "expected"),
    [
        ((), "true", "everything"),
        ((), "False", "tasks"),
        ((), "", "tasks"),
        (("--ansible-log-events=nothing",), "1", "nothing"),
    ],
)
def test_debug_logs_are_all_events(flags: tuple[str, ...], debug_logs: str, expected: str) -> None:
    """config/testing of a scaffolded project sets the variable."""
    assert resolved(*flags, ANSIBLE_DEBUG_LOGS=debug_logs).ansible_log_events == expected


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="ANSIBLE_DEBUG_LOGS='loud'"):
        resolved(ANSIBLE_DEBUG_LOGS="loud")
