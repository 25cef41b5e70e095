"""Immutable versions of the annotated data."""
