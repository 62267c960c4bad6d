"""The CRDs as the API server takes them: the Go echoperator's objects stay valid, limits are where they are said to be."""

import asyncio
import subprocess
from pathlib import Path

import pytest
import yaml

from harness import ECHO, SCHEDULED_ECHO, echo, scheduled_echo
from runner.kube.errors import ApiError
from runner.objects import GroupVersionKind

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parent.parent.parent
BASES = ROOT / "config" / "crd" / "bases"
SAMPLES = ROOT / "config" / "samples"
LIMIT = 131_071
CONDITION = {
    "type": "Running",
    "status": "True",
    "reason": "",
    "message": "Awaiting next reconciliation",
    "observedGeneration": 3,
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "ansibleResult": {"ok": 3, "changed": 1, "skipped": 0, "failures": 0, "completion": "2026-01-01T00:00:00.1+00:00"},
}


@pytest.mark.parametrize(
    ("file", "names", "required", "optional"),
    [
        (
            "mmontes.io_echos.yaml",
            {"kind": "Echo", "listKind": "EchoList", "plural": "echos", "singular": "echo", "shortNames": ["ec"]},
            {"message": "string"},
            {},
        ),
        (
            "mmontes.io_scheduledechos.yaml",
            {
                "kind": "ScheduledEcho",
                "listKind": "ScheduledEchoList",
                "plural": "scheduledechos",
                "singular": "scheduledecho",
                "shortNames": ["sec"],
            },
            {"message": "string", "schedule": "string"},
            {"suspend": "boolean", "timeZone": "string"},
        ),
    ],
)
def test_names_and_fields_are_echoperators(file, names, required, optional):
    """Whatever works with echoperator's CRD works with this one: same names, same required fields, additions only."""
    crd = yaml.safe_load((BASES / file).read_text(encoding="utf-8"))
    (version,) = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]

    assert crd["metadata"]["name"] == f"{names['plural']}.mmontes.io"
    assert (crd["spec"]["group"], crd["spec"]["scope"], crd["spec"]["names"]) == ("mmontes.io", "Namespaced", names)
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert "required" not in schema, "an object without spec is accepted"
    assert spec["required"] == list(required)
    assert {name: field["type"] for name, field in spec["properties"].items()} == {**required, **optional}


@pytest.mark.parametrize(
    "message",
    [
        "",
        "a" * LIMIT,
        "$" * 65_535 + "x",
        "é" * 65_535 + "x",
        "😀" * 32_767 + "xyz",
        "line\nfeed \x01 \x7f \u2028",
    ],
    ids=["empty", "ascii", "dollars", "two-byte", "four-byte", "control"],
)
async def test_message_that_fits_one_argument_is_accepted(api, namespace, message):
    """The longest of each sort; a limit that is too low refuses objects that echoperator takes."""
    created = await api.create(echo("fits", namespace, message))
    assert created["spec"]["message"] == message
    assert len(message.replace("$", "$$").encode()) <= LIMIT


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("a" * (LIMIT + 1), "Too long"),
        ("$" * 65_536, "must fit 131071 bytes"),
        ("é" * 65_536, "must fit 131071 bytes"),
        ("😀" * 32_767 + "xyz$", "must fit 131071 bytes"),
        ("a\0b", "must not contain a NUL character"),
    ],
    ids=["ascii", "dollars", "two-byte", "four-byte-and-dollar", "nul"],
)
@pytest.mark.parametrize("build", [echo, scheduled_echo])
async def test_message_that_no_program_could_take_is_refused(api, namespace, build, message, why):
    """One more byte than the longest, and the Job's container could not start; the author should hear it at once."""
    with pytest.raises(ApiError) as caught:
        await api.create(build("too-much", namespace, message))
    assert (caught.value.status, why in str(caught.value)) == (422, True)


async def test_objects_without_optional_parts_are_accepted(api, namespace):
    """What echoperator's users have: no spec at all, any text as a schedule."""
    assert "spec" not in await api.create(echo("bare", namespace, None))
    assert "spec" not in await api.create({**scheduled_echo("bare", namespace), "spec": None})
    odd = await api.create(scheduled_echo("odd", namespace, schedule="whenever"))
    assert odd["spec"] == {"message": "hello", "schedule": "whenever"}
    with pytest.raises(ApiError):
        await api.create({**echo("empty-spec", namespace), "spec": {}})


@pytest.mark.parametrize(
    ("gvk", "build", "own"),
    [
        (
            ECHO,
            echo,
            {"job": {"name": "n", "uid": "u", "ownerUID": "o", "generation": 3, "state": "Complete"}},
        ),
        (SCHEDULED_ECHO, scheduled_echo, {"cronJob": {"name": "n", "uid": "u", "suspend": True, "timeZone": "UTC"}}),
    ],
)
async def test_status_keeps_all_that_is_written(api, namespace, gvk, build, own):
    """A field that the schema does not know would be pruned, and then written again at each reconcile."""
    await api.create(build("full", namespace))
    ready = {**CONDITION, "type": "Ready", "reason": "JobComplete"}
    status = {"observedGeneration": 3, "conditions": [CONDITION, ready], **own}

    written = await api.patch(gvk, namespace, "full", {"status": status}, subresource="status")

    assert written["status"] == status
    assert written["metadata"]["generation"] == 1, "writing the status is no change of the spec"


@pytest.mark.parametrize(
    ("short", "gvk", "build", "own", "head", "row"),
    [
        (
            "ec",
            ECHO,
            echo,
            {"job": {"name": "the-job"}},
            "NAME MESSAGE STATE JOB AGE",
            "shown hello JobComplete the-job",
        ),
        (
            "sec",
            SCHEDULED_ECHO,
            scheduled_echo,
            {"cronJob": {"name": "the-cron-job"}},
            "NAME MESSAGE SCHEDULE STATE CRONJOB AGE",
            "shown hello 0 3 * * * JobComplete the-cron-job",
        ),
    ],
)
async def test_kubectl_get_shows_the_columns(control_plane, api, namespace, short, gvk, build, own, head, row):
    """By the short name, as echoperator's users type it."""
    await api.create(build("shown", namespace))
    ready = {**CONDITION, "type": "Ready", "reason": "JobComplete"}
    await api.patch(
        gvk, namespace, "shown", {"status": {"conditions": [CONDITION, ready], **own}}, subresource="status"
    )

    command = [control_plane.kubectl, f"--kubeconfig={control_plane.kubeconfig}", "-n", namespace, "get", short]
    shown = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)

    first, second = (" ".join(line.split()) for line in shown.stdout.splitlines())
    assert (first, second.rpartition(" ")[0]) == (head, row)


async def test_samples_are_accepted_as_they_are(api):
    """The examples of echoperator, its namespace and its non-ASCII text included."""
    for name, kind in {"echo": ECHO, "scheduledecho": SCHEDULED_ECHO}.items():
        sample = yaml.safe_load((SAMPLES / f"mmontes_v1alpha1_{name}.yaml").read_text(encoding="utf-8"))
        created = await api.apply(sample)
        assert (GroupVersionKind.of(created), created["spec"]["message"]) == (kind, "Hola, 世界!")
        await api.delete(kind, "default", created["metadata"]["name"])
    assert created["spec"]["schedule"] == "*/1 * * * *"
