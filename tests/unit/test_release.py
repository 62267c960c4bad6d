"""One version everywhere, and a chart that names the image it was released with."""

import pytest
import yaml

from harness import ROOT
from scripts.release import ReleaseError, released, with_image

VALUES = (ROOT / "charts" / "echoperator" / "values.yaml").read_text(encoding="utf-8")


def chart(version: str, app: str) -> dict[str, str]:
    return {"version": version, "appVersion": app}


def test_tag_project_and_chart_say_one_version() -> None:
    assert released("v1.2.3", project="1.2.3", chart=chart("1.2.3", "1.2.3")) == "1.2.3"


@pytest.mark.parametrize(
    ("tag", "project", "versions", "named"),
    [
        ("v1.2.4", "1.2.3", ("1.2.4", "1.2.4"), "pyproject.toml says 1.2.3"),
        ("v1.2.4", "1.2.4", ("1.2.3", "1.2.4"), "Chart.yaml version says 1.2.3"),
        ("v1.2.4", "1.2.4", ("1.2.4", "1.2.3"), "its appVersion says 1.2.3"),
        ("1.2.3", "1.2.3", ("1.2.3", "1.2.3"), "pyproject.toml says 1.2.3"),
    ],
)
def test_whoever_says_another_version_is_named(tag: str, project: str, versions: tuple[str, str], named: str) -> None:
    with pytest.raises(ReleaseError, match=rf"^TAG='{tag}', but {named}.*: set them before you tag"):
        released(tag, project=project, chart=chart(*versions))


def test_chart_has_the_image_as_its_default_and_is_otherwise_the_same() -> None:
    changed = with_image(VALUES, "reg:5000/team/echo-operator:1.2.3")
    before, after = yaml.safe_load(VALUES), yaml.safe_load(changed)
    image = {"repository": "reg:5000/team/echo-operator", "tag": "1.2.3"}
    assert after == {**before, "image": {**before["image"], **image}}
    assert len(changed.splitlines()) == len(VALUES.splitlines())


def test_tag_that_looks_like_a_number_stays_text() -> None:
    assert yaml.safe_load(with_image(VALUES, "mine:1.0"))["image"]["tag"] == "1.0"


def test_chart_takes_no_digest_and_no_values_without_a_place_for_it() -> None:
    with pytest.raises(ReleaseError, match="the chart takes a tag, and no digest"):
        with_image(VALUES, "mine@sha256:00ff")
    with pytest.raises(ReleaseError, match=r"no image\.repository followed by image\.tag"):
        with_image("image: {}\n", "mine:1")
