"""What the engine asks of runc is cut down to what this root has, and to nothing less."""

from pathlib import Path
from typing import Any

import pytest

from cluster.kind import runtime

_LACKS_RESOURCE = "Name:\tx\nCapPrm:\t000001fffeffffff\n"
_HAS_ALL = "CapPrm:\t000001ffffffffff\n"
_LIMITS = {"RLIMIT_NOFILE": 4096, "RLIMIT_NPROC": -1}


def _process() -> dict[str, Any]:
    return {
        "capabilities": {
            "bounding": ["CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"],
            "effective": ["CAP_SYS_RESOURCE", "CAP_KILL"],
            "ambient": None,
        },
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "hard": 1048576, "soft": 65536},
            {"type": "RLIMIT_NPROC", "hard": 9, "soft": 8},
        ],
        "oomScoreAdj": -500,
    }


def test_capabilities_are_read_by_their_number() -> None:
    held = runtime.capabilities(_LACKS_RESOURCE)
    assert "CAP_SYS_RESOURCE" not in held
    assert {"CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"} <= held
    assert runtime.capabilities("CapPrm:\t0000000000000001\n") == {"CAP_CHOWN"}
    assert len(runtime.capabilities(_HAS_ALL)) == 41


def test_what_is_lacking_is_not_asked_for() -> None:
    process = _process()
    runtime.fit(process, runtime.capabilities(_LACKS_RESOURCE), _LIMITS, oom_score=-100)
    assert process == {
        "capabilities": {"bounding": ["CAP_SYS_ADMIN"], "effective": ["CAP_KILL"], "ambient": []},
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 4096},
            {"type": "RLIMIT_NPROC", "hard": 9, "soft": 8},
        ],
        "oomScoreAdj": -100,
    }


def test_a_root_that_lacks_nothing_gets_what_the_engine_asked_for() -> None:
    process = _process()
    runtime.fit(process, runtime.capabilities(_HAS_ALL), _LIMITS, oom_score=-100)
    assert process == {**_process(), "capabilities": {**_process()["capabilities"], "ambient": []}}


def test_a_process_without_any_of_it_stays_as_it_is() -> None:
    """What `docker exec` may send."""
    process: dict[str, Any] = {"args": ["true"]}
    runtime.fit(process, set(), {}, oom_score=0)
    assert process == {"args": ["true"]}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--root", "/r", "create", "--bundle", "/b", "--pid-file", "/b/pid", "id"], (Path("/b/config.json"), True)),
        (["run", "-b", "/b", "id"], (Path("/b/config.json"), True)),
        (["exec", "--process", "/p", "--detach", "id"], (Path("/p"), False)),
        (["exec", "id", "true"], None),
        (["--root", "/r", "delete", "id"], None),
        (["kill", "--all", "id", "9"], None),
        (["state", "id"], None),
    ],
)
def test_only_calls_that_start_a_process_are_looked_at(
    arguments: list[str], expected: tuple[Path, bool] | None
) -> None:
    assert runtime.target(arguments) == expected
