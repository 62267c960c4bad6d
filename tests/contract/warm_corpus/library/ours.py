#!/usr/bin/python
import sys

from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule(
        argument_spec={"mode": {"type": "str"}, "word": {"type": "str"}, "secret": {"type": "str", "no_log": True}},
        supports_check_mode=True,
    )
    mode = module.params["mode"]
    if mode == "fail":
        module.fail_json(msg="as asked", extra=[1, 2])
    if mode == "raise":
        raise ValueError("unexpected, as asked")
    if mode == "noisy":
        print("some words before")
    if mode == "leave":
        sys.exit(0)
    if mode == "warn":
        module.warn("be warned")
        module.deprecate("be deprecated", version="99.0", collection_name="ansible.builtin")
    facts = {"ours_fact": "fact"} if mode == "facts" else {}
    module.exit_json(changed=mode == "exit", word=module.params["word"], ansible_facts=facts)


if __name__ == "__main__":
    main()
