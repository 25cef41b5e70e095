"""Watching the champion in production: what is kept of it, when it drifts, and what is done about that."""
