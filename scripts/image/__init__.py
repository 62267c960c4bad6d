"""Builds the operator's images, with a container engine or without one.

`make image` is its command line. What goes into an image is the Dockerfile's business; here is what builds it, on
which base, and how two builds of one state of the sources come out equal.
"""
