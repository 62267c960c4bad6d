"""The workflows of .github say what the rest of the project says. Their own rules are actionlint's, zizmor's and the schema's."""

import re
from importlib import metadata
from typing import Any

import pytest
import yaml

from cluster import versions
from harness import ROOT

WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / ".github" / "workflows").iterdir())
}
TEXTS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / ".github").rglob("*.yml"))]
JOBS = [(f"{name}/{job}", content) for name, workflow in WORKFLOWS.items() for job, content in workflow["jobs"].items()]


def steps() -> list[dict[str, Any]]:
    return [step for _, job in JOBS for step in job.get("steps", [])]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_nothing_is_allowed_but_what_a_job_asks_for(workflow: str) -> None:
    assert WORKFLOWS[workflow]["permissions"] == {}
    assert all("permissions" in job for job in WORKFLOWS[workflow]["jobs"].values())


def test_only_who_publishes_may_write() -> None:
    writing = {
        name: sorted(scope for scope, access in job["permissions"].items() if access == "write")
        for name, job in JOBS
        if "write" in job["permissions"].values()
    }
    assert writing == {
        "lock/lock": ["contents", "pull-requests"],
        "release/image": ["id-token", "packages"],
        "release/publish": ["id-token", "packages"],
        "release/release": ["contents"],
    }


def test_no_job_runs_for_hours() -> None:
    assert [name for name, job in JOBS if "uses" not in job and job.get("timeout-minutes", 360) > 90] == []


def test_actions_are_pinned_by_commit_and_say_their_version() -> None:
    """The comment is what dependabot reads and people understand."""
    used = [line.strip() for text in TEXTS for line in text.splitlines() if re.search(r"\buses: (?!\./)", line)]
    assert used
    pinned = re.compile(r"(- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+")
    assert [line for line in used if not pinned.fullmatch(line)] == []


def test_an_action_has_one_pin_everywhere() -> None:
    used = {step["uses"] for step in steps() if "uses" in step}
    assert len(used) == len({name.split("@")[0] for name in used})


def test_no_secret_is_named() -> None:
    """The workflow's own token does for everything, and signatures need no key."""
    assert [line for text in TEXTS for line in text.splitlines() if "secrets" in line] == []


def test_targets_that_are_called_are_in_the_makefile() -> None:
    called = {name for step in steps() for name in re.findall(r"\bmake (?:--\S+ )*([a-z-]+)", step.get("run", ""))}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert called >= {"bundle", "chart", "check", "test"}
    assert called <= targets


@pytest.mark.parametrize("job", ["lint/check", "test/test"])
def test_every_python_is_tried_that_ansible_core_runs_on(job: str) -> None:
    said = metadata.metadata("ansible-core").get_all("Classifier") or []
    supported = [name.rpartition(" ")[2] for name in said if re.search(r":: 3\.\d+$", name)]
    assert dict(JOBS)[job]["strategy"]["matrix"]["python"] == supported


def test_every_kubernetes_is_tried_that_is_supported() -> None:
    """From the oldest that the chart and the bundle install on, without a gap, past the one that the suite runs on."""
    images = dict(JOBS)["kind/molecule"]["strategy"]["matrix"]["node"]
    assert all(re.fullmatch(r"kindest/node:v1\.\d+\.\d+@sha256:[0-9a-f]{64}", image) for image in images)
    minors = sorted(int(image.split(".")[1]) for image in images)
    assert minors == list(range(minors[0], minors[0] + len(images)))
    assert versions.KUBERNETES.version.minor in minors
    chart = yaml.safe_load((ROOT / "charts" / "echoperator" / "Chart.yaml").read_text(encoding="utf-8"))
    base = ROOT / "config" / "manifests" / "bases" / "echoperator.clusterserviceversion.yaml"
    oldest = f"1.{minors[0]}.0"
    assert chart["kubeVersion"] == f">={oldest}-0"
    assert yaml.safe_load(base.read_text(encoding="utf-8"))["spec"]["minKubeVersion"] == oldest


def test_image_is_built_for_what_the_bundle_says_it_runs_on() -> None:
    base = ROOT / "config" / "manifests" / "bases" / "echoperator.clusterserviceversion.yaml"
    labels = yaml.safe_load(base.read_text(encoding="utf-8"))["metadata"]["labels"]
    platforms = [f"linux/{name.rpartition('.')[2]}" for name in labels if ".io/arch." in name]
    assert dict(JOBS)["image/build"]["strategy"]["matrix"]["platform"] == platforms
    released = [line for text in TEXTS for line in re.findall(r"--platform (linux/\S+)", text)]
    assert set(released) == {",".join(platforms)}
