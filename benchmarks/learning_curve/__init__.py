"""Replays a labeled pool as the oracle: which query strategy gives the better model for the same human seconds."""
