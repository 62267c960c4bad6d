"""Builds the servers of probes and metrics, and what guards them, from the settings.

Promises: what cannot be served as the settings say is an error before anything runs. Does not start them.
"""

import ipaddress
from collections.abc import Sequence
from pathlib import Path

from runner.clock import Clock
from runner.health import Probe
from runner.httpserver.reviews import Asking, Reviewer
from runner.httpserver.server import Address, AddressError, HttpServer, metrics_routes, parse_address, probe_routes
from runner.httpserver.tls import CertificateError, CertificateFiles, Certificates, OwnCertificate
from runner.metrics.registry import Metrics
from runner.settings import Settings
from runner.usermetrics.door import MetricsDoor, OpenDoor

__all__ = ["Server", "ServingError", "servers"]

_FOREIGN = "127.0.0.1:5050"
"""Where Operator SDK's copies of `osdk_metric` post to."""


class ServingError(Exception):
    """The settings of the servers do not fit together; the message names the setting and the remedy."""


Server = HttpServer | OpenDoor


def servers(
    settings: Settings, metrics: Metrics, probes: Sequence[Probe], door: MetricsDoor, client: Asking, *, clock: Clock
) -> list[Server]:
    """Probes, metrics and what roles post to, each where its flag says.

    Args:
        door: takes the metrics of roles.
        client: asks who may read the metrics. No fence may stop it: a standby has metrics too.

    Raises:
        ServingError: an address that is none, rights without encryption, or no usable certificate.
    """
    if settings.metrics_require_rbac and not settings.metrics_secure:
        raise ServingError(
            "--metrics-secure flag is required when --metrics-require-rbac is present: tokens must not travel in clear"
        )
    found: list[Server] = []
    flag = "--health-probe-bind-address"
    address = _address(settings.health_probe_bind_address, flag)
    if address is not None:
        found.append(HttpServer(address, probe_routes(probes), flag=flag))
    flag = "--metrics-bind-address"
    address = _address(settings.metrics_bind_address, flag)
    if address is not None:
        routes = metrics_routes(metrics.render, path=settings.metrics_path)
        reviewer = Reviewer(client, clock=clock, observe=metrics.reviewed) if settings.metrics_require_rbac else None
        certificates = _certificates(settings, metrics, clock) if settings.metrics_secure else None
        tls = certificates.context if certificates else None
        found.append(HttpServer(address, routes, flag=flag, admit=reviewer, tls=tls))
    foreign = _open_door(settings, door)
    return [*found, foreign] if foreign else found


def _certificates(settings: Settings, metrics: Metrics, clock: Clock) -> Certificates:
    if not settings.metrics_cert_path:
        return OwnCertificate(clock=clock)
    directory = Path(settings.metrics_cert_path)

    def read(well: bool) -> None:  # noqa: FBT001 - a plain answer
        metrics.certificate_read(well=well)

    try:
        return CertificateFiles(
            directory / settings.metrics_cert_name, directory / settings.metrics_cert_key, read=read
        )
    except CertificateError as error:
        raise ServingError(f"--metrics-cert-path: {error}") from error


def _open_door(settings: Settings, door: MetricsDoor) -> OpenDoor | None:
    """Where metrics of roles are taken without a token; `None`: nowhere."""
    flag = "--user-metrics-bind-address"
    text = settings.user_metrics_bind_address or (_FOREIGN if settings.prefer_project_util else "0")
    address = _address(text, flag)
    if address is None:
        return None
    if not _is_loopback(address.host):
        raise ServingError(f"{flag}: {text!r}: anybody may write there, so it has to be a loopback address: {_FOREIGN}")

    def fail(error: OSError) -> AddressError:
        return AddressError(f"{flag}: cannot listen on {address}: {error.strerror or error}")

    return OpenDoor(door, host=address.host, port=address.port, fail=fail)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(text: str, flag: str) -> Address | None:
    try:
        return parse_address(text, flag=flag)
    except AddressError as error:
        raise ServingError(str(error)) from error
