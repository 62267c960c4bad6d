"""Metrics that roles report of their own."""
