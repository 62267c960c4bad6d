"""examples/foo."""

from typing import Any

from scripts.demo.shows import Await, Do, Gone, Needs, Objects, Output, Owners, Repair, Show

__all__ = ["FOO"]


def _ready(pod: dict[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


FOO = Show.example(
    "foo",
    crds=("foos.example.com",),
    images=("RELATED_IMAGE_FOO",),
    steps=(
        Await(what="the Pod of Foo thrice", kind="pod", name="thrice"),
        Await(what="it runs", kind="pod", name="thrice", until=_ready, needs=Needs.NODE),
        Output(title="what the Pod printed", arguments=("logs", "thrice"), expected="foo\n" * 3, needs=Needs.NODE),
        Await(what="the Pod of Foo test", kind="pod", name="test"),
        Output(
            title="Foo test was written as v1alpha1; this is how v1beta1 has it",
            arguments=(
                "get",
                "foos.v1beta1.example.com",
                "test",
                "--output=jsonpath={.apiVersion} {.testString} {.testNum}",
            ),
            expected="example.com/v1beta1 first foo 1",
        ),
        Repair(kind="pod", name="thrice"),
        Objects(title="what there is", kinds="foos,pods", conditions_of=("foo", "thrice")),
        Owners(kinds="pods", of=(("foo", "thrice"), ("foo", "test"))),
        Do(
            title="a Foo is deleted; its Pod goes, once the garbage collector knows of a kind this new (half a minute)",
            arguments=("delete", "foo", "thrice"),
        ),
        Gone(kind="pod", name="thrice"),
        Objects(title="what is left", kinds="foos,pods"),
    ),
)
