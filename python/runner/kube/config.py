"""Where the API server is and who we are: the one place that reads kubeconfig or the Pod's service account.

The `kubernetes` package does the reading (contexts, exec plugins, token files, their refresh); this module turns
the outcome into what our own client needs. The synchronous half of that package is used: its asyncio half costs
11 MB more memory and 0.14 s more at start for the same answer (docs/decisions/0003-kubernetes-client.md).
"""

import asyncio
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client as sdk
from kubernetes import config as sdk_config
from kubernetes.config.config_exception import ConfigException

from runner.clock import Clock

__all__ = ["ConfigError", "Connection", "Credentials", "load"]

_SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_REFRESH_AFTER_S = 60.0


class ConfigError(Exception):
    """No usable cluster configuration; the message names the file or the variable to set."""


class Credentials:
    """The Authorization header, kept fresh. Client certificates are in the TLS context and need nothing here."""

    def __init__(self, configuration: Any, *, clock: Clock) -> None:
        self._configuration = configuration
        self._clock = clock
        self._headers: dict[str, str] | None = None
        self._read_at = 0.0
        self._lock = asyncio.Lock()

    async def headers(self, *, renew: bool = False) -> dict[str, str]:
        """Return the headers to send; `renew` after a 401 asks the source again at once.

        Reading may run an exec plugin, so it happens in a thread and at most once a minute.
        """
        if self._headers is None or renew or self._clock.monotonic() - self._read_at > _REFRESH_AFTER_S:
            async with self._lock:
                self._headers = await asyncio.to_thread(self._read)
                self._read_at = self._clock.monotonic()
        return self._headers

    def _read(self) -> dict[str, str]:
        # get_api_key_with_prefix runs the package's own refresh hook (token file, exec plugin, OIDC) first.
        bearer = self._configuration.get_api_key_with_prefix("BearerToken")
        if not bearer:
            return {}
        # With its scheme in front, in whatever case: the package keeps Basic credentials in the same place.
        scheme, _, token = str(bearer).strip().rpartition(" ")
        return {"Authorization": f"{scheme.capitalize() or 'Bearer'} {token}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Everything a client needs to talk to one API server."""

    server: str
    """Base URL without a trailing slash."""
    tls: ssl.SSLContext | None
    """`None` for a plain http server."""
    credentials: Credentials
    proxy: str | None
    namespace: str
    """The Pod's own namespace, or the kubeconfig context's; `default` if neither says."""
    context: str
    """Which kubeconfig context was read; `in-cluster` in a Pod."""


def load(*, kubeconfig: str = "", context: str = "", clock: Clock) -> Connection:
    """Find the configuration: an explicit file, `KUBECONFIG`, the Pod's service account, or `~/.kube/config`.

    Raises:
        ConfigError: none of them is usable; the message says which were tried.
    """
    configuration = sdk.Configuration()
    path = kubeconfig or os.environ.get("KUBECONFIG", "")
    in_cluster = not path and "KUBERNETES_SERVICE_HOST" in os.environ
    try:
        if in_cluster:
            sdk_config.load_incluster_config(client_configuration=configuration)
            namespace, context = _pod_namespace(), "in-cluster"
        else:
            file = path or str(Path("~/.kube/config").expanduser())
            sdk_config.load_kube_config(config_file=file, context=context or None, client_configuration=configuration)
            namespace, context = _context_namespace(file, context)
        tls = _tls(configuration)
    except (ConfigException, OSError, ValueError, yaml.YAMLError) as error:
        tried = "the Pod's service account" if in_cluster else (path or "~/.kube/config")
        raise ConfigError(
            f"no cluster to talk to: {tried}: {error}; "
            "set KUBECONFIG or --kubeconfig, or run in a Pod with a service account"
        ) from error
    return Connection(
        server=str(configuration.host).rstrip("/"),
        tls=tls,
        credentials=Credentials(configuration, clock=clock),
        proxy=configuration.proxy or None,
        namespace=namespace,
        context=context,
    )


def _pod_namespace(read: Callable[[], str] = _SERVICE_ACCOUNT_NAMESPACE.read_text) -> str:
    try:
        return read().strip() or "default"
    except OSError:
        return "default"


def _context_namespace(file: str, wanted: str) -> tuple[str, str]:
    contexts, active = sdk_config.list_kube_config_contexts(config_file=file)
    for entry in contexts:
        if entry["name"] == (wanted or active["name"]):
            return str(entry["context"].get("namespace") or "default"), str(entry["name"])
    return "default", wanted


def _tls(configuration: Any) -> ssl.SSLContext | None:
    if not str(configuration.host).startswith("https"):
        return None
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file or None)
    return tls
