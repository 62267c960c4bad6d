"""Measures the operator end to end: `make bench`. Passes or fails on correctness only, never on time."""
