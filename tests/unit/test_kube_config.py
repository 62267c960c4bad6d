"""Where the API server is and who we are, from files as they are found in the field."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from fakes import FakeClock
from runner.kube import config
from runner.kube.config import ConfigError, Credentials


def kubeconfig(tmp_path: Path, user: dict[str, Any], **cluster: Any) -> str:
    path = tmp_path / "kubeconfig"
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1/", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(body))
    return str(path)


async def test_token_is_sent_as_bearer(tmp_path: Path) -> None:
    connection = config.load(kubeconfig=kubeconfig(tmp_path, {"token": "secret"}), clock=FakeClock())
    assert (connection.server, connection.namespace, connection.context) == ("http://127.0.0.1:1", "team", "x")
    assert connection.tls is None
    assert await connection.credentials.headers() == {"Authorization": "Bearer secret"}


async def test_password_is_sent_as_basic(tmp_path: Path) -> None:
    user = {"username": "u", "password": "p"}
    connection = config.load(kubeconfig=kubeconfig(tmp_path, user), clock=FakeClock())
    expected = base64.b64encode(b"u:p").decode()
    assert await connection.credentials.headers() == {"Authorization": f"Basic {expected}"}


async def test_nothing_is_sent_where_there_is_nothing(tmp_path: Path) -> None:
    connection = config.load(kubeconfig=kubeconfig(tmp_path, {}), clock=FakeClock())
    assert await connection.credentials.headers() == {}


class Rotating:
    """A configuration whose token is another one at each reading."""

    def __init__(self) -> None:
        self.reads = 0

    def get_api_key_with_prefix(self, _name: str) -> str:
        self.reads += 1
        return f"bearer token-{self.reads}"


async def test_token_is_read_again_after_a_minute_or_a_refusal() -> None:
    """A Pod's token lives an hour; the file changes under us."""
    clock, source = FakeClock(), Rotating()
    credentials = Credentials(source, clock=clock)
    assert await credentials.headers() == {"Authorization": "Bearer token-1"}
    assert await credentials.headers() == {"Authorization": "Bearer token-1"}
    assert await credentials.headers(renew=True) == {"Authorization": "Bearer token-2"}
    await clock.advance(61)
    assert await credentials.headers() == {"Authorization": "Bearer token-3"}


@pytest.mark.parametrize("text", ["", "{}", "nonsense: ["])
def test_unusable_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(ConfigError, match="set KUBECONFIG or --kubeconfig"):
        config.load(kubeconfig=str(path), clock=FakeClock())


def test_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        config.load(kubeconfig=str(tmp_path / "nowhere"), clock=FakeClock())


def test_certificate_that_is_none_is_one_clear_error(tmp_path: Path) -> None:
    broken = base64.b64encode(b"no certificate").decode()
    path = kubeconfig(tmp_path, {}, server="https://127.0.0.1:1", **{"certificate-authority-data": broken})
    with pytest.raises(ConfigError):
        config.load(kubeconfig=path, clock=FakeClock())
