"""What the operator may do, as a ClusterServiceVersion says it."""

from runner.objects import Raw
from scripts.bundle.errors import BundleError
from scripts.bundle.sorting import Sorted, called

__all__ = ["permissions"]


def permissions(found: Sorted) -> Raw:
    """Write roles and bindings as `permissions` and `clusterPermissions`.

    What is bound in the operator's namespace becomes the former, be it a Role or a ClusterRole: OLM gives it in the
    namespaces of the OperatorGroup. What is bound in the cluster becomes the latter.

    Raises:
        BundleError: a binding in another namespace, which a bundle can't say; or one of a role that is not there.
    """
    account = found.deployment["spec"]["template"]["spec"]["serviceAccountName"]
    roles = {(role["kind"], role["metadata"]["name"]): role for role in found.roles}
    rules: dict[str, list[Raw]] = {"RoleBinding": [], "ClusterRoleBinding": []}
    for binding in found.bindings:
        where = binding["metadata"].get("namespace", "")
        if binding["kind"] == "RoleBinding" and where != found.namespace["metadata"]["name"]:
            raise BundleError(
                f"{called(binding)} is in the namespace {where}: a bundle's bindings are in the operator's"
            )
        role = roles.get((binding["roleRef"]["kind"], binding["roleRef"]["name"]))
        if role is None:
            raise BundleError(f"{called(binding)}: no {binding['roleRef']['kind']}/{binding['roleRef']['name']}")
        rules[binding["kind"]] += role["rules"]
    return {
        "permissions": [{"serviceAccountName": account, "rules": rules["RoleBinding"]}],
        "clusterPermissions": [{"serviceAccountName": account, "rules": rules["ClusterRoleBinding"]}],
    }
