"""What a report says it was measured on."""

from pathlib import Path

import pytest

from bench import machine


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking one would build it."""
    monkeypatch.setattr(machine, "_server_version", lambda: "v1")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ('[ "$*" = version ] && echo "operator v7, built today" && echo more', "operator v7, built today"),
        ("exit 0", "unknown"),
        ("echo usage; exit 2", "unknown"),
    ],
)
def test_a_peer_is_named_by_its_own_words(script: str, told: str, tmp_path: Path) -> None:
    peer = tmp_path / "peer"
    peer.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    peer.chmod(0o755)
    assert machine.versions(peer)["peer"] == told


def test_no_peer_is_named_where_none_took_part() -> None:
    assert "peer" not in machine.versions()
