"""Builds every part from the settings and connects them."""
