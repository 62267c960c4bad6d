from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        ping = self._execute_module(
            module_name="ansible.builtin.ping", module_args=self._task.args, task_vars=task_vars
        )
        stat = self._execute_module(module_name="ansible.legacy.stat", module_args={"path": "/"}, task_vars=task_vars)
        return {**result, "ping": ping["ping"], "directory": stat["stat"]["isdir"]}
