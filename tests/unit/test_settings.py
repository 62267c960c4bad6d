"""Flag beats environment beats default; the echoperator's names count only where they are asked for."""

import argparse
from pathlib import Path

import pytest

from runner import settings
from runner.settings import Settings, SettingsError, resolve, table
from runner.settings.perkind import verbosity_of, workers_of


def parsed(*flags: str, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    settings.add_flags(parser)
    return resolve(parser.parse_args(list(flags)), environment)


def test_defaults_are_operator_sdks() -> None:
    found = parsed()
    assert found.watches_file == Path("watches.yaml")
    assert found.reconcile_period_s == 36000
    assert found.metrics_bind_address == ":8443"
    assert found.health_probe_bind_address == ":6789"
    assert found.ansible_verbosity == 2
    assert found.inject_owner_ref is True
    assert found.leader_elect is False
    assert (found.lease_duration_s, found.renew_deadline_s, found.retry_period_s) == (15, 10, 2)
    assert found.graceful_shutdown_timeout_s == 30
    assert found.watch_namespaces == ()


def test_flag_beats_environment_beats_default() -> None:
    assert parsed(WATCH_NAMESPACE="a, b").watch_namespaces == ("a", "b")
    assert parsed("--watch-namespace=c", WATCH_NAMESPACE="a").watch_namespaces == ("c",)


def test_an_empty_watch_namespace_means_all() -> None:
    """So OLM says it, which takes the variable from an annotation."""
    assert parsed(WATCH_NAMESPACE="").watch_namespaces == ()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(["--leader-elect"], True), (["--leader-elect=true"], True), (["--leader-elect=false"], False), ([], False)],
)
def test_switches_take_an_optional_value_as_go_flags_do(flags: list[str], expected: bool) -> None:
    assert parsed(*flags).leader_elect is expected


def test_deprecated_flags_mean_the_same() -> None:
    assert parsed("--metrics-addr=:9").metrics_bind_address == ":9"
    assert parsed("--enable-leader-election").leader_elect is True


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("'--vault-password-file /pwd'", "--vault-password-file /pwd"),
        ("'-e greeting='hello''", "-e greeting='hello'"),
        ("-e 'a b'", "-e 'a b'"),
        ("'", "'"),
        ("''", ""),
    ],
)
def test_quotes_round_all_ansible_args_do_not_count(given: str, expected: str) -> None:
    """A Deployment's list of arguments knows no shell, but Operator SDK's documents write it that way."""
    assert parsed(f"--ansible-args={given}").ansible_args == expected


ECHOPERATOR = {
    "NAMESPACE": "tools",
    "NUM_WORKERS": "7",
    "HA_ENABLED": "true",
    "HA_NODE_ID": "node-1",
    "HA_LEASE_LOCK_NAME": "lock",
    "HA_LEASE_DURATION_SECONDS": "30",
    "HA_RENEW_DEADLINE_SECONDS": "20",
    "HA_RETRY_PERIOD_SECONDS": "5",
    "METRICS_PATH": "/m",
    "METRICS_PORT": "2113",
    "ENV": "local",
    "LOG_LEVEL": "warn",
}


def test_every_echoperator_variable_works_when_asked_for() -> None:
    found = parsed("--env-compat=echoperator", **ECHOPERATOR)
    assert found.max_concurrent_reconciles == 7
    assert found.leader_elect is True
    assert found.leader_identity == "node-1"
    assert (found.leader_election_id, found.leader_election_namespace) == ("lock", "tools")
    assert (found.lease_duration_s, found.renew_deadline_s, found.retry_period_s) == (30, 20, 5)
    assert (found.metrics_path, found.metrics_bind_address) == ("/m", ":2113")
    assert (found.log_format, found.log_level) == ("console", "warning")


def test_echoperator_variables_mean_nothing_elsewhere() -> None:
    """ENV, NAMESPACE and LOG_LEVEL are generic: other operators' images set them for their own ends."""
    assert parsed("--leader-election-identity=i", **ECHOPERATOR) == parsed("--leader-election-identity=i")


def test_echoperator_defaults_hold_under_its_compatibility() -> None:
    found = parsed("--env-compat=echoperator")
    assert (found.leader_election_id, found.leader_election_namespace) == ("echoperator", "default")
    assert found.metrics_bind_address == ":2112"
    assert parsed("--env-compat=echoperator", METRICS_ENABLED="false").metrics_bind_address == "0"


def test_flags_beat_echoperator_variables() -> None:
    found = parsed("--env-compat=echoperator", "--metrics-bind-address=:1", "--leader-elect=false", **ECHOPERATOR)
    assert found.metrics_bind_address == ":1"
    assert found.leader_elect is False


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        parsed("--reconcile-period=5", "--ansible-log-events=some", "--leader-elect=perhaps", "--proxy-port=x")
    text = str(caught.value)
    assert "--reconcile-period='5'" in text
    assert "--ansible-log-events='some': must be one of nothing, tasks, everything" in text
    assert "--leader-elect='perhaps': must be true or false" in text
    assert "--proxy-port='x': must be a whole number from 0" in text


def test_bad_variable_is_named_as_the_variable() -> None:
    with pytest.raises(SettingsError, match="NUM_WORKERS='many'"):
        parsed("--env-compat=echoperator", NUM_WORKERS="many")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 4),
        ({"MAX_CONCURRENT_RECONCILES_ECHO_MMONTES_IO": "2"}, 2),
        ({"WORKER_ECHO_MMONTES_IO": "3"}, 3),
        ({"MAX_CONCURRENT_RECONCILES_ECHO_MMONTES_IO": "2", "WORKER_ECHO_MMONTES_IO": "3"}, 2),
        ({"MAX_CONCURRENT_RECONCILES_ECHO_MMONTES_IO": "0"}, 4),
        ({"MAX_CONCURRENT_RECONCILES_ECHO_MMONTES_IO": "many"}, 4),
    ],
)
def test_workers_per_kind_come_from_its_variable(environment: dict[str, str], expected: int) -> None:
    assert workers_of("Echo", "mmontes.io", default=4, environment=environment) == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 2),
        ({"ANSIBLE_VERBOSITY_ECHO_MMONTES_IO": "0"}, 0),
        ({"ANSIBLE_VERBOSITY_ECHO_MMONTES_IO": "7"}, 7),
        ({"ANSIBLE_VERBOSITY_ECHO_MMONTES_IO": "8"}, 2),
        ({"ANSIBLE_VERBOSITY_ECHO_MMONTES_IO": "-1"}, 2),
        ({"ANSIBLE_VERBOSITY": "5"}, 2),
    ],
)
def test_verbosity_per_kind_comes_from_its_variable(environment: dict[str, str], expected: int) -> None:
    assert verbosity_of("Echo", "mmontes.io", default=2, environment=environment) == expected


def test_the_limit_over_all_kinds_and_the_rate_are_off_or_derived_unless_set() -> None:
    found = parsed()
    assert (found.max_concurrent_runs, found.kube_api_qps, found.kube_api_burst) == (0, 0.0, 0)
    found = parsed("--kube-api-qps=7.5", "--kube-api-burst=20", MAX_CONCURRENT_RUNS="3")
    assert (found.max_concurrent_runs, found.kube_api_qps, found.kube_api_burst) == (3, 7.5, 20)


def test_pauses_between_tries_are_client_gos_unless_set() -> None:
    """The Go runtime's cannot be changed: a role that fails is tried a dozen times within its first minute."""
    found = parsed()
    assert (found.retry_min_delay_s, found.retry_max_delay_s) == (0.005, 1000)
    found = parsed("--retry-min-delay=5s", "--retry-max-delay=5m")
    assert (found.retry_min_delay_s, found.retry_max_delay_s) == (5, 300)
    with pytest.raises(SettingsError, match="--retry-min-delay: 10 s is longer than --retry-max-delay, 5 s"):
        parsed("--retry-min-delay=10s", "--retry-max-delay=5s")


@pytest.mark.parametrize(("text", "expected"), [("512Mi", 512 << 20), ("2Gi", 2 << 30), ("1Ki", 1024), ("0", 0)])
def test_a_size_is_written_as_in_kubernetes(text: str, expected: int) -> None:
    assert parsed(f"--artifacts-limit={text}").artifacts_limit_bytes == expected
    with pytest.raises(SettingsError, match="--artifacts-limit='lots'"):
        parsed("--artifacts-limit=lots")


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e9", "many", ""])
def test_a_rate_is_a_plain_number(text: str) -> None:
    with pytest.raises(SettingsError, match="must be a number from 0"):
        parsed(f"--kube-api-qps={text}")


def test_table_describes_every_setting_once() -> None:
    """--help and the documentation are made from the table; a setting outside it would be a secret."""
    assert sorted(option.field for option in table.TABLE) == sorted(Settings.__dataclass_fields__)
    assert len(table.describe()) == len(table.TABLE)


def test_documentation_is_made_from_the_table() -> None:
    """A page written by hand would be wrong with the next flag."""
    from scripts.settings_table import render  # noqa: PLC0415 - only here

    page = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == render(), "run: python -m scripts.settings_table"
