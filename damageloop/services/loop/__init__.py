"""What the loop does next, and the ledger of jobs that does it."""
