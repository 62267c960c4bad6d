from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms, variables=None, sep=" ", fail=False, **kwargs):
        if fail:
            raise AnsibleError("asked to fail")
        return [sep.join(terms)]
