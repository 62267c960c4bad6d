"""A package, so that the node, a fixture of package scope, goes when the tests in here are done."""
