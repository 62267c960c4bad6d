"""What can be wrong with what a bundle is to be made of."""


class BundleError(ValueError):
    """No bundle can be made of these; the text says which object or variable, and what would do."""
