"""Brings up kind clusters, also where there is no container engine and no registry: `python -m cluster.kind --help`.

Where docker answers, it is used. Elsewhere, root on Debian gets an engine of its own that runs for the clusters only,
and a node image out of Debian's packages and Go modules. What that stands for, and what not, is in docs/kind.md.
"""
