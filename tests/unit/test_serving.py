"""Which servers the settings ask for, and what cannot be asked for."""

import pytest

from certificates import write_pair
from fakes import FakeClock
from runner import settings
from runner.metrics.registry import Metrics
from runner.usermetrics.door import MetricsDoor, OpenDoor
from runner.wiring.serving import ServingError, servers


class NoClient:
    """Nothing is asked before somebody comes."""


def built(**given):
    clock = FakeClock()
    metrics = Metrics(version="1", commit="c", clock=clock)
    base = {"metrics_bind_address": "127.0.0.1:0", "health_probe_bind_address": "0"}
    resolved = settings.resolve({**base, **given}, {})
    return servers(resolved, metrics, (), MetricsDoor(metrics.user), NoClient(), clock=clock)


@pytest.mark.parametrize(
    ("given", "guarded", "encrypted"),
    [
        ({}, False, False),
        ({"metrics_secure": "true"}, False, True),
        ({"metrics_secure": "true", "metrics_require_rbac": "true"}, True, True),
    ],
)
def test_metrics_are_as_safe_as_asked_for(given, guarded, encrypted):
    (server,) = built(**given)
    assert (server._admit is not None, server._tls is not None) == (guarded, encrypted)


def test_probes_are_never_guarded():
    """The kubelet has no token."""
    given = {"health_probe_bind_address": "127.0.0.1:0", "metrics_bind_address": "0"}
    (server,) = built(**given, metrics_secure="true", metrics_require_rbac="true")
    assert (server._admit, server._tls) == (None, None)


def test_rights_without_encryption_are_refused():
    """A token in the clear is everybody's."""
    with pytest.raises(ServingError, match="--metrics-secure flag is required when --metrics-require-rbac is present"):
        built(metrics_require_rbac="true")


def test_named_certificate_is_loaded_at_once(tmp_path):
    write_pair(tmp_path, "one")
    (server,) = built(metrics_secure="true", metrics_cert_path=str(tmp_path))
    assert server._tls() is server._tls()
    with pytest.raises(ServingError, match=f"--metrics-cert-path: {tmp_path}/other.crt, .*: No such file"):
        built(metrics_secure="true", metrics_cert_path=str(tmp_path), metrics_cert_name="other.crt")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"prefer_project_util": "true"}, [("127.0.0.1", 5050)]),
        ({"prefer_project_util": "true", "user_metrics_bind_address": "0"}, []),
        ({"user_metrics_bind_address": "[::1]:5051"}, [("::1", 5051)]),
        ({"user_metrics_bind_address": "localhost:5050"}, [("localhost", 5050)]),
    ],
)
def test_open_address_is_for_copies_that_know_no_token(given, expected):
    """Operator SDK always listens there; anybody in the Pod may then write."""
    found = [each for each in built(**given) if isinstance(each, OpenDoor)]
    assert [(door._host, door._port) for door in found] == expected


@pytest.mark.parametrize("address", [":5050", "0.0.0.0:5050", "10.0.0.1:5050", "example.com:5050"])
def test_open_address_is_on_loopback_only(address):
    with pytest.raises(ServingError, match=r"--user-metrics-bind-address: .*loopback"):
        built(user_metrics_bind_address=address)


@pytest.mark.parametrize("field", ["metrics_bind_address", "health_probe_bind_address", "user_metrics_bind_address"])
def test_address_that_is_none_names_its_flag(field):
    with pytest.raises(ServingError, match=f"--{field.replace('_', '-')}: 'x' is no address"):
        built(**{field: "x"})
