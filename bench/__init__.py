"""Measures the operator end to end: `make bench`, `make profile`. Fails on wrong results only, never on time."""
