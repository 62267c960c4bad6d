"""Counts in the operator's metrics: one POST to the address that the run was given. Keeps nothing itself."""

DOCUMENTATION = r"""
module: osdk_metric
short_description: Make or update one of the operator's Prometheus metrics
version_added: "0.4.0"
author: The echoperator authors
description:
  - Makes a metric when its name comes for the first time, at 0, and updates it after that. It is shown at the
    operator's metrics address beside the operator's own, until the operator is started anew.
  - Exactly one of O(counter), O(gauge), O(histogram) and O(summary) says what kind it is, and that stays so. What
    contradicts an earlier task is refused and changes nothing.
  - Of several operations the first one counts, in the order in which they are listed here.
options:
  name:
    description: The metric's name. Letters, digits and underscores; the operator's own names are taken.
    type: str
    required: true
  description:
    description: What it measures. The first task's words count.
    type: str
    required: true
  labels:
    description:
      - Names and values that tell the series of the metric apart. Each task for the metric has to have the same names.
      - For values of which there are few. A metric takes 1000 combinations and refuses the next.
    type: dict
    version_added: "0.6.0"
  address:
    description:
      - Where to send it.
      - In a run of the operator it is the run's own address, which E(OSDK_METRICS_URL) holds, and the default
        V(http://localhost:5050/metrics) means that too.
    type: str
    default: http://localhost:5050/metrics
  counter:
    description: A number that only grows. Without an option it is only made.
    type: dict
    suboptions:
      increment:
        description: Add 1.
        type: bool
      add:
        description: Add so much; not below 0.
        type: float
  gauge:
    description: A number that goes up and down. Without an option it is only made.
    type: dict
    suboptions:
      increment:
        description: Add 1.
        type: bool
      decrement:
        description: Subtract 1.
        type: bool
      add:
        description: Add so much.
        type: float
      subtract:
        description: Subtract so much.
        type: float
      set:
        description: Set to this value, V(0) included.
        type: float
      set_to_current_time:
        description: Set to the present time, in seconds since 1970.
        type: bool
  histogram:
    description: How often observed values fell into which bucket.
    type: dict
    suboptions:
      observe:
        description: A value to count; without it the metric is only made.
        type: float
      buckets:
        description:
          - Upper bounds, in rising order. They are fixed by the first task that makes the metric.
          - Without them C(0.005) to C(10), for seconds of a quick service.
        type: list
        elements: float
        version_added: "0.6.0"
  summary:
    description: Sum and number of observed values.
    type: dict
    suboptions:
      observe:
        description: A value to count; without it the metric is only made.
        type: float
attributes:
  check_mode:
    description: Asks for nothing, and says that it would.
    support: full
"""

EXAMPLES = r"""
- name: Make a counter, so that it is there before the first backup
  operator_sdk.util.osdk_metric:
    name: backups_made
    description: Backups that were made
    counter: {}

- name: Count a backup
  operator_sdk.util.osdk_metric:
    name: backups_made
    description: Backups that were made
    counter:
      increment: true

- name: Tell how many members are missing
  operator_sdk.util.osdk_metric:
    name: members_missing
    description: Members that should be there and are not
    gauge:
      set: 0

- name: Tell how long the backup took
  operator_sdk.util.osdk_metric:
    name: backup_duration_seconds
    description: Seconds that backups took
    labels:
      method: incremental
    histogram:
      observe: "{{ backup.seconds }}"
      buckets: [10, 60, 600, 3600]
"""

RETURN = r"""
status_code:
  description: The HTTP status of a refusal.
  returned: when the operator refused
  type: int
  sample: 400
"""

import json
import os
import urllib.error
import urllib.parse
import urllib.request

from ansible.module_utils.basic import AnsibleModule

_FORMER = "http://localhost:5050/metrics"
_VARIABLE = "OSDK_METRICS_URL"
_TIMEOUT_S = 30
_KINDS = {
    "counter": {"increment": {"type": "bool"}, "add": {"type": "float"}},
    "gauge": {
        "increment": {"type": "bool"},
        "decrement": {"type": "bool"},
        "add": {"type": "float"},
        "subtract": {"type": "float"},
        "set": {"type": "float"},
        "set_to_current_time": {"type": "bool"},
    },
    "histogram": {"observe": {"type": "float"}, "buckets": {"type": "list", "elements": "float"}},
    "summary": {"observe": {"type": "float"}},
}
ARGUMENTS = dict(
    {kind: {"type": "dict", "options": options} for kind, options in _KINDS.items()},
    name={"type": "str", "required": True},
    description={"type": "str", "required": True},
    labels={"type": "dict"},
    address={"type": "str", "default": _FORMER},
)


def request_body(params):
    """Return what the operator is asked for, without what was left out.

    Raises:
        ValueError: A label's value is no text, number or truth value.
    """
    body = {"name": params["name"], "description": params["description"]}
    for kind in _KINDS:
        options = params[kind]
        if options is not None:
            body[kind] = {option: value for option, value in options.items() if value is not None}
    if params["labels"]:
        body["labels"] = {name: _text(name, value) for name, value in params["labels"].items()}
    return body


def _text(name, value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ValueError(f"labels.{name}: must be a text, not {type(value).__name__}")


def target(address, environ):
    """Return the address without its user info, and the token that stood there or nothing."""
    own = environ.get(_VARIABLE)
    parts = urllib.parse.urlsplit(own if own and address == _FORMER else address)
    token = urllib.parse.unquote(parts.password or "")
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), token


def post(url, token, body):
    """Send it; return status and text of the answer.

    Raises:
        OSError: There is no answer.
        ValueError: The address is none.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "operator_sdk.util"}
    if token:
        headers["Authorization"] = "Bearer " + token
    if not url.startswith(("http://", "https://")):
        raise ValueError("not an http or https URL")
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310 - checked
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - checked above
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8", "replace")


def main():
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        mutually_exclusive=[list(_KINDS)],
        required_one_of=[list(_KINDS)],
    )
    try:
        body = request_body(module.params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    if module.check_mode:
        module.exit_json(changed=True)
    url, token = target(module.params["address"], os.environ)
    try:
        status, text = post(url, token, body)
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"no answer from {url}: {getattr(error, 'reason', None) or error}")
    if status != 200:
        module.fail_json(msg=text.strip() or f"refused with HTTP status {status}", status_code=status)
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
