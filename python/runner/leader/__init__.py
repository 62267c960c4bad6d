"""The Lease: who may work, and what stops whoever may not any more."""
