"""How many CPUs a container may use, from the files of both versions of control groups."""

import os
from pathlib import Path

import pytest

from runner.wiring.cpus import available, limit_of


def files(root: Path, **contents: str) -> Path:
    for name, text in contents.items():
        path = root / name.replace("__", "/").replace("_max", ".max").replace("cfs", "cpu.cfs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "contents", "expected"),
    [
        pytest.param("0::/\n", {"cpu_max": "150000 100000\n"}, 1.5, id="v2, own root"),
        pytest.param("0::/\n", {"cpu_max": "max 100000\n"}, None, id="v2, no limit"),
        pytest.param("0::/\n", {}, None, id="v2, root of the machine"),
        pytest.param("0::/a/b\n", {"a__b__cpu_max": "max 100000", "a__cpu_max": "50000 100000"}, 0.5, id="v2, parent"),
        pytest.param(
            "0::/a/b\n", {"a__b__cpu_max": "300000 100000", "a__cpu_max": "200000 100000"}, 2.0, id="v2, least"
        ),
        pytest.param("0::/kubepods/x\n", {"cpu_max": "50000 100000"}, 0.5, id="v2, the host's path"),
        pytest.param("0::/../../x\n", {"cpu_max": "50000 100000"}, 0.5, id="v2, a path above ours"),
        pytest.param("0::/\n", {"cpu_max": "nonsense"}, None, id="v2, nonsense"),
        pytest.param("0::/\n", {"cpu_max": "100000 0"}, None, id="v2, no period"),
        pytest.param(
            "5:cpu,cpuacct:/docker/x\n0::/\n",
            {"cpu,cpuacct__cfs_quota_us": "250000\n", "cpu,cpuacct__cfs_period_us": "100000\n"},
            2.5,
            id="v1",
        ),
        pytest.param(
            "5:cpu,cpuacct:/\n4:memory:/\n",
            {"cpu,cpuacct__cfs_quota_us": "-1\n", "cpu,cpuacct__cfs_period_us": "100000\n"},
            None,
            id="v1, no limit",
        ),
        pytest.param(
            "5:cpuset:/\n",
            {"cpuset__cfs_quota_us": "100000\n", "cpuset__cfs_period_us": "100000\n"},
            None,
            id="v1, another controller",
        ),
        pytest.param("", {"cpu_max": "50000 100000"}, None, id="no control groups"),
    ],
)
def test_limit_is_the_least_on_the_way_to_the_root(tmp_path, groups, contents, expected):
    """A Pod's limit may stand at the container, the Pod or the node's slice, and any of them holds."""
    assert limit_of(groups, files(tmp_path, **contents)) == expected


def test_available_is_no_more_than_the_affinity_mask(tmp_path):
    """A limit of 64 CPUs does not make any; without a limit the mask alone counts."""
    ours = tmp_path / "cgroup"
    mask = len(os.sched_getaffinity(0))
    assert available(ours=ours, cgroups=tmp_path) == mask
    ours.write_text("0::/\n")
    files(tmp_path, cpu_max="6400000 100000")
    assert available(ours=ours, cgroups=tmp_path) == min(mask, 64)
    files(tmp_path, cpu_max="50000 100000")
    assert available(ours=ours, cgroups=tmp_path) == 0.5
