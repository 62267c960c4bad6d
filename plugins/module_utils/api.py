"""One door to the API server for the modules here: raw JSON over the `kubernetes` package's client.

Promises: configuration as `kubernetes.core` takes it (options, then `K8S_AUTH_*`, then the Pod's service account,
then a kubeconfig), no discovery cache on disk, every refusal as one `ApiError`. Does not retry.
"""

import json
import os
import traceback
import urllib.parse

from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.parsing.convert_bool import boolean

__all__ = ["AUTH_ARG_SPEC", "NAME_ARG_SPEC", "Api", "ApiError", "ConnectionFailed", "serve"]

AUTH_ARG_SPEC = {
    "kubeconfig": {"type": "path"},
    "context": {"type": "str"},
    "host": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "aliases": ["verify_ssl"]},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"]},
    "client_cert": {"type": "path", "aliases": ["cert_file"]},
    "client_key": {"type": "path", "aliases": ["key_file"]},
    "proxy": {"type": "str"},
    "persist_config": {"type": "bool"},
}
NAME_ARG_SPEC = {
    "kind": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str"},
    "api_version": {"type": "str", "default": "v1", "aliases": ["api", "version"]},
}

# The option's name here, and the attribute of the client's Configuration that it sets.
_ATTRIBUTES = {
    "validate_certs": "verify_ssl",
    "ca_cert": "ssl_ca_cert",
    "client_cert": "cert_file",
    "client_key": "key_file",
    "proxy": "proxy",
    "host": "host",
}
_MERGE_PATCH = "application/merge-patch+json"


class ConnectionFailed(Exception):  # noqa: N818 - what happened, as the caller reports it
    """There is no usable configuration, or nothing answered."""


class ApiError(Exception):
    """The API server refused; `status` is the HTTP status, `reason` its phrase, `body` what the server said."""

    def __init__(self, status, reason, body):
        super().__init__(status, reason, body)
        self.status = status
        self.reason = reason
        self.body = body

    def __str__(self):
        try:
            said = json.loads(self.body)["message"]
        except (ValueError, KeyError, TypeError):
            said = self.body
        return f"{self.status} {self.reason}: {str(said)[:1000]}"

    def as_dict(self):
        return {"status": self.status, "reason": self.reason, "body": self.body}


class Api:
    """Requests by path; bodies are dicts."""

    def __init__(self, configuration, pool):
        """For `of`; `pool` is a urllib3 pool manager that was made for `configuration`."""
        self._configuration = configuration
        self._pool = pool

    @classmethod
    def of(cls, params):
        """Connect as a module's parameters and the environment say.

        Raises:
            ConnectionFailed: No configuration is usable.
            ImportError: The `kubernetes` package is missing.
        """
        from kubernetes.client import rest  # noqa: PLC0415 - a missing package is the module's to report

        configuration = _configuration(_settings(params))
        # The client's own pool: it knows about CAs, client certificates and proxies. Its call methods change from
        # one release to the next.
        return cls(configuration, rest.RESTClientObject(configuration).pool_manager)

    def find(self, api_version, kind):
        """Return the API resource called `kind` (also plural, singular or short name), or `None`.

        The result is the server's own entry plus `subresources`, a set of names.
        """
        prefix = _prefix(api_version)
        try:
            served = self.request("GET", prefix).get("resources") or []
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        for attribute in ("kind", "name", "singularName", "shortNames"):
            for entry in served:
                named = entry.get(attribute)
                if "/" not in entry["name"] and (kind in named if isinstance(named, list) else kind == named):
                    parts = [other["name"].partition("/") for other in served]
                    return dict(entry, prefix=prefix, subresources={s for name, _, s in parts if name == entry["name"]})
        return None

    @staticmethod
    def path(resource, name, namespace=None, subresource=None):
        parts = ["namespaces", namespace] if resource.get("namespaced") and namespace else []
        parts += [resource["name"], name] + ([subresource] if subresource else [])
        return "/".join([resource["prefix"], *(urllib.parse.quote(part, safe="") for part in parts)])

    def get(self, path):
        return self.request("GET", path)

    def put(self, path, body):
        return self.request("PUT", path, body)

    def patch(self, path, body):
        """Merge patch: an absent key is left, `None` removes, a list is replaced whole."""
        return self.request("PATCH", path, body, _MERGE_PATCH)

    def request(self, method, path, body=None, content_type="application/json"):
        """Send one request and return the object in the answer.

        Raises:
            ApiError: The answer is no success.
            ConnectionFailed: There is no answer.
        """
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - as in `of`

        headers = {"Accept": "application/json", "User-Agent": "operator_sdk.util"}
        headers.update({auth["key"]: auth["value"] for auth in self._configuration.auth_settings().values()})
        if body is not None:
            headers["Content-Type"] = content_type
            body = json.dumps(body)
        try:
            answer = self._pool.request(method, self._configuration.host + path, body=body, headers=headers)
        except HTTPError as error:
            raise ConnectionFailed(f"no answer from the API server: {error}") from error
        text = answer.data.decode("utf-8", "replace")
        if not 200 <= answer.status <= 299:
            raise ApiError(answer.status, answer.reason, text)
        return json.loads(text)


def serve(run, module, refused):
    """Have `run` do a module's work and end it, and fail the module where it cannot.

    `refused` is said in front of the server's own words.
    """
    try:
        run(module)
    except ImportError:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=traceback.format_exc())
    except ConnectionFailed as error:
        module.fail_json(msg=str(error))
    except ApiError as error:
        module.fail_json(msg=f"{refused}: {error}", error=error.as_dict())


def _prefix(api_version):
    return "/api/" + api_version if "/" not in api_version else "/apis/" + api_version


def _settings(params):
    """Each option, else its environment variable under either of its names."""
    settings = {}
    for option, spec in AUTH_ARG_SPEC.items():
        value = params.get(option)
        if value is None:
            names = [f"K8S_AUTH_{name.upper()}" for name in (option, _ATTRIBUTES.get(option, option))]
            value = next((os.environ[name] for name in names if os.environ.get(name)), None)
            if value is not None and spec["type"] == "bool":
                value = boolean(value, strict=False)
        if value is not None:
            settings[option] = value
    return settings


def _configuration(settings):
    from kubernetes import client, config  # noqa: PLC0415 - as in `Api.of`
    from urllib3.util import make_headers  # noqa: PLC0415 - as in `Api.of`

    def given(*options):
        return all(settings.get(option) for option in options)

    configuration = client.Configuration()
    enough = given("host") and (given("api_key") or given("username", "password") or given("client_cert", "client_key"))
    if not enough:
        try:
            _load(config, settings, configuration, from_file=given("kubeconfig") or given("context"))
        except (config.ConfigException, OSError) as error:
            raise ConnectionFailed(f"no usable Kubernetes configuration: {error}") from error
    for option, attribute in _ATTRIBUTES.items():
        if option in settings:
            setattr(configuration, attribute, settings[option])
    configuration.host = configuration.host.rstrip("/")
    if given("api_key"):
        configuration.api_key = {"authorization": "Bearer " + settings["api_key"]}
    elif given("username", "password"):
        basic = make_headers(basic_auth="{username}:{password}".format(**settings))
        configuration.api_key = {"authorization": basic["authorization"]}
    return configuration


def _load(config, settings, configuration, from_file):
    if not from_file:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            pass
        else:
            return
    config.load_kube_config(
        config_file=settings.get("kubeconfig"),
        context=settings.get("context"),
        client_configuration=configuration,
        persist_config=settings.get("persist_config", True),
    )
