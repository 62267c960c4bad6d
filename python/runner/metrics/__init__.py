"""Every metric of the operator: what Prometheus reads."""
