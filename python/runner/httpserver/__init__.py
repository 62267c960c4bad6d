"""The servers of probes and metrics."""
