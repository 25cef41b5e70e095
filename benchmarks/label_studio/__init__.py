"""How long Label Studio takes to get ten thousand tasks with pre-labels, and new pre-labels after a promotion."""
