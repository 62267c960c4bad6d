"""Knows the objects of a kind: lists them, watches them, tells what changed."""
