"""Asks the operator, through this task's result, to look at the resource again. Does not wait itself."""

DOCUMENTATION = r"""
module: requeue_after
short_description: Ask the operator to look at this resource again after a while
version_added: "0.1.0"
author: The echoperator authors
description:
  - Returns a period. The operator that runs the play reads it and, once the play has ended well, looks at the
    resource again after that time.
  - The play goes on meanwhile; when several tasks ask, the last one counts.
options:
  time:
    description:
      - How long to wait, as whole hours, minutes and seconds, each with its unit.
      - A number without a unit is refused, and so is an empty text.
    type: str
    required: true
attributes:
  check_mode:
    description: Runs in check mode just the same, since it changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Look again in half a minute
  operator_sdk.util.requeue_after:
    time: 30s

- name: Look again in an hour and a half
  operator_sdk.util.requeue_after:
    time: 1h30m
"""

RETURN = r"""
period:
  description: The time that was asked for, as it was written.
  returned: success
  type: str
  sample: 30s
"""

import re

from ansible.module_utils.basic import AnsibleModule

# Units in any order and any number of times, as Go's durations have them, but whole numbers of h, m and s only.
_PERIOD = re.compile(r"(?:[0-9]+[hms])+")


def main():
    module = AnsibleModule(argument_spec={"time": {"type": "str", "required": True}}, supports_check_mode=True)
    time = module.params["time"]
    if not _PERIOD.fullmatch(time):
        module.fail_json(
            msg=f"invalid time input: {time!r} is no period; write whole numbers with the units h, m or s, "
            "such as 30s, 5m or 1h30m"
        )
    module.exit_json(changed=False, period=time)


if __name__ == "__main__":
    main()
