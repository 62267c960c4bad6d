"""The demo's pure parts: what there is to see fits the projects it is about, and steps that can't be taken are left out."""

import re
from dataclasses import replace

import pytest
import yaml

from scripts.demo import operator, story
from scripts.demo.__main__ import main
from scripts.demo.programme import ECHO, EXAMPLES, chosen
from scripts.demo.shows import Await, Do, Needs, Objects, Output, Show, status
from scripts.demo.targets import ROOT, Target

ALL = (ECHO, *EXAMPLES)
NAMES = [show.name for show in ALL]
TARGET = Target(kubeconfig="/kubeconfig", kubectl="/kubectl", image="busybox:test", node=True)
each_show = pytest.mark.parametrize("show", ALL, ids=NAMES)


@each_show
def test_definitions_of_a_show_are_those_of_its_project(show: Show) -> None:
    """One that is missing would be neither waited for nor removed."""
    files = sorted((show.project / "config" / "crd" / "bases").glob("*.yaml"))
    names = [yaml.safe_load(file.read_text(encoding="utf-8"))["metadata"]["name"] for file in files]
    assert sorted(show.crds) == sorted(names)


@each_show
def test_image_variables_of_a_show_are_read_by_its_roles(show: Show) -> None:
    roles = "".join(file.read_text(encoding="utf-8") for file in show.project.glob("roles/*/defaults/main.yml"))
    assert sorted(show.images) == sorted(set(re.findall(r"RELATED_IMAGE_\w+(?=')", roles)))


def test_every_example_can_be_seen() -> None:
    there = sorted(file.parent.name for file in (ROOT / "examples").glob("*/watches.yaml"))
    assert sorted(show.name for show in EXAMPLES) == there


def test_unknown_example_ends_with_the_names_of_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--example", "pritner"]) == 2
    error = capsys.readouterr().err
    assert "EXAMPLE=pritner" in error
    assert all(show.name in error for show in EXAMPLES)


def test_example_is_found_by_its_name() -> None:
    assert chosen("memcached").project == ROOT / "examples" / "memcached"


def test_steps_without_what_they_need_are_left_out() -> None:
    always = Objects(title="status", kinds="pods")
    with_pods = Output(title="output", arguments=("logs", "x"), needs=Needs.NODE)
    stand_in = Do(title="stand-in", arguments=("patch",), needs=Needs.NO_REGISTRY)
    steps = (always, with_pods, stand_in)
    assert story.possible(steps, TARGET) == [always, with_pods, stand_in]
    assert story.possible(steps, replace(TARGET, node=False, image=None)) == [always]
    assert story.possible(steps, replace(TARGET, image=None)) == [always, with_pods]


def test_operator_of_an_example_works_in_the_demo_s_namespace_alone() -> None:
    """On a cluster of the user's there may be objects of the same kind in earnest."""
    show = Show.example("shop", crds=(), steps=(), images=("RELATED_IMAGE_SHOP",))
    assert operator.environment(show, TARGET) == {
        "ANSIBLE_GATHERING": "explicit",
        "WATCH_NAMESPACE": "demo-shop",
        "RELATED_IMAGE_SHOP": "busybox:test",
    }
    assert "RELATED_IMAGE_SHOP" not in operator.environment(show, replace(TARGET, image=None))


def test_echo_operator_is_started_as_the_drop_in_that_it_is() -> None:
    assert operator.environment(ECHO, TARGET) == {
        "ANSIBLE_GATHERING": "explicit",
        "RELATED_IMAGE_ECHO": "busybox:test",
    }
    assert operator.command(ECHO, TARGET)[:6] == [
        "-m", "runner", "run", "--strict", "--env-compat=echoperator", "--kubeconfig=/kubeconfig",
    ]  # fmt: skip


def test_user_is_told_what_stays_and_what_goes() -> None:
    assert story.consequences(ECHO).endswith("in namespace default")
    assert story.consequences(EXAMPLES[0]).endswith("and removed at the end")


def test_tree_shows_children_of_children_and_nobody_else_s() -> None:
    def child(name: str, owner: str) -> dict[str, object]:
        return {"kind": "Pod", "metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": owner}]}}

    objects = [child("a", "root"), child("b", "a"), child("c", "somebody"), {"kind": "Pod", "metadata": {"uid": "d"}}]
    assert story.tree("root", objects) == ["└─ Pod/a", "   └─ Pod/b"]


def test_object_that_is_not_there_has_no_status() -> None:
    printed = status(current="printed")
    assert printed({"status": {"current": "printed", "pod": "x"}})
    assert not printed({"status": {"current": "failed"}})
    assert not printed({})


@each_show
def test_what_needs_a_pod_says_so(show: Show) -> None:
    """Without a node there is no log, and nothing becomes ready."""
    looking_at_pods = [step for step in show.steps if isinstance(step, Output) and step.arguments[0] == "logs"]
    assert [step.title for step in looking_at_pods if step.needs is not Needs.NODE] == []
    assert isinstance(show.steps[-1], Await) is False, "the last step is to show something"
