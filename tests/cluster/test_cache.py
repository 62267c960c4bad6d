"""A binary is found by what it was made from: a stale one must never be picked up."""

import threading
from pathlib import Path

import pytest

from cluster import cache, versions

INPUTS = {"go.mod": b"module m\n", "go.sum": b"sum\n"}
FLAGS = ("-trimpath", "-ldflags", "-s")
ENVIRONMENT = {"CGO_ENABLED": "0", "GOARCH": "amd64"}
KEY = cache.key(INPUTS, FLAGS, ENVIRONMENT)


def test_key_is_sixteen_hex_digits_and_stable() -> None:
    assert len(KEY) == 16
    assert int(KEY, 16) >= 0
    assert cache.key(dict(reversed(INPUTS.items())), FLAGS, ENVIRONMENT) == KEY


@pytest.mark.parametrize(
    ("inputs", "flags", "environment"),
    [
        ({**INPUTS, "go.mod": b"module other\n"}, FLAGS, ENVIRONMENT),
        ({**INPUTS, "go.sum": b"other\n"}, FLAGS, ENVIRONMENT),
        ({"go.mod": b"module m\n"}, FLAGS, ENVIRONMENT),
        ({**INPUTS, "main.go": b""}, FLAGS, ENVIRONMENT),
        (INPUTS, (*FLAGS, "-race"), ENVIRONMENT),
        (INPUTS, FLAGS, {**ENVIRONMENT, "GOARCH": "arm64"}),
        # The same bytes, cut elsewhere.
        ({"go.mod": b"module m\nsum", "go.sum": b"\n"}, FLAGS, ENVIRONMENT),
    ],
)
def test_key_changes_with_each_input(
    inputs: dict[str, bytes], flags: tuple[str, ...], environment: dict[str, str]
) -> None:
    assert cache.key(inputs, flags, environment) != KEY


def test_key_of_a_module_follows_its_sources(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module m\n")
    module = versions.Module(directory=tmp_path, version=versions.Version(1, 0), ldflags="-s")
    before = cache.module_key(module)
    (tmp_path / "main.go").write_text("package main\n")
    assert cache.module_key(module) != before


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"ECHOPERATOR_CACHE": "/own", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/x"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/x"}, "/xdg/echoperator"),
        ({"HOME": "/home/x"}, "/home/x/.cache/echoperator"),
    ],
)
def test_root_is_the_users_cache(environ: dict[str, str], expected: str) -> None:
    assert cache.root(environ) == Path(expected)


def test_lock_admits_one_at_a_time(tmp_path: Path) -> None:
    inside = threading.Semaphore(1)
    overlaps = []

    def work() -> None:
        with cache.locked(tmp_path / "lock"):
            if not inside.acquire(blocking=False):
                overlaps.append(True)
                return
            threading.Event().wait(0.01)
            inside.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not overlaps
