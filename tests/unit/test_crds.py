"""Definitions in a directory, and when they count as applied. tests/integration/test_chart.py has them on a real server."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from fakes import FakeClock, settle
from runner import cli, crds
from runner.crds import CrdsError, NotEstablished
from runner.kube.errors import ApiError
from runner.objects import Raw

DEFINITION = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: %s}\n"


class FakeServer:
    """Answers PATCH with what it got, DELETE as told, and GET with the next of some conditions, the last for ever."""

    def __init__(self, *conditions: Raw, deleting: ApiError | None = None) -> None:
        self.sent: list[tuple[str, str, Mapping[str, str], str]] = []
        self._conditions = list(conditions)
        self._deleting = deleting

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Raw | list[Raw] | None = None,
        content_type: str = "application/json",
    ) -> Raw:
        self.sent.append((method, path, params or {}, content_type))
        if method == "DELETE" and self._deleting:
            raise self._deleting
        if method == "GET":
            condition = self._conditions.pop(0) if len(self._conditions) > 1 else self._conditions[0]
            return {"status": {"conditions": [condition]}}
        assert method in {"PATCH", "DELETE"}
        return {}


ESTABLISHED: Raw = {"type": "Established", "status": "True"}
NOT_YET: Raw = {"type": "Established", "status": "False"}


def test_every_definition_of_a_directory_is_read_and_nothing_below_it(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("---\n" + DEFINITION % "b")
    (tmp_path / "a.yml").write_text(DEFINITION % "a" + "---\n" + DEFINITION % "c")
    (tmp_path / "README.md").write_text("not: read")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "d.yaml").write_text(DEFINITION % "d")
    assert [obj["metadata"]["name"] for obj in crds.read(tmp_path)] == ["a", "c", "b"]


def test_everything_that_is_no_definition_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: [")
    (tmp_path / "b.yaml").write_text(DEFINITION % "b" + "---\nkind: Secret\n")
    (tmp_path / "c.yaml").write_text("just text")
    with pytest.raises(CrdsError) as caught:
        crds.read(tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/a.yaml: ")
    assert f"{tmp_path}/b.yaml: document 2 is no CustomResourceDefinition" in text
    assert f"{tmp_path}/c.yaml: document 1 is no CustomResourceDefinition" in text


@pytest.mark.parametrize("directory", ["none", "."])
def test_a_directory_without_definitions_is_wrong_configuration(
    tmp_path: Path, directory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A chart that mounts nothing must not seem to have worked."""
    assert cli.main(["apply-crds", str(tmp_path / directory)]) == 2
    assert "no *.yaml in it" in capsys.readouterr().err


async def test_it_is_applied_by_force_on_the_servers_side_and_waits_until_the_kind_is_served() -> None:
    clock, said = FakeClock(), list[str]()
    server = FakeServer(NOT_YET, NOT_YET, ESTABLISHED)
    work = asyncio.create_task(crds.apply(server, [{"metadata": {"name": "a"}}], clock=clock, say=said.append))
    await settle()
    assert said == []
    await clock.advance(1.0)
    await work
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a"
    manager = {"fieldManager": "ansible-operator-crds", "force": "true"}
    assert server.sent[0] == ("PATCH", path, manager, "application/apply-patch+yaml")
    assert [method for method, *_ in server.sent] == ["PATCH", "GET", "GET", "GET"]
    assert said == ["customresourcedefinitions/a applied"]


async def test_a_kind_that_is_never_served_is_a_failure_that_says_so() -> None:
    clock = FakeClock()
    work = asyncio.create_task(crds.apply(FakeServer(NOT_YET), [{"metadata": {"name": "a"}}], clock=clock, say=print))
    await clock.advance(61.0)
    with pytest.raises(NotEstablished, match="a: not served within 60 s"):
        await work


async def test_names_that_another_definition_has_are_not_waited_for() -> None:
    taken: Raw = {"type": "NamesAccepted", "status": "False", "message": '"ec" is already in use'}
    with pytest.raises(NotEstablished, match='"ec" is already in use'):
        await crds.apply(FakeServer(taken), [{"metadata": {"name": "a"}}], clock=FakeClock(), say=print)


async def test_deleting_what_is_gone_is_no_failure() -> None:
    said: list[str] = []
    await crds.delete(FakeServer(deleting=ApiError(404)), [{"metadata": {"name": "a"}}], say=said.append)
    assert said == ["customresourcedefinitions/a deleted"]
    with pytest.raises(ApiError):
        await crds.delete(FakeServer(deleting=ApiError(403)), [{"metadata": {"name": "a"}}], say=said.append)
