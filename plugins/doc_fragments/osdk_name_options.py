"""Documentation of the options that name one object of the API server, and of nothing else."""


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  api_version:
    description: The object's API version, such as V(mmontes.io/v1alpha1).
    type: str
    default: v1
    aliases: [api, version]
  kind:
    description: The object's kind; its plural, singular or short name does as well.
    type: str
    required: true
  name:
    description: The object's name.
    type: str
    required: true
  namespace:
    description: The object's namespace; leave it out where the kind has none.
    type: str
"""
