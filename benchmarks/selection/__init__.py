"""Seconds and memory of every query strategy by size of the pool."""
