"""`make demo`: an operator's work, shown on a real cluster."""
