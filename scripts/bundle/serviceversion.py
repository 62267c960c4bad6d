"""The ClusterServiceVersion: what people wrote in config/manifests, completed from the rest of config/."""

import base64
import json
from collections.abc import Iterable

from runner.objects import Raw
from scripts.bundle.owned import owned
from scripts.bundle.permissions import permissions
from scripts.bundle.sorting import Sorted

__all__ = ["service_version"]


def service_version(found: Sorted, *, package: str, version: str, icon: bytes) -> Raw:
    """Complete the base.

    Args:
        found: the objects of config/manifests.
        package: the name of the operator in a catalog.
        version: a semantic version, without `v`.
        icon: an SVG.

    Raises:
        BundleError: what the base says does not fit the rest.
    """
    base = found.base
    written = base["spec"].get("customresourcedefinitions", {}).get("owned", [])
    return {
        **base,
        "metadata": {
            **base["metadata"],
            "name": f"{package}.v{version}",
            "annotations": {**base["metadata"].get("annotations", {}), **_annotations(found)},
        },
        "spec": {
            **base["spec"],
            "version": version,
            "icon": [{"base64data": base64.b64encode(icon).decode(), "mediatype": "image/svg+xml"}],
            "customresourcedefinitions": {"owned": owned(found.definitions, written)},
            "install": {"strategy": "deployment", "spec": {"deployments": [_deployment(found)], **permissions(found)}},
        },
    }


def _annotations(found: Sorted) -> dict[str, str]:
    (container,) = found.deployment["spec"]["template"]["spec"]["containers"]
    return {
        "containerImage": container["image"],
        "alm-examples": json.dumps(_examples(found.samples), indent=2, ensure_ascii=False),
        # Where a namespace is made for the operator, with the Pod Security standard that it keeps to.
        "operatorframework.io/suggested-namespace-template": json.dumps(found.namespace),
    }


def _examples(samples: Iterable[Raw]) -> list[Raw]:
    """Without a namespace: it is made where the one who looks at it is."""
    return [
        {**sample, "metadata": {name: value for name, value in sample["metadata"].items() if name != "namespace"}}
        for sample in samples
    ]


def _deployment(found: Sorted) -> Raw:
    metadata = found.deployment["metadata"]
    return {"name": metadata["name"], "label": metadata["labels"], "spec": found.deployment["spec"]}
