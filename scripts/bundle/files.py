"""The files of a bundle, by their path in the work tree."""

import re
from collections.abc import Iterable, Mapping, Sequence

import yaml

from runner.objects import Raw
from scripts.bundle.errors import BundleError
from scripts.bundle.serviceversion import service_version
from scripts.bundle.sorting import Sorted, sort

__all__ = ["files", "labels"]

_PREFIX = "operators.operatorframework.io"
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[A-Za-z-][\dA-Za-z-]*)(\.(0|[1-9]\d*|\d*[A-Za-z-][\dA-Za-z-]*))*)?(\+[\dA-Za-z-]+(\.[\dA-Za-z-]+)*)?"
)
_PLACES = {"manifests": "/manifests/", "metadata": "/metadata/", "tests/scorecard": "/tests/scorecard/"}


def files(
    objects: Iterable[Raw], *, package: str, version: str, channels: Sequence[str], icon: bytes
) -> dict[str, str]:
    """Make the bundle of what config/manifests renders to.

    Args:
        objects: those of the kustomization, image set.
        package: the name of the operator in a catalog.
        version: a semantic version, without `v`.
        channels: at least one; the first is the default.
        icon: an SVG.

    Raises:
        BundleError: the version is none, there is no channel, or an object is missing or does not fit.
    """
    if not _SEMVER.fullmatch(version):
        raise BundleError(f"VERSION={version!r}: no semantic version; give one such as 1.2.3, without v")
    if not channels:
        raise BundleError("CHANNELS is empty: give at least one, such as alpha")
    found = sort(objects)
    whole = service_version(found, package=package, version=version, icon=icon)
    stamped = labels(package, channels)
    return {
        f"bundle/manifests/{package}.clusterserviceversion.yaml": _yaml(whole),
        **{f"bundle/manifests/{_file_name(obj)}": _yaml(_placeless(obj)) for obj in _manifests(found)},
        "bundle/metadata/annotations.yaml": _yaml({"annotations": stamped}),
        "bundle/tests/scorecard/config.yaml": _yaml(found.scorecard),
        "bundle.Dockerfile": _dockerfile(stamped),
        # BuildKit's name for it: the project's own .dockerignore leaves out all but what the operator's image needs.
        "bundle.Dockerfile.dockerignore": "*\n!bundle\n",
    }


def labels(package: str, channels: Sequence[str]) -> dict[str, str]:
    """What both the image's labels and metadata/annotations.yaml say: the format, and where the parts are."""
    return {
        f"{_PREFIX}.bundle.mediatype.v1": "registry+v1",
        f"{_PREFIX}.bundle.manifests.v1": "manifests/",
        f"{_PREFIX}.bundle.metadata.v1": "metadata/",
        f"{_PREFIX}.bundle.package.v1": package,
        f"{_PREFIX}.bundle.channels.v1": ",".join(channels),
        f"{_PREFIX}.bundle.channel.default.v1": channels[0],
        f"{_PREFIX}.test.mediatype.v1": "scorecard+v1",
        f"{_PREFIX}.test.config.v1": "tests/scorecard/",
    }


def _manifests(found: Sorted) -> list[Raw]:
    return [*found.definitions, *found.others]


def _file_name(obj: Raw) -> str:
    """As Operator SDK calls them."""
    if obj["kind"] == "CustomResourceDefinition":
        return f"{obj['spec']['group']}_{obj['spec']['names']['plural']}.yaml"
    group_version = obj["apiVersion"].replace("/", "_")
    return f"{obj['metadata']['name']}_{group_version}_{obj['kind'].lower()}.yaml"


def _placeless(obj: Raw) -> Raw:
    """OLM decides on the namespace."""
    kept = {name: value for name, value in obj["metadata"].items() if name != "namespace"}
    return {**obj, "metadata": kept}


def _dockerfile(stamped: Mapping[str, str]) -> str:
    said = [f"LABEL {name}={value}" for name, value in stamped.items()]
    copied = [f"COPY bundle/{source} {target}" for source, target in _PLACES.items()]
    return "\n".join(["FROM scratch", "", *said, "", *copied, ""])


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block, so that people can read description and examples."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _yaml(content: Raw) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, explicit_start=True)
