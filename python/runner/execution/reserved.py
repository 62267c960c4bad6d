"""Variable names that mean something to the pinned ansible-core. A contract test compares them with the real ones.

A custom resource may not set `MAGIC` names, because plays act on them; `RESERVED` ones only shadow a keyword or a
template function in the role's own templates, and existing resources use them (`name`, `port`, `namespace`).
"""

__all__ = ["MAGIC", "RESERVED"]

MAGIC = frozenset({
    "group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname",
    "inventory_hostname_short", "play_hosts", "playbook_dir", "role_name", "role_names", "role_path", "role_uuid",
})  # fmt: skip

RESERVED = frozenset({
    "action", "always", "any_errors_fatal", "args", "async", "async_val", "become", "become_exe", "become_flags",
    "become_method", "become_user", "block", "changed_when", "check_mode", "collections", "connection", "cycler",
    "debugger", "delay", "delegate_facts", "delegate_to", "dict", "diff", "environment", "fact_path", "failed_when",
    "force_handlers", "gather_facts", "gather_timeout", "handlers", "hosts", "ignore_errors", "ignore_unreachable",
    "joiner", "lipsum", "local_action", "lookup", "loop", "loop_control", "loop_with", "max_fail_percentage",
    "module_defaults", "name", "namespace", "no_log", "notify", "now", "omit", "order", "poll", "port", "post_tasks",
    "pre_tasks", "q", "query", "range", "register", "remote_user", "rescue", "retries", "roles", "run_once", "serial",
    "strategy", "tags", "tasks", "throttle", "timeout", "undef", "until", "validate_argspec", "vars", "vars_files",
    "vars_prompt", "when", "with_",
})  # fmt: skip
