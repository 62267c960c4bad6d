"""What roles tell, through the whole operator: the tasks of Operator SDK's own test, and whose collection runs."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import ECHO, Api, Operator, condition_of, echo, free_port
from runner.objects import GroupVersionKind, Raw

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

METRICS = [
    ("sanity_counter", "counter: {}"),
    ("sanity_gauge", "gauge: {}"),
    ("sanity_histogram", "histogram: {}"),
    ("sanity_summary", "summary: {}"),
    ("counter_inc_test", "counter: {}"),
    ("counter_inc_test", "counter: {increment: yes}"),
    ("counter_add_test", "counter: {}"),
    ("counter_add_test", "counter: {add: 2}"),
    ("gauge_set_test", "gauge: {set: 5}"),
    ("gauge_zero_test", "gauge: {set: 5}"),
    ("gauge_zero_test", "gauge: {set: 0}"),
    ("gauge_add_test", "gauge: {add: 7}"),
    ("gauge_sub_test", "gauge: {subtract: 7}"),
    ("gauge_time_test", "gauge: {set_to_current_time: yes}"),
    ("summary_test", "summary: {observe: 2}"),
    ("histogram_test", "histogram: {observe: 2}"),
    ("labels_test", "labels: {method: full}\n    counter: {increment: yes}"),
]
SHOWN = [
    "# TYPE sanity_counter counter\nsanity_counter 0",
    "sanity_gauge 0",
    "sanity_histogram_bucket",
    "sanity_summary summary",
    "counter_inc_test 1",
    "counter_add_test 2",
    "gauge_set_test 5",
    "gauge_zero_test 0",
    "gauge_add_test 7",
    "gauge_sub_test -7",
    "gauge_time_test 1",
    "summary_test_sum 2",
    "histogram_test_sum 2",
    'labels_test{method="full"} 1',
]
STALE = """
    import json, urllib.request
    from ansible.module_utils.basic import AnsibleModule
    spec = {name: {"type": "str"} for name in ("name", "description", "address")}
    module = AnsibleModule(argument_spec={**spec, "gauge": {"type": "dict"}})
    body = {"name": "stale_" + module.params["name"], "description": "d", "gauge": {"set": 3, "increment": None}}
    request = urllib.request.Request(module.params["address"], json.dumps(body).encode())
    urllib.request.urlopen(request).close()
    module.exit_json(changed=True)
"""


def task(name: str, rest: str) -> str:
    return f"- operator_sdk.util.osdk_metric:\n    name: {name}\n    description: words\n    {rest}\n"


def project(directory: Path, tasks: str) -> Path:
    """An operator of one playbook, with a copy of the collection as scaffolds install it."""
    files = {
        "watches.yaml": "- {group: mmontes.io, version: v1alpha1, kind: Echo, playbook: playbooks/echo.yml, reconcilePeriod: 0s}\n",
        "playbooks/echo.yml": f"- hosts: localhost\n  gather_facts: false\n  tasks:\n{textwrap.indent(tasks, '    ')}",
        "ansible.cfg": "[defaults]\ncollections_path = ./collections\n",
        "collections/ansible_collections/operator_sdk/util/MANIFEST.json": json.dumps(
            {"collection_info": {"namespace": "operator_sdk", "name": "util", "version": "0.5.0"}, "format": 1}
        ),
        "collections/ansible_collections/operator_sdk/util/plugins/modules/osdk_metric.py": textwrap.dedent(STALE),
    }
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


def done(obj: Raw) -> bool:
    return any(condition_of(obj, kind).get("status") == "True" for kind in ("Successful", "Failure"))


@pytest.mark.parametrize("arguments", [(), ("--no-warm",)], ids=["warm", "plain"])
async def test_tasks_of_operator_sdk_s_own_test(
    api: Api, namespace: str, tmp_path: Path, start_operator: Callable[..., Operator], arguments: tuple[str, ...]
) -> None:
    """Through the run's own address; 0.5.0 beside it is not asked, though the project's settings name its directory."""
    tasks = "".join(task(name, rest) for name, rest in METRICS)
    operator = start_operator(
        *arguments, f"--watch-namespace={namespace}", project=project(tmp_path / "project", tasks)
    )
    await operator.ready()
    await api.create(echo("one", namespace))
    obj = await api.until(ECHO, namespace, "one", done, within=120)

    assert condition_of(obj, "Successful").get("status") == "True", condition_of(obj, "Failure")
    text = operator.metrics()
    assert [line for line in SHOWN if line not in text] == []
    assert "stale_" not in text
    created = next(line for line in text.splitlines() if line.startswith("resource_created_at_seconds{"))
    assert f'kind="Echo",version="v1alpha1",namespace="{namespace}",name="one"' in created


async def test_what_contradicts_is_a_failure_that_says_so(
    api: Api, namespace: str, tmp_path: Path, start_operator: Callable[..., Operator]
) -> None:
    tasks = task("m", "counter: {}") + task("m", "gauge: {set: 1}")
    operator = start_operator(f"--watch-namespace={namespace}", project=project(tmp_path / "project", tasks))
    await operator.ready()
    await api.create(echo("one", namespace))
    obj = await api.until(ECHO, namespace, "one", done, within=120)

    assert "cannot change metric type of m, which is a counter" in condition_of(obj, "Failure")["message"]


async def test_the_project_s_own_collection_where_it_is_preferred(
    api: Api, namespace: str, tmp_path: Path, start_operator: Callable[..., Operator]
) -> None:
    """It knows no token, so an address without one is there for it, and only then."""
    port = free_port()
    tasks = task("m", f"gauge: {{set: 3}}\n    address: http://localhost:{port}/metrics")
    operator = start_operator(
        "--prefer-project-util",
        f"--watch-namespace={namespace}",
        f"--user-metrics-bind-address=127.0.0.1:{port}",
        project=project(tmp_path / "project", tasks),
    )
    await operator.ready()
    await api.create(echo("one", namespace))
    obj = await api.until(ECHO, namespace, "one", done, within=120)

    assert condition_of(obj, "Successful").get("status") == "True", condition_of(obj, "Failure")
    assert "\nstale_m 3.0\n" in operator.metrics()


async def test_event_that_is_counted_in_each_run_is_no_reason_for_the_next(
    api: Api, namespace: str, tmp_path: Path, start_operator: Callable[..., Operator]
) -> None:
    """The Event belongs to the resource like all that a role makes, and changes with each run."""
    tasks = (
        "- operator_sdk.util.k8s_event:\n"
        "    name: '{{ ansible_operator_meta.name }}'\n"
        f"    namespace: {namespace}\n"
        "    message: looked\n"
        "    reason: Looked\n"
    )
    operator = start_operator(f"--watch-namespace={namespace}", project=project(tmp_path / "project", tasks))
    await operator.ready()
    await api.create(echo("one", namespace))
    await api.until(ECHO, namespace, "one", done, within=120)
    changed = await api.patch(ECHO, namespace, "one", {"spec": {"message": "other"}})
    generation = changed["metadata"]["generation"]
    await api.until(ECHO, namespace, "one", lambda obj: obj["status"].get("observedGeneration") == generation)
    # Others that are made after it show that the operator had its chance.
    for name in ("two", "three", "four"):
        await api.create(echo(name, namespace))
        await api.until(ECHO, namespace, name, done, within=120)
    event = await api.get(GroupVersionKind("", "v1", "Event"), namespace, "one")

    assert event is not None
    assert (event["count"], event["metadata"]["ownerReferences"][0]["name"]) == (2, "one")
