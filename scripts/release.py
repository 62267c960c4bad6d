"""What a release has to get right before something is pushed: one version everywhere, a chart that names its image.

Promises: writes into the directory it is given and nowhere else. Asks no registry.
"""

import argparse
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.overlay import image_parts

__all__ = ["ReleaseError", "released", "with_image"]

_ROOT = Path(__file__).resolve().parent.parent
_CHART = _ROOT / "charts" / "echoperator"
_IMAGE = re.compile(r"^image:\n  repository: .+\n(?P<between>(?:  .+\n)*?)  tag: .*$", re.MULTILINE)


class ReleaseError(ValueError):
    """Not to be released; the text says what has to change."""


def released(tag: str, *, project: str, chart: Mapping[str, Any]) -> str:
    """Say which version a tag stands for.

    Args:
        tag: `v1.2.3`.
        project: the version in pyproject.toml.
        chart: Chart.yaml.

    Raises:
        ReleaseError: one of them says another version.
    """
    said = {"pyproject.toml": project, "Chart.yaml version": chart["version"], "its appVersion": chart["appVersion"]}
    if others := [f"{where} says {version}" for where, version in said.items() if f"v{version}" != tag]:
        raise ReleaseError(
            f"TAG={tag!r}, but {', '.join(others)}: set them before you tag, as v{project} for {project}"
        )
    return project


def with_image(values: str, image: str) -> str:
    """Make `image` the default of a values.yaml, whose other lines and comments stay.

    Raises:
        ReleaseError: the image has no tag, or the file no place for one.
        ImageError: it is no image.
    """
    parts = image_parts(image)
    if "digest" in parts:
        raise ReleaseError(f"IMG={image!r}: the chart takes a tag, and no digest; give name:tag")
    wanted = rf"image:\n  repository: {parts['newName']}\n\g<between>  tag: {parts['newTag']!r}".replace("'", '"')
    changed, places = _IMAGE.subn(wanted, values)
    if places != 1:
        raise ReleaseError("values.yaml: no image.repository followed by image.tag")
    return changed


def main() -> int:
    """Do one of both; 2 where it is not to be done."""
    parser = argparse.ArgumentParser(prog="python -m scripts.release", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    version = commands.add_parser("version", help="print the version of a tag")
    version.add_argument("tag")
    chart = commands.add_parser("chart", help="write the chart with an image as its default")
    chart.add_argument("directory", type=Path)
    chart.add_argument("--image", required=True)
    given = parser.parse_args()
    try:
        if given.command == "version":
            print(_version(given.tag))
        else:
            _chart(given.directory, given.image)
    except ValueError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    return 0


def _version(tag: str) -> str:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return released(tag, project=project, chart=yaml.safe_load((_CHART / "Chart.yaml").read_text(encoding="utf-8")))


def _chart(directory: Path, image: str) -> None:
    values = with_image((_CHART / "values.yaml").read_text(encoding="utf-8"), image)
    target = directory / _CHART.name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(_CHART, target)
    (target / "values.yaml").write_text(values, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
