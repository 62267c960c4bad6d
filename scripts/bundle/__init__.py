"""The OLM bundle, in the format `registry+v1`: `make bundle` writes it of what stands in config/.

Pure but for `__main__`: objects of a kustomization in, contents of files out. Asks no cluster and no registry.
"""
