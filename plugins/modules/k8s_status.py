"""Writes the status of a custom resource. Writes nothing when nothing differs; never touches anything but status."""

DOCUMENTATION = r"""
module: k8s_status
short_description: Set fields and conditions in the status of a Kubernetes object
version_added: "0.0.1"
author: The echoperator authors
description:
  - Sets the status of an object whose kind has the status subresource. Meant for roles that implement an operator.
  - Fields that are not named are left as they are, and so are conditions of other types. Where all that is asked for
    is there already, nothing is written.
  - Somebody else's write in between is not lost. The object is read again and the change is made anew.
extends_documentation_fragment:
  - operator_sdk.util.osdk_auth_options
  - operator_sdk.util.osdk_name_options
options:
  status:
    description:
      - Fields to set. V(null) removes one.
      - A list is written whole; see O(replace_lists) for when it counts as different.
      - C(conditions) in here are merged by type like O(conditions), but not checked.
    type: dict
  conditions:
    description:
      - Conditions to set, merged by type with those that are there.
      - A condition equal to the one that is there but for C(lastTransitionTime) leaves the old one.
      - C(lastTransitionTime) is filled in when it is left out. It is the old condition's while C(status) stays the
        same, else the present.
    type: list
    elements: dict
    suboptions:
      type:
        description: The condition's type, by which it is found again.
        type: str
        required: true
      status:
        description: Whether it holds.
        type: str
        choices: ["True", "False", "Unknown"]
        required: true
      reason:
        description: Why, in one CamelCase word of letters.
        type: str
      message:
        description: Why, for people.
        type: str
      observedGeneration:
        description: The C(metadata.generation) that this speaks of.
        type: int
      lastHeartbeatTime:
        description: When it was last confirmed, RFC 3339.
        type: str
      lastTransitionTime:
        description: When C(status) last changed, RFC 3339.
        type: str
  replace:
    description: Whether the given fields are the whole status; what is not named goes.
    type: bool
    default: false
    aliases: [force]
  replace_lists:
    description:
      - When V(false), a list counts as set when each of its items is in the list that is there.
      - When V(true), the lists have to be equal. This does not concern conditions.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reads, says what would change, and writes nothing.
    support: full
requirements:
  - kubernetes >= 25.3.0
"""

EXAMPLES = r"""
- name: Tell how many members have joined
  operator_sdk.util.k8s_status:
    api_version: example.com/v1
    kind: Cluster
    name: "{{ ansible_operator_meta.name }}"
    namespace: "{{ ansible_operator_meta.namespace }}"
    status:
      members: 3

- name: Tell that backups do not work
  operator_sdk.util.k8s_status:
    api_version: example.com/v1
    kind: Cluster
    name: "{{ ansible_operator_meta.name }}"
    namespace: "{{ ansible_operator_meta.namespace }}"
    conditions:
      - type: BackedUp
        status: "False"
        reason: BucketMissing
        message: There is no bucket of that name.
"""

RETURN = r"""
result:
  description: The object as the server returned it. In check mode, as it would be.
  returned: success
  type: dict
  contains:
    apiVersion:
      description: The object's API version.
      returned: success
      type: str
    kind:
      description: The object's kind.
      returned: success
      type: str
    metadata:
      description: Name, namespace, labels and so on.
      returned: success
      type: dict
    spec:
      description: What the object asks for.
      returned: success
      type: dict
    status:
      description: The status after the change.
      returned: success
      type: dict
error:
  description: What the server answered, in C(status), C(reason) and C(body); or why the conditions were refused.
  returned: failure
  type: raw
"""

import copy
import datetime as dt
import re
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.operator_sdk.util.plugins.module_utils.api import (
    AUTH_ARG_SPEC,
    NAME_ARG_SPEC,
    Api,
    ApiError,
    serve,
)

_CONDITION_FIELDS = {
    "type": {"type": "str", "required": True},
    "status": {"type": "str", "required": True, "choices": ["True", "False", "Unknown"]},
    "reason": {"type": "str"},
    "message": {"type": "str"},
    "observedGeneration": {"type": "int"},
    "lastHeartbeatTime": {"type": "str"},
    "lastTransitionTime": {"type": "str"},
}
ARGUMENTS = dict(
    AUTH_ARG_SPEC,
    status={"type": "dict"},
    conditions={"type": "list", "elements": "dict", "options": _CONDITION_FIELDS},
    replace={"type": "bool", "default": False, "aliases": ["force"]},
    replace_lists={"type": "bool", "default": False},
    **NAME_ARG_SPEC,
)

_REASON = re.compile(r"[A-Za-z]*")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?([+-]\d\d:\d\d|Z)")
_ATTEMPTS = 6
_PAUSE_S = 0.05
"""Before the second attempt after a conflict; doubled each time."""


def checked(conditions):
    """Return the conditions without what was left out.

    Raises:
        ValueError: A value has the wrong form.
    """
    result = []
    for given in conditions:
        condition = {key: value for key, value in given.items() if value is not None}
        for key in ("type", "status"):
            if not condition.get(key):
                raise ValueError(f"Condition `{key}` must be set")
        if not _REASON.fullmatch(condition.get("reason", "")):
            raise ValueError("Condition 'reason' must be a single, CamelCase word")
        for key in ("lastHeartbeatTime", "lastTransitionTime"):
            if condition.get(key) and not _INSTANT.fullmatch(condition[key]):
                raise ValueError(f"'{key}' must be an RFC3339 compliant datetime string")
        result.append(condition)
    return result


def merged_conditions(old, new, now):
    """Return `old` with each of `new` in the place of the one of its type, or at the end."""
    result = [dict(condition) for condition in old]
    places = {condition.get("type"): index for index, condition in enumerate(result)}
    for given in new:
        place = places.get(given.get("type"))
        before = result[place] if place is not None else {}
        if place is not None and _says_nothing_new(before, given):
            continue
        condition = dict(given)
        same = before.get("status") == condition.get("status") and "lastTransitionTime" in before
        condition.setdefault("lastTransitionTime", before["lastTransitionTime"] if same else now)
        if place is None:
            places[condition.get("type")] = len(result)
            result.append(condition)
        else:
            result[place] = condition
    return result


def _says_nothing_new(before, condition):
    return all(key == "lastTransitionTime" or before.get(key) == value for key, value in condition.items())


def contains(value, wanted, exact_lists):
    """Tell whether setting `wanted` on `value` would change nothing."""
    if isinstance(value, dict) and isinstance(wanted, dict):
        return all(contains(value.get(key), inner, exact_lists) for key, inner in wanted.items())
    if isinstance(value, list) and isinstance(wanted, list) and not exact_lists:
        return all(item in value for item in wanted)
    return value == wanted


def merge_patched(value, patch):
    """Return what a merge patch makes of `value` (RFC 7386)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(value) if isinstance(value, dict) else {}
    for key, inner in patch.items():
        if inner is None:
            result.pop(key, None)
        else:
            result[key] = merge_patched(result.get(key), inner)
    return result


def change_for(old, wanted, replace, exact_lists, now):
    """Return what has to be written over the status `old`, or `None` when all is there already.

    For `replace` that is the whole new status, else a merge patch.
    """
    wanted = dict(wanted)
    old_conditions, new_conditions = _listed(old.get("conditions")), _listed(wanted.get("conditions"))
    if new_conditions and replace:
        types = {condition.get("type") for condition in new_conditions}
        kept = [condition for condition in old_conditions if condition.get("type") in types]
        wanted["conditions"] = merged_conditions(kept, new_conditions, now)
    elif new_conditions:
        wanted["conditions"] = merged_conditions(old_conditions, new_conditions, now)
    if replace:
        return None if wanted == old else wanted
    rest = {key: value for key, value in wanted.items() if key != "conditions"}
    if contains(old, rest, exact_lists) and wanted.get("conditions", old.get("conditions")) == old.get("conditions"):
        return None
    return wanted


def _listed(conditions):
    """Return conditions that can be merged by type; anything else is written as it is."""
    mergeable = isinstance(conditions, list) and all(isinstance(condition, dict) for condition in conditions)
    return conditions if mergeable else []


def write(api, resource, params, wanted, check_mode):
    """Bring the object's status in line with `wanted`; return the module's result.

    Raises:
        ApiError: The server refused, `_ATTEMPTS` conflicts in a row included.
    """
    path = Api.path(resource, params["name"], params["namespace"])
    for attempt in range(_ATTEMPTS):
        found = api.get(path)
        old = found.get("status") or {}
        now = dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        change = change_for(old, wanted, params["replace"], params["replace_lists"], now)
        if change is None:
            return {"changed": False, "result": found}
        after = change if params["replace"] else merge_patched(old, change)
        if check_mode:
            return {"changed": True, "result": dict(found, status=after)}
        try:
            if params["replace"]:
                written = api.put(path + "/status", dict(found, status=after))
            else:
                # The version guards the conditions: a list is written whole, with what others have put into it.
                head = {"name": params["name"], "resourceVersion": found["metadata"]["resourceVersion"]}
                body = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": head, "status": change}
                written = api.patch(path + "/status", body)
        except ApiError as error:
            if error.status != 409 or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE_S * 2**attempt)
        else:
            return {"changed": True, "result": written}
    raise AssertionError("the last attempt returns or raises")


def run(module):
    wanted = dict(module.params["status"] or {})
    try:
        conditions = checked(module.params["conditions"] or [])
    except ValueError as error:
        module.fail_json(msg="The specified conditions failed to validate", error=str(error))
    if conditions and wanted.get("conditions"):
        module.fail_json(msg="You cannot specify conditions in both the 'status' and 'conditions' parameters")
    if conditions:
        wanted["conditions"] = conditions
    api = Api.of(module.params)
    api_version, kind = module.params["api_version"], module.params["kind"]
    resource = api.find(api_version, kind)
    if resource is None:
        module.fail_json(
            msg=f"Failed to find exact match for {api_version}.{kind} by [kind, name, singularName, shortNames]"
        )
    if "status" not in resource["subresources"]:
        module.fail_json(msg=f"Resource {api_version}.{kind} does not support the status subresource")
    try:
        module.exit_json(**write(api, resource, module.params, wanted, module.check_mode))
    except ApiError as error:
        if error.status == 404:
            module.fail_json(msg="Failed to retrieve requested object", error=error.as_dict())
        module.fail_json(msg=f"Failed to replace status: {error}", error=error.as_dict())


def main():
    serve(
        run,
        AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True),
        refused="Failed to read the API's resources",
    )


if __name__ == "__main__":
    main()
