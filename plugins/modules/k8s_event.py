"""Writes a Kubernetes Event: makes it, or counts one more of it. Never touches the object that the Event is about."""

DOCUMENTATION = r"""
module: k8s_event
short_description: Create or count a Kubernetes Event
version_added: "0.0.1"
author: The echoperator authors
description:
  - Makes the Event that is named. When there is one of that name with the same reason, it is counted once more and
    gets the new message and time. With another reason it begins anew at 1.
  - Times are RFC 3339 in UTC.
extends_documentation_fragment:
  - operator_sdk.util.osdk_auth_options
options:
  state:
    description: Whether there is to be such an Event. V(absent) deletes it.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: The Event's name.
    type: str
    required: true
  namespace:
    description: The Event's namespace, which has to be that of the object it is about.
    type: str
    required: true
  message:
    description: What happened, for people.
    type: str
    required: true
  reason:
    description: What happened, in one CamelCase word.
    type: str
    required: true
  type:
    description: What sort of Event it is.
    type: str
    choices: [Normal, Warning]
  reportingComponent:
    description: Name of the controller that reports it, such as V(example.com/cluster-operator).
    type: str
  source:
    description: Who reports it, in the older form that C(kubectl describe) shows.
    type: dict
    suboptions:
      component:
        description: Name of the component.
        type: str
        required: true
  involvedObject:
    description:
      - The object that the Event is about. Its UID and version are filled in where it can be read.
      - Without it the Event is about nothing in its namespace.
    type: dict
    suboptions:
      apiVersion:
        description: The object's API version.
        type: str
        required: true
      kind:
        description: The object's kind.
        type: str
        required: true
      name:
        description: The object's name.
        type: str
        required: true
      namespace:
        description: The object's namespace.
        type: str
        required: true
  appendTimestamp:
    description: Whether each task makes an Event of its own, with the time added to its name.
    type: bool
  merge_type:
    description: Has no effect. It is here because tasks have it.
    type: list
    elements: str
    choices: [json, merge, strategic-merge]
attributes:
  check_mode:
    description: Reads, says what would change, and writes nothing.
    support: full
requirements:
  - kubernetes >= 25.3.0
"""

EXAMPLES = r"""
- name: Report that the members are there
  operator_sdk.util.k8s_event:
    name: "{{ ansible_operator_meta.name }}.joined"
    namespace: "{{ ansible_operator_meta.namespace }}"
    type: Normal
    reason: MembersJoined
    message: All members have joined.
    reportingComponent: example.com/cluster-operator
    source:
      component: cluster-operator
    involvedObject:
      apiVersion: example.com/v1
      kind: Cluster
      name: "{{ ansible_operator_meta.name }}"
      namespace: "{{ ansible_operator_meta.namespace }}"
"""

RETURN = r"""
result:
  description: The Event as the server returned it. In check mode, as it would be. Empty when it was deleted.
  returned: success
  type: dict
  contains:
    metadata:
      description: Name, namespace and so on.
      returned: when it is there
      type: dict
    count:
      description: How often it happened.
      returned: when it is there
      type: int
    firstTimestamp:
      description: When it happened first.
      returned: when it is there
      type: str
    lastTimestamp:
      description: When it happened last.
      returned: when it is there
      type: str
    involvedObject:
      description: The object it is about.
      returned: when it is there
      type: dict
error:
  description: What the server answered, in C(status), C(reason) and C(body).
  returned: failure
  type: dict
"""

import datetime as dt
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.operator_sdk.util.plugins.module_utils.api import (
    AUTH_ARG_SPEC,
    Api,
    ApiError,
    serve,
)

_COMPONENT = {"component": {"type": "str", "required": True}}
_REFERENCE = {key: {"type": "str", "required": True} for key in ("apiVersion", "kind", "name", "namespace")}
ARGUMENTS = dict(
    AUTH_ARG_SPEC,
    state={"type": "str", "default": "present", "choices": ["present", "absent"]},
    name={"type": "str", "required": True},
    namespace={"type": "str", "required": True},
    message={"type": "str", "required": True},
    reason={"type": "str", "required": True},
    type={"type": "str", "choices": ["Normal", "Warning"]},
    reportingComponent={"type": "str"},
    source={"type": "dict", "options": _COMPONENT},
    involvedObject={"type": "dict", "options": _REFERENCE},
    appendTimestamp={"type": "bool"},
    merge_type={"type": "list", "elements": "str", "choices": ["json", "merge", "strategic-merge"]},
)

_EVENTS = {"prefix": "/api/v1", "name": "events", "namespaced": True}
_ATTEMPTS = 6
_PAUSE_S = 0.05
"""Before the second attempt after a conflict; doubled each time."""


def event_for(params, involved, prior, now):
    """Return the Event that is to be, as a merge patch of `prior` or, where there is none, as the whole object.

    `involved` is the reference to the object it is about.
    """
    again = prior is not None and prior.get("reason") == params["reason"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": params["name"], "namespace": params["namespace"]},
        "message": params["message"],
        "reason": params["reason"],
        "involvedObject": involved,
        "count": (prior.get("count") or 1) + 1 if again else 1,
        "firstTimestamp": (prior.get("firstTimestamp") or prior.get("eventTime") or now) if again else now,
        "lastTimestamp": now,
    }
    for key in ("type", "source", "reportingComponent"):
        if params[key] is not None or (prior or {}).get(key):
            event[key] = params[key]
    if prior is not None:
        # Two runs that count at the same time must not become one.
        event["metadata"]["resourceVersion"] = prior["metadata"]["resourceVersion"]
        # What the older reference had and the new one lacks would stay.
        event["involvedObject"] = dict.fromkeys(prior.get("involvedObject") or {}, None) | involved
    return event


def reference(api, params):
    """Return the reference to the object that the Event is about, with its UID and version where it can be read."""
    given = params["involvedObject"]
    if given is None:
        # The server wants the namespaces to agree, even of an Event about nothing.
        return {"namespace": params["namespace"]}
    try:
        resource = api.find(given["apiVersion"], given["kind"])
        if resource is None:
            return dict(given)
        meta = api.get(Api.path(resource, given["name"], given["namespace"]))["metadata"]
    except ApiError as error:
        # An Event may be about what has gone, or about what a role may not read.
        if error.status not in (403, 404):
            raise
        return dict(given)
    return dict(given, uid=meta["uid"], resourceVersion=meta["resourceVersion"])


def write(api, params, check_mode, now):
    """Make the Event or count it; return the module's result. `now` returns the time.

    Raises:
        ApiError: The server refused, `_ATTEMPTS` conflicts in a row included.
    """
    involved = reference(api, params)
    path = Api.path(_EVENTS, params["name"], params["namespace"])
    for attempt in range(_ATTEMPTS):
        prior = None if params["appendTimestamp"] else found(api, path)
        event = event_for(params, involved, prior, now())
        if check_mode:
            return {"changed": True, "result": merged(prior, event)}
        try:
            if prior is None:
                return {"changed": True, "result": api.request("POST", path.rpartition("/")[0], event)}
            return {"changed": True, "result": api.patch(path, event)}
        except ApiError as error:
            # 409: somebody made or counted it meanwhile. 404: its time was up meanwhile.
            again = error.status == 409 or (error.status == 404 and prior is not None)
            if not again or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE_S * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def found(api, path):
    try:
        return api.get(path)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def merged(prior, event):
    """Return what the patch `event` makes of `prior`, one level deep as Events are."""
    result = dict(prior or {})
    for key, value in event.items():
        result[key] = _given({**(result.get(key) or {}), **value}) if isinstance(value, dict) else value
    return _given(result)


def _given(values):
    return {key: value for key, value in values.items() if value is not None}


def remove(api, params, check_mode):
    """Delete the Event; return the module's result."""
    path = Api.path(_EVENTS, params["name"], params["namespace"])
    try:
        api.get(path)
        if not check_mode:
            api.request("DELETE", path)
    except ApiError as error:
        if error.status == 404:
            return {"changed": False, "result": {}}
        raise
    return {"changed": True, "result": {}}


def instant(now):
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def run(module):
    params = module.params
    api = Api.of(params)

    def now():
        return dt.datetime.now(dt.timezone.utc)

    if params["state"] == "absent":
        module.exit_json(**remove(api, params, module.check_mode))
    if params["appendTimestamp"]:
        # As client-go does: a time that is also a valid name.
        params = dict(params, name=f"{params['name']}.{int(now().timestamp() * 1e6):x}")
    module.exit_json(**write(api, params, module.check_mode, lambda: instant(now())))


def main():
    serve(run, AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), refused="Unable to create event")


if __name__ == "__main__":
    main()
