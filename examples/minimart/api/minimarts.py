"""Minimarts over HTTP, as an application manages them. The standard library is all it takes."""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

_IN_A_POD = "/var/run/secrets/kubernetes.io/serviceaccount"


class Minimarts:
    """Those of one namespace. Fails with `urllib.error.HTTPError`; its body says why."""

    def __init__(self, server, token, ca_file, namespace):
        self._base = f"{server}/apis/charts.samutup.com/v1alpha1/namespaces/{namespace}/minimarts"
        self._token = token
        self._tls = ssl.create_default_context(cafile=ca_file)

    def create(self, name, spec):
        kind = {"apiVersion": "charts.samutup.com/v1alpha1", "kind": "Minimart"}
        return json.load(self._send("POST", "", {**kind, "metadata": {"name": name}, "spec": spec}))

    def get(self, name):
        return json.load(self._send("GET", f"/{name}"))

    def patch(self, name, spec):
        return json.load(self._send("PATCH", f"/{name}", {"spec": spec}, "application/merge-patch+json"))

    def delete(self, name):
        return json.load(self._send("DELETE", f"/{name}"))

    def watch(self, seconds):
        """Yield `{"type": "ADDED" | "MODIFIED" | "DELETED", "object": ...}`, first for those that are there already."""
        with self._send("GET", f"?watch=true&timeoutSeconds={seconds}") as lines:
            yield from map(json.loads, lines)

    def _send(self, method, rest, body=None, content_type="application/json"):
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + rest, data, headers, method=method)
        return urllib.request.urlopen(request, context=self._tls)


def main(command, *arguments):
    mount = Path(os.environ.get("CREDENTIALS", _IN_A_POD))
    token, namespace = ((mount / name).read_text(encoding="utf-8").strip() for name in ("token", "namespace"))
    server = os.environ.get("SERVER", "https://kubernetes.default.svc")
    minimarts = Minimarts(server, token, mount / "ca.crt", namespace)
    given = [json.loads(argument) if argument.startswith("{") else argument for argument in arguments]
    try:
        answer = getattr(minimarts, command)(*given)
        for line in answer if command == "watch" else [answer]:
            print(json.dumps(line), flush=True)
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code}: {json.load(error)['message']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
