"""Which object of the kustomization goes where in a bundle."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runner.objects import Raw
from scripts.bundle.errors import BundleError

__all__ = ["Sorted", "called", "sort"]

# What operator-registry takes beside the CSV, less what the CSV stands for.
_TAKEN = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "ConsoleCLIDownload",
        "ConsoleLink",
        "ConsolePlugin",
        "ConsoleQuickStart",
        "ConsoleYAMLSample",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PodMonitor",
        "PriorityClass",
        "PrometheusRule",
        "Role",
        "RoleBinding",
        "Secret",
        "Service",
        "ServiceMonitor",
        "VerticalPodAutoscaler",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """All objects, each in one place."""

    base: Raw
    """The ClusterServiceVersion that people wrote."""
    deployment: Raw
    namespace: Raw
    definitions: Sequence[Raw]
    roles: Sequence[Raw]
    """Roles and ClusterRoles that the operator's account is bound to: they become permissions."""
    bindings: Sequence[Raw]
    """Those that bind it."""
    samples: Sequence[Raw]
    scorecard: Raw
    others: Sequence[Raw]
    """What goes into the bundle as it is."""


def sort(objects: Iterable[Raw]) -> Sorted:
    """Put each object in its place.

    Raises:
        BundleError: one is missing, is there twice, or is of a kind that OLM does not install.
    """
    objects = list(objects)
    definitions = _of(objects, "CustomResourceDefinition")
    owned = {obj["spec"]["names"]["kind"] for obj in definitions}
    deployment = _only(objects, "Deployment")
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    bindings = [obj for obj in _of(objects, "RoleBinding", "ClusterRoleBinding") if _binds(obj, account)]
    bound = {(binding["roleRef"]["kind"], binding["roleRef"]["name"]) for binding in bindings}
    roles = [obj for obj in objects if (obj["kind"], obj["metadata"]["name"]) in bound]
    samples = [obj for obj in objects if obj["kind"] in owned]
    base, scorecard = _only(objects, "ClusterServiceVersion"), _only(objects, "Configuration")
    namespace = _only(objects, "Namespace")
    _only(objects, "ServiceAccount")  # OLM makes the account that permissions name, and no other
    placed = [base, deployment, namespace, scorecard, *definitions, *roles, *bindings, *samples]
    others = [obj for obj in objects if obj not in placed and obj["kind"] != "ServiceAccount"]
    if strange := [called(obj) for obj in others if obj["kind"] not in _TAKEN]:
        raise BundleError(f"OLM installs no {', no '.join(strange)}: leave it out of config/manifests")
    return Sorted(
        base=base,
        deployment=deployment,
        namespace=namespace,
        definitions=definitions,
        roles=roles,
        bindings=bindings,
        samples=samples,
        scorecard=scorecard,
        others=others,
    )


def called(obj: Raw) -> str:
    return f"{obj['kind']}/{obj['metadata']['name']}"


def _of(objects: Iterable[Raw], *kinds: str) -> list[Raw]:
    return [obj for obj in objects if obj["kind"] in kinds]


def _only(objects: Iterable[Raw], kind: str) -> Raw:
    found = _of(objects, kind)
    if len(found) != 1:
        named = ", ".join(map(called, found)) or "none"
        raise BundleError(f"config/manifests: one {kind} is wanted, found: {named}")
    return found[0]


def _binds(binding: Raw, account: str) -> bool:
    return any(
        (subject["kind"], subject["name"]) == ("ServiceAccount", account) for subject in binding.get("subjects") or ()
    )
