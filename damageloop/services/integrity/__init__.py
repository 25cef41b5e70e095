"""The platform's invariants, checked on what is really there."""
