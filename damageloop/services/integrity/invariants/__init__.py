"""What must hold on a live platform, one module for each area: each function yields a sentence for each breach.

Nothing is repaired here. `verify` names the invariants and runs them.
"""
